// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { create, fromBinary } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import { createCertificate, parseCsr } from '@weft/pki';
import { type LeafOverrides, type TestAuthority, createTestMesh } from '@weft/pki/testing';
import { CertifyRequestSchema, CertifyResponseSchema } from '@weft/proto/identity';
import { WatchResponseSchema } from '@weft/proto/trust-bundle';
import { MetricRegistry } from '@weft/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { GRPC_FAILED_PRECONDITION, GRPC_INTERNAL, GRPC_OK, GRPC_UNIMPLEMENTED } from '../control/grpc-client.ts';
import { FakeChannel } from '../testing/fake-channel.ts';
import { LOCAL_ID, testConfig } from '../testing/test-config.ts';
import { TestLoop } from '../testing/test-loop.ts';
import { IdentityManager } from './identity-manager.ts';

const mesh = createTestMesh();
const DAY_MS = 86_400_000;

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function open(environment: Record<string, string> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'weft-identity-'));
  directories.push(directory);
  const tokenFile = join(directory, 'token');
  writeFileSync(tokenFile, 'token-1');
  const loop = new TestLoop();
  const registry = new MetricRegistry();
  const logs: string[] = [];
  const inUse: string[] = [];
  const note = (message: string, fields?: Record<string, unknown>): void => {
    if (typeof fields?.['in_use'] === 'string') inUse.push(fields['in_use']);
    const error = fields?.['error'];
    logs.push(typeof error === 'string' ? `${message}: ${error}` : message);
  };
  const startMs = Date.now();
  const manager = new IdentityManager({
    config: testConfig({
      IDENTITY_TRUST_ANCHORS: mesh.trustAnchorsPem.join(''),
      IDENTITY_DIR: directory,
      IDENTITY_TOKEN_FILE: tokenFile,
      ...environment,
    }),
    clock: loop.clock,
    wallClock: () => startMs + loop.nowMs,
    registry,
    log: { debug: () => {}, info: note, warn: note, error: note },
  });
  const channel = new FakeChannel();
  return { manager, channel, loop, registry, logs, inUse, directory, tokenFile, nowMs: () => startMs + loop.nowMs };
}

type World = ReturnType<typeof open>;

async function started(environment: Record<string, string> = {}): Promise<World> {
  const world = open(environment);
  await world.manager.bootstrap();
  world.manager.start(world.channel);
  await calls(world, 1);
  return world;
}

async function calls(world: World, count: number): Promise<void> {
  await expect.poll(() => certifyCalls(world).length).toBe(count);
}

const certifyCalls = (world: World) => world.channel.to('/Certify');
const lastCertify = (world: World) => {
  const last = certifyCalls(world).at(-1);
  if (last === undefined) throw new Error('no certificate was asked for');
  return last;
};

/** Answers the last call as the identity service would, with changes. */
function certify(
  world: World,
  changes: {
    lifeMs?: number;
    validUntilMs?: number;
    identity?: string;
    leaf?: LeafOverrides;
    foreignKey?: boolean;
    issuer?: TestAuthority;
  } = {},
): void {
  const request = fromBinary(CertifyRequestSchema, lastCertify(world).request);
  const csr = parseCsr(request.certificateSigningRequest);
  if ('error' in csr) throw new Error(csr.error);
  const nowMs = world.nowMs();
  const issuer = changes.issuer ?? mesh.issuer;
  const lifeMs = changes.lifeMs ?? DAY_MS;
  const name = changes.identity ?? request.identity;
  const other = changes.leaf === undefined && changes.foreignKey !== true ? undefined : mesh.leafFor(name, changes.leaf ?? {});
  const leaf =
    other?.certificateDer ??
    createCertificate(
      {
        subject: name,
        publicKey: csr.request.publicKey,
        notBeforeMs: nowMs - 20_000,
        notAfterMs: nowMs + lifeMs,
        keyUsage: ['digitalSignature', 'keyEncipherment'],
        extendedKeyUsage: ['serverAuth', 'clientAuth'],
        dnsNames: [name],
      },
      issuer,
    );
  lastCertify(world).send(CertifyResponseSchema, {
    leafCertificate: leaf,
    intermediateCertificates: [issuer.certificateDer],
    validUntil: create(TimestampSchema, { seconds: BigInt(Math.floor((changes.validUntilMs ?? nowMs + lifeMs) / 1000)) }),
  });
  lastCertify(world).end(GRPC_OK);
}

describe('the bootstrap', () => {
  it('writes key and CSR for this user alone, over whatever was there', async () => {
    const { manager, directory } = open();
    writeFileSync(join(directory, 'key.p8'), 'old', { mode: 0o644 });
    await manager.bootstrap();
    for (const name of ['key.p8', 'csr.der']) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    const key = createPrivateKey({ key: readFileSync(join(directory, 'key.p8')), format: 'der', type: 'pkcs8' });
    expect(key.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    const csr = parseCsr(readFileSync(join(directory, 'csr.der')));
    if ('error' in csr) throw new Error(csr.error);
    expect(csr.request.commonName).toBe(LOCAL_ID);
    expect(csr.request.names.dns).toEqual([LOCAL_ID]);
    expect(createPublicKey(key).equals(csr.request.publicKey)).toBe(true);
  });

  it('refuses a missing directory, a missing and an empty token', async () => {
    await expect(open({ IDENTITY_DIR: '/nonexistent/dir' }).manager.bootstrap()).rejects.toThrow(
      /IDENTITY_DIR: is no directory; mount one/,
    );
    await expect(open({ IDENTITY_TOKEN_FILE: '/nonexistent/token' }).manager.bootstrap()).rejects.toThrow(
      /IDENTITY_TOKEN_FILE: cannot be read or is empty/,
    );
    const empty = open();
    writeFileSync(empty.tokenFile, '');
    await expect(empty.manager.bootstrap()).rejects.toThrow(/IDENTITY_TOKEN_FILE: cannot be read or is empty/);
  });

  it('refuses trust anchors that are none', () => {
    expect(() => open({ IDENTITY_TRUST_ANCHORS: 'nonsense' })).toThrow(/IDENTITY_TRUST_ANCHORS/);
  });
});

describe('certification', () => {
  it('asks with identity, token and CSR, and is ready with the answer', async () => {
    const world = await started();
    const request = fromBinary(CertifyRequestSchema, lastCertify(world).request);
    expect(lastCertify(world).path).toBe('/io.linkerd.proxy.identity.Identity/Certify');
    expect([request.identity, Buffer.from(request.token).toString()]).toEqual([LOCAL_ID, 'token-1']);
    expect(Buffer.from(request.certificateSigningRequest)).toEqual(readFileSync(join(world.directory, 'csr.der')));
    let isReady = false;
    world.manager.whenReady(() => (isReady = true));
    expect([isReady, world.manager.tls]).toEqual([false, undefined]);
    certify(world);
    expect(isReady).toBe(true);
    expect(world.manager.tls).toBeDefined();
    expect(world.logs).toEqual(['Certified identity']);
    expect(world.registry.render()).toContain('control_identity_cert_refreshes_total{result="ok"} 1');
  });

  it('[ID-04] renews at 70 % of the life that is left, with the token of the moment', async () => {
    const world = await started();
    certify(world);
    const first = world.manager.tls;
    writeFileSync(world.tokenFile, 'token-2');
    world.loop.advance(0.69 * DAY_MS);
    expect(certifyCalls(world)).toHaveLength(1);
    world.loop.advance(0.02 * DAY_MS);
    await calls(world, 2);
    expect(Buffer.from(fromBinary(CertifyRequestSchema, lastCertify(world).request).token).toString()).toBe('token-2');
    certify(world);
    expect(world.manager.tls).not.toBe(first);
    // Key and CSR stay for the life of the process.
    expect(
      certifyCalls(world).map((call) => Buffer.from(fromBinary(CertifyRequestSchema, call.request).certificateSigningRequest)),
    ).toEqual([readFileSync(join(world.directory, 'csr.der')), readFileSync(join(world.directory, 'csr.der'))]);
  });

  it('renews not sooner than the least and not later than the greatest refresh', async () => {
    const soon = await started({ IDENTITY_MIN_REFRESH: '60s' });
    certify(soon, { lifeMs: 10_000 });
    soon.loop.advance(59_000);
    expect(certifyCalls(soon)).toHaveLength(1);
    soon.loop.advance(1100);
    await calls(soon, 2);
    const late = await started({ IDENTITY_MAX_REFRESH: '1h' });
    certify(late);
    late.loop.advance(3_600_100);
    await calls(late, 2);
  });

  it('tries again after an error, keeping the certificate it has', async () => {
    const world = await started();
    certify(world);
    const good = world.manager.tls;
    world.loop.advance(0.71 * DAY_MS);
    await calls(world, 2);
    lastCertify(world).end(GRPC_FAILED_PRECONDITION, 'token not authenticated');
    expect(world.logs.at(-1)).toBe('Failed to obtain identity: identity service: token not authenticated (gRPC status 9)');
    expect(world.manager.tls).toBe(good);
    world.loop.advance(9900);
    expect(certifyCalls(world)).toHaveLength(2);
    world.loop.advance(200);
    await calls(world, 3);
    certify(world);
    expect(world.manager.tls).not.toBe(good);
    expect(world.registry.render()).toContain('control_identity_cert_refreshes_total{result="error"} 1');
  });

  it('gives up a call that is never answered', async () => {
    const world = await started();
    world.loop.advance(40_000);
    expect(lastCertify(world).isCancelled).toBe(true);
    expect(world.logs.at(-1)).toMatch(/no answer in time$/);
    world.loop.advance(10_100);
    await calls(world, 2);
  });

  it('tries again when the token file has gone', async () => {
    const world = await started();
    rmSync(world.tokenFile);
    lastCertify(world).end(GRPC_FAILED_PRECONDITION);
    world.loop.advance(10_100);
    await expect.poll(() => world.logs.at(-1)).toMatch(/cannot read the token file/);
    writeFileSync(world.tokenFile, 'back');
    world.loop.advance(10_100);
    await calls(world, 2);
  });

  it('reminds the operator every 15 seconds until there is a certificate', async () => {
    const world = await started();
    world.loop.advance(31_000);
    expect(world.logs.filter((line) => line.startsWith('Waiting for identity'))).toHaveLength(2);
    certify(world);
    world.loop.advance(60_000);
    expect(world.logs.filter((line) => line.startsWith('Waiting for identity'))).toHaveLength(2);
  });

  it.each<[string, Parameters<typeof certify>[1], RegExp]>([
    [
      'that has run out, naming both clocks',
      { validUntilMs: Date.now() - DAY_MS },
      /valid until \d{4}-.*Z, but this host's clock says \d{4}-.*Z: check both clocks/,
    ],
    ['for another name', { identity: 'other.shop.serviceaccount.identity.linkerd.cluster.local' }, /certificate is not for server\.shop/],
    ['of another CA', { leaf: { isForeign: true } }, /does not verify against the trust anchors/],
    [
      'not yet valid, naming both clocks',
      { leaf: { isNotYetValid: true } },
      /not valid before \d{4}-.*Z, but this host's clock says \d{4}-.*Z: check both clocks/,
    ],
    ['for another key', { foreignKey: true }, /cannot be used/],
    ['for clients only', { leaf: { extendedKeyUsage: ['clientAuth'] } }, /does not verify against the trust anchors/],
  ])('refuses a certificate %s', async (_name, changes, message) => {
    const world = await started();
    certify(world, changes);
    expect(world.manager.tls).toBeUndefined();
    expect(world.logs.at(-1)).toMatch(message);
    world.loop.advance(10_100);
    await calls(world, 2);
  });

  it('refuses an answer that cannot be read, and an empty one', async () => {
    const world = await started();
    lastCertify(world).sendBytes(Buffer.from([0xff, 0xff]));
    expect(world.logs.at(-1)).toMatch(/unreadable answer/);
    world.loop.advance(10_100);
    await calls(world, 2);
    lastCertify(world).end(GRPC_OK);
    expect(world.logs.at(-1)).toMatch(/no certificate in the answer/);
  });
});

describe('trust anchors at run time', () => {
  const PATH = '/weft.identity.v1.TrustBundle/Watch';
  const other = createTestMesh();
  const bundle = (world: World, anchors: readonly Buffer[]): void =>
    world.channel
      .to(PATH)
      .at(-1)
      ?.send(WatchResponseSchema, { trustAnchors: [...anchors] });
  const mine = mesh.anchor.certificateDer;
  const theirs = other.anchor.certificateDer;

  it('are asked for once there is a certificate, and not twice', async () => {
    const world = await started();
    expect(world.channel.to(PATH)).toHaveLength(0);
    certify(world);
    expect(world.channel.to(PATH)).toHaveLength(1);
    world.loop.advance(0.71 * DAY_MS);
    await calls(world, 2);
    certify(world);
    expect(world.channel.to(PATH)).toHaveLength(1);
  });

  it('[ID-09] [OP-01] change what new connections are verified against, without a restart and without another certificate', async () => {
    const world = await started();
    certify(world);
    const first = world.manager.tls;
    const anonymous = world.manager.anonymousClient;
    bundle(world, [mine]);
    expect(world.manager.tls).toBe(first);
    bundle(world, [mine, theirs]);
    expect(world.manager.tls).not.toBe(first);
    expect(world.manager.anonymousClient).not.toBe(anonymous);
    expect(world.registry.render()).toContain('weft_trust_anchors 2');
    world.loop.advance(120_000);
    expect(certifyCalls(world)).toHaveLength(1);
    expect(readFileSync(join(world.directory, 'trust-anchors.pem'), 'utf8')).toBe(mesh.anchor.certificatePem + other.anchor.certificatePem);
  });

  it('[OP-01] that go are trusted for a minute, in which a certificate that hangs on them is replaced', async () => {
    const world = await started();
    certify(world);
    bundle(world, [mine, theirs]);
    bundle(world, [theirs]);
    expect(world.registry.render()).toContain('weft_trust_anchors 2');
    world.loop.advance(5100);
    await calls(world, 2);
    // The old issuer will not do any more.
    certify(world);
    expect(world.logs.at(-1)).toMatch(/does not verify against the trust anchors/);
    world.loop.advance(10_100);
    await calls(world, 3);
    certify(world, { issuer: other.issuer });
    expect(world.logs.at(-1)).toBe('Certified identity');
    world.loop.advance(60_000);
    expect(world.registry.render()).toContain('weft_trust_anchors 1');
  });

  it.each<[string, readonly Buffer[]]>([
    ['an empty bundle', []],
    ['what is no certificate', [Buffer.from('nonsense')]],
    ['a bundle with one bad anchor', [theirs, Buffer.from([0x30, 0])]],
    ['far too many', Array.from({ length: 33 }, () => theirs)],
  ])('stay as they are for %s', async (_name, anchors) => {
    const world = await started();
    certify(world);
    const first = world.manager.tls;
    bundle(world, anchors);
    expect(world.manager.tls).toBe(first);
    expect(world.logs.at(-1)).toMatch(/^Trust bundle not taken; the anchors stay as they are: /);
    expect(world.registry.render()).toContain('weft_trust_bundle_updates_total{result="error"} 1');
  });

  it('are no trouble for a control plane that cannot tell: one call for each certificate, and not a word', async () => {
    const world = await started();
    certify(world);
    world.channel.to(PATH).at(-1)?.end(GRPC_UNIMPLEMENTED, 'unknown service weft.identity.v1.TrustBundle');
    const words = world.logs.length;
    world.loop.advance(0.69 * DAY_MS);
    expect(world.channel.to(PATH)).toHaveLength(1);
    expect(world.logs).toHaveLength(words);
    world.loop.advance(0.02 * DAY_MS);
    await calls(world, 2);
    certify(world);
    expect(world.channel.to(PATH)).toHaveLength(2);
  });

  it('are asked for again, slower and slower, when the watch is refused or breaks', async () => {
    const world = await started();
    certify(world);
    for (let minute = 0; minute < 60; minute++) {
      const call = world.channel.to(PATH).at(-1);
      call?.end(GRPC_INTERNAL, 'not now');
      world.loop.advance(60_000);
    }
    const asked = world.channel.to(PATH).length;
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(20);
  });

  it('that were learned outlive a restart of the container, until the bundle says otherwise', async () => {
    const world = open();
    writeFileSync(join(world.directory, 'trust-anchors.pem'), other.anchor.certificatePem);
    await world.manager.bootstrap();
    world.manager.start(world.channel);
    await calls(world, 1);
    certify(world);
    expect(world.registry.render()).toContain('weft_trust_anchors 2');
    bundle(world, [mine]);
    world.loop.advance(60_100);
    expect(world.registry.render()).toContain('weft_trust_anchors 1');
  });
});

it('says with a failed renewal how long the certificate in use will do, and by which clock', async () => {
  const world = await started();
  certify(world, { lifeMs: 60_000 });
  world.loop.advance(0.71 * 60_000);
  await calls(world, 2);
  lastCertify(world).end(GRPC_FAILED_PRECONDITION, 'no');
  expect(world.inUse.at(-1)).toMatch(/^the certificate in use is valid until \S+Z, but this host's clock says \S+Z: check both clocks$/);
  world.loop.advance(20_000);
  await calls(world, 3);
  world.loop.advance(10_000);
  lastCertify(world).end(GRPC_FAILED_PRECONDITION, 'no');
  expect(world.inUse.at(-1)).toMatch(/^the certificate in use ran out at \S+Z, but this host's clock says \S+Z: check both clocks$/);
});

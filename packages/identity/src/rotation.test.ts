// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GRPC_CODES, type ServerStream } from '@weft/grpc-server';
import { createLocalTokenReviewer, generateKey } from '@weft/pki';
import { createTestAuthority, createTestMesh, type TestAuthority } from '@weft/pki/testing';
import type { WatchResponse, WatchResponseSchema } from '@weft/proto/trust-bundle';
import { ConfigMapKind, createMemorySource, EventKind, SecretKind, type Event } from '@weft/resources';
import { Logger } from '@weft/telemetry';
import { promRegistry } from '@weft/telemetry/prom';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createEventRecorder } from './events.ts';
import { IdentityService, type IdentityServiceOptions } from './identity-service.ts';
import { configMapMaterial, directoryMaterial, secretMaterial } from './material.ts';
import { registerIdentityMetrics } from './metrics.ts';

const mesh = createTestMesh();
const nextIssuer = createTestAuthority('identity.linkerd.cluster.local', { parent: mesh.anchor, notAfterMs: Date.now() + 7_200_000 });
const foreignIssuer = createTestAuthority('identity.linkerd.cluster.local');

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-identity-'));
  cleanups.push(() => rmSync(directory, { recursive: true }));
  return directory;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function issuerSecret({ certificatePem, privateKeyPem }: TestAuthority) {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'linkerd-identity-issuer', namespace: 'linkerd' },
    type: 'kubernetes.io/tls',
    data: { 'tls.crt': base64(certificatePem), 'tls.key': base64(privateKeyPem) },
  };
}

function trustRoots(pem: string) {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'linkerd-identity-trust-roots', namespace: 'linkerd' },
    data: { 'ca-bundle.crt': pem },
  };
}

function createWorld() {
  const source = createMemorySource({ objects: [issuerSecret(mesh.issuer), trustRoots(mesh.anchor.certificatePem)] });
  const options: IdentityServiceOptions = {
    domain: { controllerNamespace: 'linkerd', trustDomain: 'cluster.local' },
    issuer: secretMaterial(source, 'linkerd', 'linkerd-identity-issuer'),
    issuerScheme: 'kubernetes.io/tls',
    trustAnchors: configMapMaterial(source, 'linkerd', 'linkerd-identity-trust-roots'),
    reviewer: createLocalTokenReviewer({ keys: [generateKey().publicKey] }),
    events: createEventRecorder(source, Logger.silent()),
    logger: Logger.silent(),
  };
  return { source, options };
}

async function start(options: IdentityServiceOptions): Promise<IdentityService> {
  const service = await IdentityService.start(options);
  cleanups.push(() => service.close());
  return service;
}

describe('issuer rotation', () => {
  const ttlHours = (service: IdentityService): number => Math.round(service.issuerTtlSeconds() / 3600);

  it('[ID-07] takes a replaced Secret, and keeps the old issuer when the new one does not fit', async () => {
    const { source, options } = createWorld();
    const service = await start(options);
    expect(ttlHours(service)).toBe(365 * 24);
    const reasons = async (): Promise<string[]> => (await source.list<Event>(EventKind)).map((event) => event.reason ?? '').toSorted();

    await source.apply(SecretKind, issuerSecret(foreignIssuer), 'test');
    await vi.waitFor(async () => expect(await reasons()).toEqual(['IssuerUpdateSkipped']));
    expect(ttlHours(service)).toBe(365 * 24);

    await source.apply(SecretKind, issuerSecret(nextIssuer), 'test');
    await vi.waitFor(async () => expect(await reasons()).toEqual(['IssuerUpdateSkipped', 'IssuerUpdated']));
    expect(ttlHours(service)).toBe(2);
    const [event] = (await source.list<Event>(EventKind)).filter((one) => one.reason === 'IssuerUpdated');
    expect(event).toMatchObject({
      type: 'Normal',
      involvedObject: { kind: 'Deployment', namespace: 'linkerd', name: 'linkerd-identity' },
      source: { component: 'linkerd-identity' },
    });
  });

  it('[ID-07] takes a swap of the mounted directory', async () => {
    const directory = temporaryDirectory();
    const mount = (version: string, authority: TestAuthority): void => {
      mkdirSync(join(directory, version));
      writeFileSync(join(directory, version, 'crt.pem'), authority.certificatePem);
      writeFileSync(join(directory, version, 'key.pem'), authority.privateKeyPem);
      symlinkSync(version, join(directory, '..data_tmp'));
      renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    };
    mount('..1', mesh.issuer);
    for (const name of ['crt.pem', 'key.pem']) symlinkSync(join('..data', name), join(directory, name));
    const { options } = createWorld();
    const service = await start({
      ...options,
      issuer: directoryMaterial(directory, ['crt.pem', 'key.pem']),
      issuerScheme: 'linkerd.io/tls',
    });
    expect(ttlHours(service)).toBe(365 * 24);
    mount('..2', nextIssuer);
    await vi.waitFor(() => expect(ttlHours(service)).toBe(2), 5_000);
  });

  it('[ID-07] takes plain files that are written one after the other', async () => {
    const directory = temporaryDirectory();
    const write = ({ certificatePem, privateKeyPem }: TestAuthority): void => {
      writeFileSync(join(directory, 'crt.pem'), certificatePem);
      writeFileSync(join(directory, 'key.pem'), privateKeyPem);
    };
    write(mesh.issuer);
    const { source, options } = createWorld();
    const service = await start({
      ...options,
      issuer: directoryMaterial(directory, ['crt.pem', 'key.pem']),
      issuerScheme: 'linkerd.io/tls',
    });
    write(nextIssuer);
    await vi.waitFor(() => expect(ttlHours(service)).toBe(2), 5_000);
    expect((await source.list<Event>(EventKind)).map((event) => event.reason)).toEqual(['IssuerUpdated']);
  });

  it.each([
    ['the Secret', secretMaterial(createMemorySource(), 'linkerd', 'missing'), /cannot read Secret linkerd\/missing/],
    ['the files', directoryMaterial(tmpdir(), ['tls.crt', 'tls.key']), /no tls.crt in/],
  ])('[ID-06] fails to start without %s', async (_name, issuer, message) => {
    const { options } = createWorld();
    await expect(IdentityService.start({ ...options, issuer })).rejects.toThrow(message);
  });

  it('[ID-09] fails to start with a bundle that cannot be parsed, and says where it is', async () => {
    const { source, options } = createWorld();
    await source.apply(ConfigMapKind, trustRoots('nonsense'), 'test');
    await expect(IdentityService.start(options)).rejects.toThrow(
      /ConfigMap linkerd\/linkerd-identity-trust-roots: trust anchors: no PEM certificate/,
    );
  });
});

describe('trust bundle', () => {
  /** A stream that keeps what it is sent. */
  function fakeStream(clientId?: string, peer = '10.0.0.1:40000') {
    const bundles: Uint8Array[][] = [];
    const errors: number[] = [];
    let onCancel = (): void => undefined;
    const stream = {
      peer,
      metadata: (key: string) => (key === 'l5d-client-id' ? clientId : undefined),
      send: (message: WatchResponse) => bundles.push(message.trustAnchors) > 0,
      error: (code: number) => errors.push(code),
      onCancel: (listener: () => void) => (onCancel = listener),
    } as unknown as ServerStream<typeof WatchResponseSchema>;
    return { stream, bundles, errors, cancel: () => onCancel() };
  }

  it('[ID-09] is sent at once and again after each change, until the caller leaves', async () => {
    const { source, options } = createWorld();
    const service = await start(options);
    const caller = fakeStream('web.shop.serviceaccount.identity.linkerd.cluster.local');
    service.watchTrustBundle(caller.stream);
    expect(caller.bundles).toEqual([[mesh.anchor.certificateDer]]);

    const other = createTestAuthority('root.next');
    await source.apply(ConfigMapKind, trustRoots('not a bundle'), 'test');
    await source.apply(ConfigMapKind, trustRoots(mesh.anchor.certificatePem + other.certificatePem), 'test');
    await vi.waitFor(() => expect(caller.bundles.length).toBe(2));
    expect(caller.bundles[1]).toEqual([mesh.anchor.certificateDer, other.certificateDer]);

    caller.cancel();
    await source.apply(ConfigMapKind, trustRoots(mesh.anchor.certificatePem), 'test');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(caller.bundles.length).toBe(2);
  });

  it('is refused to callers without a verified identity, unless told otherwise', async () => {
    const { options } = createWorld();
    const refused = fakeStream();
    (await start(options)).watchTrustBundle(refused.stream);
    expect([refused.errors, refused.bundles]).toEqual([[GRPC_CODES.UNAUTHENTICATED], []]);
    for (const [peer, isOwnPod] of [
      ['127.0.0.1:40000', true],
      ['::1:40000', true],
      ['::ffff:127.0.0.1:40000', true],
      ['::1:2:40000', false],
      ['fd00::1:40000', false],
      ['unknown', false],
    ] as const) {
      // Its own proxy dials past itself.
      const own = fakeStream(undefined, peer);
      (await start(options)).watchTrustBundle(own.stream);
      expect([peer, own.bundles.length === 1]).toEqual([peer, isOwnPod]);
    }
    const open = fakeStream();
    (await start({ ...options, requiresClientIdentity: false })).watchTrustBundle(open.stream);
    expect(open.bundles.length).toBe(1);
  });
});

describe('events', () => {
  it('[ID-07] of one kind for one object share an Event that counts them', async () => {
    const source = createMemorySource();
    let nowMs = Date.parse('2026-11-23T12:00:00Z');
    const recorder = createEventRecorder(source, Logger.silent(), () => nowMs);
    const subject = { apiVersion: 'v1', kind: 'ServiceAccount', namespace: 'shop', name: 'web' };
    for (let i = 1; i <= 3; i++) {
      recorder.record(subject, 'Normal', 'IssuedLeafCertificate', `number ${i}`);
      nowMs += 60_000;
    }
    recorder.record({ ...subject, name: 'db' }, 'Normal', 'IssuedLeafCertificate', 'other');
    const list = () => source.list<Event>(EventKind, { namespace: 'shop' });
    await vi.waitFor(async () => expect(new Set((await list()).map((event) => event.count))).toEqual(new Set([1, 3])));
    expect((await list()).find((event) => event.count === 3)).toMatchObject({
      message: 'number 3',
      firstTimestamp: '2026-11-23T12:00:00Z',
      lastTimestamp: '2026-11-23T12:02:00Z',
      involvedObject: { kind: 'ServiceAccount', name: 'web', namespace: 'shop' },
    });
  });

  it('are written anew when theirs was deleted, and never throw', async () => {
    const source = createMemorySource();
    const recorder = createEventRecorder(source, Logger.silent());
    const subject = { apiVersion: 'v1', kind: 'ServiceAccount', namespace: 'shop', name: 'web' };
    recorder.record(subject, 'Normal', 'R', 'one');
    await vi.waitFor(async () => expect((await source.list(EventKind)).length).toBe(1));
    const [first] = await source.list<Event>(EventKind);
    await source.delete(EventKind, 'shop', first?.metadata.name ?? '');
    recorder.record(subject, 'Normal', 'R', 'two');
    await vi.waitFor(async () => expect((await source.list<Event>(EventKind)).map((event) => event.message)).toEqual(['two']));
    await source.close();
    const failing = createEventRecorder({ ...source, create: () => Promise.reject(new Error('away')) }, Logger.silent());
    for (let i = 0; i < 1_000; i++) failing.record(subject, 'Normal', 'R', 'x');
  });
});

describe('metrics', () => {
  it('[ID-08] [MET-32] tell the time that the issuer has left', async () => {
    const registry = promRegistry();
    registerIdentityMetrics(registry, { issuerTtlSeconds: () => 12.5 });
    expect(await registry.metrics()).toMatch(/^issuer_cert_ttl_seconds 12.5$/m);
  });
});

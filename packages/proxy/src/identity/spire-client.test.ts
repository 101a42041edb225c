// SPDX-License-Identifier: Apache-2.0
import { type LeafOverrides, type TestLeaf, createTestMesh } from '@weft/pki/testing';
import { MetricRegistry } from '@weft/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { GRPC_INVALID_ARGUMENT, GRPC_UNAVAILABLE, GrpcChannel } from '../control/grpc-client.ts';
import { ControlFamilies } from '../metrics/control-metrics.ts';
import { FakeChannel } from '../testing/fake-channel.ts';
import { REAL_CLOCK } from '../testing/mesh-pair.ts';
import { testConfig } from '../testing/test-config.ts';
import { TestLoop } from '../testing/test-loop.ts';
import { startWorkloadApi, svidResponse } from '../testing/workload-api.ts';
import { IdentityManager } from './identity-manager.ts';
import { readSvid } from './spire-client.ts';

const ID = 'spiffe://root.linkerd.cluster.local/ns/shop/vm';
const mesh = createTestMesh();
const svidOf = (id: string, overrides: LeafOverrides = {}): TestLeaf => mesh.leafFor('vm.shop', { ...overrides, dnsNames: [], uris: [id] });

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Parts {
  readonly id?: string;
  readonly chain?: Uint8Array;
  readonly key?: Uint8Array;
}

function response(...svids: readonly Parts[]): Uint8Array {
  return svidResponse(
    svids.map(({ id = ID, chain, key }) => {
      const leaf = svidOf(id);
      return { id, chain: chain ?? chainOf(leaf), key: key ?? leaf.privateKeyDer, bundle: mesh.anchor.certificateDer };
    }),
  );
}

function open(channel = new FakeChannel()) {
  const loop = new TestLoop();
  const logs: string[] = [];
  const note = (message: string, fields?: Record<string, unknown>): void => {
    const error = fields?.['error'];
    logs.push(typeof error === 'string' ? `${message}: ${error}` : message);
  };
  const manager = new IdentityManager({
    config: testConfig({
      IDENTITY_TRUST_ANCHORS: mesh.trustAnchorsPem.join(''),
      IDENTITY_LOCAL_NAME: undefined,
      IDENTITY_SERVER_ID: ID,
      IDENTITY_SERVER_NAME: 'vm.shop',
      IDENTITY_DIR: undefined,
      IDENTITY_TOKEN_FILE: undefined,
      IDENTITY_SVC_ADDR: undefined,
      IDENTITY_SPIRE_SOCKET: 'unix:///run/agent.sock',
    }),
    clock: loop.clock,
    wallClock: Date.now,
    registry: new MetricRegistry(),
    log: { debug: () => {}, info: note, warn: note, error: note },
  });
  cleanups.push(() => manager.close());
  return { manager, channel, loop, logs };
}

describe('certificates of a SPIFFE workload API', () => {
  it('[ID-17] [NK-02] are taken by ID, without token, directory or identity service, and replaced when the agent sends others', async () => {
    const { manager, channel, logs } = open();
    await manager.bootstrap();
    manager.startSpire(channel);
    expect(channel.last.path).toBe('/SpiffeWorkloadAPI/FetchX509SVID');
    channel.last.sendBytes(response({ id: 'spiffe://root.linkerd.cluster.local/other' }, {}));
    expect(logs).toEqual(['Certified identity']);
    const first = manager.tls;
    channel.last.sendBytes(response({}));
    expect(manager.tls).not.toBe(first);
    // The agent pushes: nothing is asked for twice, and no trust bundle.
    expect(channel.calls).toHaveLength(1);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['of others only', response({ id: 'spiffe://td/other' }), /no certificate for spiffe:\/\/root\S+ among 1$/],
    ['that are none', response(), /among 0$/],
    ['that are cut', response({ chain: svidOf(ID).certificateDer.subarray(0, 100) }), /chain that is not DER/],
    ['with an endless length', response({ chain: new Uint8Array([0x30, 0x84, 0xff, 0xff, 0xff, 0xff]) }), /chain that is not DER/],
    ['too many', response({ chain: Buffer.concat(Array.from({ length: 17 }, () => Buffer.from([0x30, 0]))) }), /chain that is not DER/],
    ['whose key is none', response({ key: new Uint8Array([1, 2, 3]) }), /not PKCS#8/],
    ['whose key is another', response({ key: svidOf(ID).privateKeyDer }), /cannot be used/],
    ['for another ID', response({ chain: chainOf(svidOf('spiffe://td/x')) }), /certificate is not for spiffe:/],
    ['of a foreign CA', response({ chain: chainOf(svidOf(ID, { isForeign: true })) }), /does not verify/],
    ['that cannot be read', new Uint8Array([0x0a, 0xff]), /unreadable answer/],
  ])('%s are refused', (_what, message, error) => {
    const { manager, channel, logs } = open();
    manager.startSpire(channel);
    channel.last.sendBytes(message);
    expect(manager.tls).toBeUndefined();
    expect(logs.at(-1)).toMatch(error);
  });

  it('are asked for again with back-off, unless the agent calls the question wrong', () => {
    const { manager, channel, loop, logs } = open();
    manager.startSpire(channel);
    channel.last.end(GRPC_UNAVAILABLE, 'no agent');
    expect(logs.at(-1)).toBe('Failed to obtain identity: SPIFFE workload API: no agent (gRPC status 14)');
    loop.advance(150);
    expect(channel.calls).toHaveLength(2);
    channel.last.end(GRPC_INVALID_ARGUMENT, 'wrong');
    loop.advance(600_000);
    expect(channel.calls).toHaveLength(2);
  });

  it('come from a real socket, with the metadata that an agent insists on', async () => {
    const agent = await startWorkloadApi(response({}));
    const address = { host: '127.0.0.1', port: 0, identity: undefined };
    const { manager } = open();
    const channel = new GrpcChannel({
      address,
      unixPath: agent.socketPath,
      identity: manager,
      clock: REAL_CLOCK,
      backoff: { minMs: 20, maxMs: 100, jitterRatio: 0 },
      connectTimeoutMs: 1000,
      keepAliveMs: undefined,
      userTimeoutMs: 30_000,
      metrics: new ControlFamilies(new MetricRegistry()).channel(address, 'identity', 30_000),
      resolve: (onResolved) => onResolved([{ ip: '127.0.0.1', port: 0 }]),
      log: { debug: () => {}, warn: () => {} },
    });
    cleanups.push(() => {
      channel.close();
      agent.close();
    });
    manager.startSpire(channel);
    await expect.poll(() => manager.tls).toBeDefined();
    expect(agent.calls[0]).toMatchObject({ ':path': '/SpiffeWorkloadAPI/FetchX509SVID', 'workload.spiffe.io': 'true', te: 'trailers' });
  });

  it('never throw, whatever is cut where', () => {
    const whole = response({}, {});
    for (let length = 0; length < whole.length; length++) readSvid(whole.subarray(0, length), ID);
    expect(typeof readSvid(whole, ID)).toBe('object');
  });
});

function chainOf(leaf: TestLeaf): Buffer {
  return Buffer.concat([leaf.certificateDer, ...leaf.intermediatesDer]);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The gRPC interoperability cases (client and server of grpc-go) through two proxies over mutual TLS: once with the protocol detected, once with
 * it given by a gRPC policy. Every case runs several times, because what goes wrong between two proxies often does so only now and then.
 */
import { join } from 'node:path';
import { SERVICE_IP, type SidecarRig, until } from '@weft/testkit/sidecar-rig';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readExpectedFailures } from './expected-failures.ts';
import { goTool } from './go-tools.ts';
import { type MeshPort, samples, startMesh } from './mesh.ts';

/** Cases of the client that need neither credentials nor several servers. It has none of the `…_compressed_…` cases. */
const CASES = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'cancel_after_begin',
  'cancel_after_first_response',
  'timeout_on_sleeping_server',
  'custom_metadata',
  'status_code_and_message',
  'special_status_message',
  'unimplemented_method',
  'unimplemented_service',
  'rpc_soak',
  'channel_soak',
] as const;

const ROUNDS = 20;
/** The reference answered some of these with Internal, 3 to 7 of 100 times. */
const UNIMPLEMENTED_ROUNDS = 100;
const RUN_TIMEOUT_MS = 30_000;
/** Runs of one case that are under way together; more would only share the same cores. */
const PARALLEL = 2;

const DETECTED: MeshPort = { port: 10_000, protocol: 'detect' };
const GRPC: MeshPort = { port: 10_001, protocol: 'grpc' };
const PORTS: readonly MeshPort[] = [DETECTED, GRPC];

const expected = readExpectedFailures(join(import.meta.dirname, 'grpc-expected-failures.txt'));
let rig: SidecarRig;

beforeAll(async () => {
  rig = await startMesh(PORTS);
  for (const { port } of PORTS) {
    rig.start('server', `interop-${port}`, goTool('interop-server'), `--port=${port}`);
    await until(`the gRPC server on ${port} answers`, RUN_TIMEOUT_MS, async () => (await runCase(port, 'empty_unary')).exitCode === 0);
  }
});
afterAll(() => rig.stop());

function roundsOf(name: string): number {
  return name.startsWith('unimplemented_') ? UNIMPLEMENTED_ROUNDS : ROUNDS;
}

function isOurs(port: string | undefined): boolean {
  return PORTS.some((each) => String(each.port) === port);
}

async function runCase(port: number, name: string): ReturnType<SidecarRig['run']> {
  const args = ['--server_host', SERVICE_IP, '--server_port', String(port), '--test_case', name];
  return rig.run('client', RUN_TIMEOUT_MS, goTool('interop-client'), ...args);
}

describe.each([
  { ...DETECTED, policy: 'detected protocol' },
  { ...GRPC, policy: 'gRPC policy' },
])('gRPC interoperability, $policy', ({ port }) => {
  it.each(CASES.map((name) => ({ name, rounds: roundsOf(name) })))('[PROTO-08] $name, $rounds times', async ({ name, rounds }) => {
    const failures: string[] = [];
    for (let round = 0; round < rounds; round += PARALLEL) {
      const finished = await Promise.all(Array.from({ length: PARALLEL }, async () => runCase(port, name)));
      failures.push(...finished.flatMap(({ exitCode, stderr }) => (exitCode === 0 ? [] : [stderr.trim()])));
    }
    // A listed case must fail in every round: one that only fails sometimes is a defect to find, not to list.
    const wanted = expected.has(name) ? rounds : 0;
    expect({ failures, count: failures.length }).toMatchObject({ count: wanted });
  });
});

describe('what the proxies counted of it', () => {
  it('[PROTO-08] [ID-02] [MET-01] every stream was meshed, in both proxies', async () => {
    for (const [side, direction, peer] of [
      ['client', 'outbound', { server_id: rig.identityOf('server') }],
      ['server', 'inbound', { client_id: rig.identityOf('client') }],
    ] as const) {
      const requests = (await samples(rig, side, 'request_total')).filter(
        ({ labels }) => labels.direction === direction && isOurs(labels.target_port),
      );
      expect(requests.length).toBeGreaterThan(0);
      for (const { labels } of requests) expect(labels).toMatchObject({ tls: 'true', ...peer });
    }
  });

  it('[PROTO-08] [MET-01] an unimplemented method is counted as Unimplemented, never as Internal', async () => {
    for (const [side, direction] of [
      ['client', 'outbound'],
      ['server', 'inbound'],
    ] as const) {
      const counts = new Map<string, number>();
      for (const { labels, value } of await samples(rig, side, 'response_total')) {
        if (labels.direction !== direction || !isOurs(labels.target_port)) continue;
        const status = labels.grpc_status ?? '';
        counts.set(status, (counts.get(status) ?? 0) + value);
      }
      // A round has two calls of something unimplemented, and three whose status is Unknown by intent. Cancelled calls have no status.
      expect(Object.fromEntries(counts)).toMatchObject({ '12': 2 * UNIMPLEMENTED_ROUNDS * PORTS.length, '2': 3 * ROUNDS * PORTS.length });
      expect(new Set(['', '0', '1', '2', '4', '12'])).toEqual(new Set(['', '0', '1', '2', '4', '12', ...counts.keys()]));
    }
  });

  it('no proxy had an error of its own', async () => {
    for (const side of ['client', 'server'] as const) {
      expect(rig.isAlive(side)).toBe(true);
      expect((await samples(rig, side, 'weft_internal_errors_total')).filter(({ value }) => value > 0)).toEqual([]);
    }
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * No request fails (design §6): open loop at 300 requests a second for more than a minute, HTTP/1 over kept connections, gRPC streams and opaque TCP at
 * once, nothing retried, while everything restarts in turn: the application, both sides' proxies, each part of the control plane, and while for
 * twenty seconds no control plane answers at all. A negative control shows that this load does notice a pod that is not drained.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HostMesh, isSameProcess, until } from './mesh.ts';
import { openControlStreams } from './samples.ts';

interface Kind {
  readonly begun: number;
  readonly done: number;
  readonly failed: number;
  readonly reasons: Readonly<Record<string, number>>;
}

interface Report {
  readonly http: Kind & { readonly pods: Readonly<Record<string, number>> };
  readonly grpc: Kind;
  readonly opaque: Kind;
  readonly lost: number;
  readonly seconds: number;
}

const SERVER = { app: 'server' };
let mesh: HostMesh;

beforeAll(async () => {
  mesh = await HostMesh.start({ fixture: 'drain', name: 'drain' });
});
afterAll(() => mesh?.stop());

/** Reports of all generators that have ended, and how many there were. */
function reports(): { readonly ended: readonly Report[]; readonly started: number } {
  const logs = [...mesh.logs('e2e', 'load-', 'load').values()];
  return {
    ended: logs.flatMap((text) => [...text.matchAll(/^REPORT (.*)$/gm)].map(([, json]) => JSON.parse(json ?? '') as Report)),
    started: logs.filter((text) => text.includes('LOADING')).length,
  };
}

const failures = (): string[] => [...mesh.logs('e2e', 'load-', 'load').values()].flatMap((text) => text.match(/^FAILED.*$/gm) ?? []);

async function scale(replicas: number): Promise<void> {
  mesh.edit('mesh.yaml', (text) => text.replace(/replicas: \d+/, `replicas: ${replicas}`));
  await mesh.untilPods('e2e', 'server', replicas);
}

const controlPlane = (): Promise<unknown> =>
  until(
    'the control plane is ready',
    async () => {
      const pods = await mesh.pods('linkerd');
      return pods.length === 2 && pods.every(({ isReady, isDeleted }) => isReady && !isDeleted);
    },
    60_000,
  );

/** Streams to the control plane that the load's proxy holds open. */
async function openStreams(): Promise<number> {
  const [load] = await mesh.pods('e2e', { app: 'load' });
  if (load === undefined) return 0;
  return openControlStreams(await mesh.metrics(load));
}

/**
 * The load's proxy is told of changes again: it has as many streams as before, and keeps them. What ends while it cannot be told is another
 * matter: nobody can know of a pod that goes in that time.
 */
async function told(streams: number): Promise<void> {
  let seen = 0;
  await until('the proxy of the load has its streams again', async () => {
    seen = (await openStreams()) >= streams ? seen + 1 : 0;
    await sleep(100);
    return seen >= 3;
  });
}

/** Kills one process without warning and waits until it has been started again. */
async function kill(prefix: string): Promise<void> {
  const victims = mesh.processes(prefix);
  expect(victims.length).toBe(1);
  process.kill(victims[0]?.pid ?? 0, 'SIGKILL');
  await until(`${prefix} runs again`, () => mesh.processes(prefix).some((one) => !victims.some(({ pid }) => pid === one.pid)));
}

/** All processes of the control plane, its proxies included, do nothing for so long. */
async function withoutControlPlane(ms: number): Promise<void> {
  const streams = await openStreams();
  const stopped = mesh.processes('linkerd/');
  expect(stopped.length).toBeGreaterThanOrEqual(5);
  const signal = (name: NodeJS.Signals): void => {
    for (const one of stopped) if (isSameProcess(one)) process.kill(one.pid, name);
  };
  signal('SIGSTOP');
  await sleep(ms);
  signal('SIGCONT');
  await controlPlane();
  await told(streams);
}

it('[OP-06][PROTO-24] fails no request, breaks no stream and loses no byte while everything restarts', { timeout: 400_000 }, async () => {
  const startedMs = performance.now();
  const steps: [string, () => Promise<unknown>][] = [
    ['the application restarts', () => mesh.rollout('e2e', 'server', SERVER)],
    ['the load and its proxy restart', () => mesh.rollout('e2e', 'load', { app: 'load' })],
    ['one server is left', () => scale(1)],
    ['three servers again', () => scale(3)],
    [
      'the destination pod restarts',
      async () => {
        await mesh.rollout('linkerd', 'linkerd-destination', { 'linkerd.io/control-plane-component': 'destination' });
      },
    ],
    ['the application restarts with the new control plane', () => mesh.rollout('e2e', 'server', SERVER)],
    [
      'the identity pod restarts',
      async () => {
        await mesh.rollout('linkerd', 'linkerd-identity', { 'linkerd.io/control-plane-component': 'identity' });
      },
    ],
    ['20 s without control plane', () => withoutControlPlane(20_000)],
    [
      'destination is killed',
      async () => {
        const streams = await openStreams();
        const [pod] = await mesh.pods('linkerd', { 'linkerd.io/control-plane-component': 'destination' });
        await kill(`linkerd/${pod?.name}/destination`);
        await kill(`linkerd/${pod?.name}/policy`);
        await kill(`linkerd/${pod?.name}/linkerd-proxy`);
        await controlPlane();
        await told(streams);
      },
    ],
    ['the application restarts once more', () => mesh.rollout('e2e', 'server', SERVER)],
    ['what is left of a minute', () => sleep(Math.max(0, 60_000 - (performance.now() - startedMs)))],
  ];
  const log: string[] = [];
  for (const [name, step] of steps) {
    const before = failures().length;
    await step();
    log.push(`${name}: ${failures().length - before} failures at ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  }
  // The end of the load itself is part of the test: it finishes what it has begun, through a proxy that outlives it.
  const { started } = reports();
  mesh.edit('mesh.yaml', (text) =>
    text.replace('name: load, namespace: e2e }\nspec:', 'name: load, namespace: e2e }\nspec:\n  replicas: 0'),
  );
  await mesh.untilPods('e2e', 'load', 0);
  const { ended } = reports();
  const failed = failures();
  expect(failed.length === 0 ? [] : [...log, ...failed]).toEqual([]);
  expect(ended).toHaveLength(started);
  const sum = (pick: (report: Report) => number): number => ended.reduce((total, report) => total + pick(report), 0);
  expect(sum(({ lost }) => lost)).toBe(0);
  for (const kind of ['http', 'grpc', 'opaque'] as const) {
    expect(sum((report) => report[kind].failed)).toBe(0);
    expect(sum((report) => report[kind].done)).toBe(sum((report) => report[kind].begun));
  }
  expect(sum(({ http }) => http.done)).toBeGreaterThanOrEqual(60 * 300);
  expect(sum(({ grpc }) => grpc.done)).toBeGreaterThanOrEqual(60 * 5);
  // Every pod of the application that ever served was used.
  const pods = new Set(ended.flatMap(({ http }) => Object.keys(http.pods)));
  expect(pods.size).toBeGreaterThanOrEqual(12);
});

it('notices a server whose proxy is killed instead of drained', { timeout: 60_000 }, async () => {
  const client = await mesh.pod('e2e', 'client');
  const [victim] = await mesh.untilPods('e2e', 'server', 3);
  const load = mesh.exec(client, [
    process.execPath,
    'apps/load.mjs',
    JSON.stringify({
      http: { host: 'server', port: 80, path: '/?delay=100', perSecond: 300, connections: 100 },
      grpc: { host: 'server', port: 50_051, streamsPerSecond: 20, messages: 40, everyMs: 25 },
      opaque: { host: 'server', port: 9001, connections: 12, everyMs: 50 },
      seconds: 5,
    }),
  ]);
  await sleep(3000);
  await kill(`e2e/${victim?.name}/linkerd-proxy`);
  const { stdout } = await load;
  const report = JSON.parse(/^REPORT (.*)$/m.exec(stdout)?.[1] ?? 'null') as Report;
  expect(report.http.done).toBeGreaterThan(0);
  // A stream or a connection may have had nothing under way just then.
  expect(report.http.failed + report.grpc.failed + report.opaque.failed).toBeGreaterThan(0);
});

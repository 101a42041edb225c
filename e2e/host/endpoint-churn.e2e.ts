// SPDX-License-Identifier: Apache-2.0
/*
 * Endpoints that come and go faster than anybody deploys, under load, without a failed request; and a pod address that passes to another identity while
 * the clients still believe in the old one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HostMesh, type PodView, until } from './mesh.ts';

interface Kind {
  readonly begun: number;
  readonly done: number;
  readonly failed: number;
}

interface Report {
  readonly http: Kind & { readonly pods: Readonly<Record<string, number>> };
  readonly grpc: Kind;
  readonly opaque: Kind;
  readonly lost: number;
}

let mesh: HostMesh;
beforeAll(async () => {
  mesh = await HostMesh.start({ fixture: 'churn', name: 'churn' });
});
afterAll(() => mesh?.stop());

/** Replicas in turn, one step every STEP_MS: up and down by one and by three. */
const STEPS = [1, 4, 2, 4, 1, 3, 1, 4, 3, 2, 1, 2, 4, 1, 4, 2, 3, 1, 3, 4, 1, 2, 1, 4, 3];
const STEP_MS = 1200;

it('[LB-05] fails no request while endpoints come and go every second', { timeout: 120_000 }, async () => {
  const client = await mesh.pod('e2e', 'client');
  const seconds = Math.ceil((STEPS.length * STEP_MS) / 1000) + 3;
  const load = mesh.exec(
    client,
    [
      process.execPath,
      'apps/load.mjs',
      JSON.stringify({
        http: { host: 'server', port: 80, path: '/?delay=10', perSecond: 300, expects: 'server' },
        grpc: { host: 'server', port: 50_051, streamsPerSecond: 10, messages: 20, everyMs: 25 },
        opaque: { host: 'server', port: 9001, connections: 8, everyMs: 50 },
        seconds,
      }),
    ],
    90_000,
  );
  for (const replicas of STEPS) {
    mesh.edit('mesh.yaml', (text) => text.replace(/replicas: \d+/, `replicas: ${replicas}`));
    await sleep(STEP_MS);
  }
  const { stdout } = await load;
  expect(stdout.match(/^FAILED.*$/gm) ?? []).toEqual([]);
  const report = JSON.parse(/^REPORT (.*)$/m.exec(stdout)?.[1] ?? 'null') as Report;
  expect(report.lost).toBe(0);
  for (const kind of ['http', 'grpc', 'opaque'] as const) {
    expect(report[kind].failed).toBe(0);
    expect(report[kind].done).toBe(report[kind].begun);
  }
  expect(report.http.done).toBeGreaterThanOrEqual(30 * 300);
  // It was churn: many pods have served.
  expect(Object.keys(report.http.pods).length).toBeGreaterThanOrEqual(10);
});

it('[ID-02] accepts no answer from another identity behind an address that it knows', { timeout: 90_000 }, async () => {
  const [client, bare, victim, impostor] = await Promise.all(['client', 'bare', 'victim', 'impostor'].map((app) => mesh.pod('e2e', app)));
  if (client === undefined || bare === undefined || victim === undefined || impostor === undefined) throw new Error('a pod is missing');
  const ask = (from: PodView, options: Readonly<Record<string, unknown>>): Promise<{ status?: number; body?: string }[]> =>
    mesh.client(from, 'http1', options);
  const [before] = await ask(bare, { host: victim.ip, port: 8080 });
  expect(before?.body).toContain('"server":"victim"');

  // From here on whoever connects to the victim's address reaches the impostor, which takes the address for its own; no EndpointSlice says so.
  const takeOver = async (pod: PodView, ...only: readonly string[]): Promise<void> => {
    const rule = ['-p', 'tcp', '-d', victim.ip, ...only, '-j', 'DNAT', '--to-destination', impostor.ip];
    const { code, stderr } = await mesh.exec(pod, ['iptables-nft', '-t', 'nat', '-I', 'OUTPUT', '1', ...rule]);
    if (code !== 0) throw new Error(stderr);
  };
  await takeOver(bare);
  await takeOver(client, '-m', 'owner', '--uid-owner', '2102');
  // Without a mesh the wrong one answers.
  const [wrong] = await ask(bare, { host: victim.ip, port: 8080 });
  expect(wrong?.body).toContain('"server":"impostor"');

  const results = [
    ...(await ask(client, { host: 'victim', count: 4, parallel: 4 })),
    ...(await ask(client, { host: victim.ip, port: 8080 })),
  ];
  for (const { status, body } of results) {
    expect([502, 503, 504]).toContain(status);
    expect(body).toBe('');
  }
  const talk = await mesh.client<{ text: string }>(client, 'raw', { host: 'victim', port: 9001, text: 'hello\n', timeoutMs: 5000 });
  expect(talk.text).toBe('');
  // Nor did the impostor's application get to see any of it.
  const page = await mesh.metrics(impostor);
  expect(page.sum('request_total', { direction: 'inbound', tls: 'true' })).toBe(0);
  expect(page.sum('inbound_tcp_authz_allow_total', { tls: 'true' })).toBe(0);

  // It was the identity alone that kept them apart: the address given back, everything goes through again.
  await mesh.exec(client, ['iptables-nft', '-t', 'nat', '-D', 'OUTPUT', '1']);
  await until('the victim answers again', async () => (await ask(client, { host: 'victim' }))[0]?.body?.includes('"server":"victim"'));
});

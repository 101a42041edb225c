// SPDX-License-Identifier: Apache-2.0
/*
 * No request fails on a real cluster (design §6): open loop at 300 requests a second over kept HTTP/1 connections, gRPC streams and opaque TCP at
 * once, nothing retried, while the application, both sides' proxies and every part of the control plane are rolled out and killed in turn. A negative
 * control shows that this load does notice a pod that is not drained.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openControlStreams, parseSamples } from '../../host/samples.ts';
import { eventually } from '../harness/eventually.ts';
import type { Kube } from '../harness/kube.ts';
import { LogFollower } from '../harness/log-follower.ts';
import type { Pod } from '../harness/objects.ts';
import { processOfContainer } from '../harness/pod-capture.ts';
import { APP_IMAGE } from '../images/test-images.ts';
import { reportFailures, sharedMesh } from '../shared-cluster.ts';

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

const KINDS = ['http', 'grpc', 'opaque'] as const;
const INJECT = { 'linkerd.io/inject': 'enabled' };
const OPAQUE = { 'config.linkerd.io/opaque-ports': '9001' };
const LOAD = {
  http: { host: 'server', port: 80, path: '/?delay=10', perSecond: 300 },
  grpc: { host: 'server', port: 50_051, streamsPerSecond: 5, messages: 40, everyMs: 25 },
  opaque: { host: 'server', port: 9001, connections: 6, everyMs: 50 },
};

let kube: Kube;
let control: Kube;
reportFailures(() => [kube, control]);

beforeAll(async () => {
  const mesh = await sharedMesh();
  control = mesh.in('linkerd');
  kube = await mesh.createNamespace('restarts', { annotations: INJECT });
  const server = {
    name: 'server',
    image: APP_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '/app/server.cjs'],
    env: [{ name: 'NAME', value: 'server' }],
    ports: [
      { name: 'http', containerPort: 8080 },
      { name: 'talk', containerPort: 9001 },
      { name: 'grpc', containerPort: 50_051 },
    ],
    readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 2 },
    // Kubernetes ends a pod and takes it from the endpoints at the same time: as everywhere, it serves a little longer.
    lifecycle: { preStop: { sleep: { seconds: 5 } } },
  };
  await kube.apply(
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'server' },
      spec: {
        replicas: 3,
        strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
        selector: { matchLabels: { app: 'server' } },
        template: { metadata: { labels: { app: 'server' }, annotations: OPAQUE }, spec: { containers: [server] } },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'server', annotations: OPAQUE },
      spec: {
        selector: { app: 'server' },
        ports: [
          { name: 'http', port: 80, targetPort: 'http' },
          { name: 'talk', port: 9001, targetPort: 'talk' },
          { name: 'grpc', port: 50_051, targetPort: 'grpc' },
        ],
      },
    },
  );
  await kube.rollout('deploy/server');
}, 400_000);
afterAll(async () => kube?.deleteNamespace(false));

function loadManifest(replicas: number): object {
  const container = {
    name: 'load',
    image: APP_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '/app/load.cjs', JSON.stringify(LOAD)],
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'load' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'load' } },
      template: { metadata: { labels: { app: 'load' } }, spec: { containers: [container] } },
    },
  };
}

/** Streams to the control plane that the load's proxy holds open. */
async function openStreams(): Promise<number> {
  const { body } = await kube.curl('deploy/load', 'http://127.0.0.1:4191/metrics', { container: 'load' });
  return openControlStreams(parseSamples(body));
}

/** The load's proxy has as many streams as before. What ends while it cannot be told is another matter: nobody can know of a pod that goes in that time. */
async function told(streams: number): Promise<void> {
  let seen = 0;
  const isTold = async (): Promise<boolean> => {
    seen = (await openStreams()) >= streams ? seen + 1 : 0;
    return seen >= 3;
  };
  await eventually('the proxy of the load has its streams again', isTold, { timeoutMs: 120_000 });
}

/** Ends a container's process without warning, and waits until the kubelet has started it again. */
async function kill(where: Kube, selector: string, container: string): Promise<void> {
  const [pod] = await where.pods(selector);
  if (pod === undefined) throw new Error(`no pod has ${selector}`);
  const starts = (one: Pod | undefined): number =>
    [...(one?.status.containerStatuses ?? []), ...(one?.status.initContainerStatuses ?? [])].find(({ name }) => name === container)
      ?.restartCount ?? 0;
  process.kill(processOfContainer(pod, container), 'SIGKILL');
  await eventually(
    `${container} runs again`,
    async () => {
      const now = await where.get<Pod>('pod', pod.metadata.name);
      return starts(now) > starts(pod) && now?.status.containerStatuses?.every(({ ready }) => ready);
    },
    { timeoutMs: 120_000 },
  );
}

it(
  '[OP-06][PROTO-24][LB-20] fails no request, breaks no stream and loses no byte while everything restarts',
  { timeout: 900_000 },
  async () => {
    const logs = await LogFollower.start(kube, 'app=load', 'load');
    const failures = (): string[] => logs.all.flatMap((text) => text.match(/^FAILED.*$/gm) ?? []);
    const log: string[] = [];
    let streams = 1;
    const startedMs = performance.now();
    try {
      await kube.apply(loadManifest(1));
      await kube.rollout('deploy/load');
      const destination = 'linkerd.io/control-plane-component=destination';
      const steps: [string, () => Promise<unknown>][] = [
        ['the application is rolled out', () => kube.restart('deploy/server')],
        ['the load and its proxy are rolled out', () => kube.restart('deploy/load')],
        ['destination and policy are rolled out', () => control.restart('deploy/linkerd-destination')],
        ['identity is rolled out', () => control.restart('deploy/linkerd-identity')],
        ['the injector is rolled out', () => control.restart('deploy/linkerd-proxy-injector')],
        ['destination is killed', () => kill(control, destination, 'destination')],
        ['policy is killed', () => kill(control, destination, 'policy')],
        ['the proxy before them is killed', () => kill(control, destination, 'linkerd-proxy')],
        ['identity is killed', () => kill(control, 'linkerd.io/control-plane-component=identity', 'identity')],
        ['the injector is killed', () => kill(control, 'linkerd.io/control-plane-component=proxy-injector', 'proxy-injector')],
        ['the load is told of changes again', () => told(streams)],
        ['the application is rolled out once more', () => kube.restart('deploy/server')],
      ];
      for (const [name, step] of steps) {
        const before = failures().length;
        if (name === 'destination is killed') streams = await openStreams();
        await step();
        log.push(`${name}: ${failures().length - before} failures at ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
      }
      await kube.apply(loadManifest(0));
      await kube.podsGone('app=load');
      const ended = await eventually('all reports', () => {
        const reports = logs.all.flatMap((text) =>
          [...text.matchAll(/^REPORT (.*)$/gm)].map(([, json]) => JSON.parse(json ?? '') as Report),
        );
        return reports.length === logs.all.length && reports;
      });
      const failed = failures();
      expect(failed.length === 0 ? [] : [...log, ...failed]).toEqual([]);
      expect(ended.length).toBe(2);
      const sum = (pick: (report: Report) => number): number => ended.reduce((total, report) => total + pick(report), 0);
      expect(sum(({ lost }) => lost)).toBe(0);
      for (const kind of KINDS) {
        expect(sum((report) => report[kind].failed)).toBe(0);
        expect(sum((report) => report[kind].done)).toBe(sum((report) => report[kind].begun));
      }
      // At least a minute of it, whatever the machine was busy with.
      expect(sum(({ http }) => http.done)).toBeGreaterThanOrEqual(60 * 300);
      expect(new Set(ended.flatMap(({ http }) => Object.keys(http.pods))).size).toBeGreaterThanOrEqual(9);
    } finally {
      logs.stop();
    }
  },
);

it('notices a server whose proxy is killed instead of drained', { timeout: 300_000 }, async () => {
  const logs = await LogFollower.start(kube, 'app=load', 'load');
  try {
    await kube.apply(loadManifest(1));
    await kube.rollout('deploy/load');
    await eventually('load', () => logs.all.some((text) => text.includes('LOADING')));
    await sleep(3000);
    await kill(kube, 'app=server', 'linkerd-proxy');
    await kube.apply(loadManifest(0));
    await kube.podsGone('app=load');
    const report = await eventually('the report', () => /^REPORT (.*)$/m.exec(logs.all.at(-1) ?? '')?.[1]);
    const { http, grpc, opaque } = JSON.parse(report) as Report;
    expect(http.done).toBeGreaterThan(0);
    expect(http.failed + grpc.failed + opaque.failed).toBeGreaterThan(0);
  } finally {
    logs.stop();
  }
});

// SPDX-License-Identifier: Apache-2.0
/* Traffic between meshed pods of a real cluster: what is on the wire, how it is routed, and who may speak. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { parseSamples } from '../host/samples.ts';
import { clientApp, echoApp } from './harness/apps.ts';
import { eventually, eventuallyPasses } from './harness/eventually.ts';
import type { Kube } from './harness/kube.ts';
import type { Echo } from './harness/objects.ts';
import { isTls, PodCapture } from './harness/pod-capture.ts';
import { APP_IMAGE } from './images/test-images.ts';
import { reportFailures, sharedMesh } from './shared-cluster.ts';

let mesh: Kube;
/** Puts a namespace's or a pod's pods into the mesh. */
const INJECT = { 'linkerd.io/inject': 'enabled' };
let kube: Kube;
let outside: Kube;
reportFailures(() => [kube, outside, mesh?.in('linkerd')]);

beforeAll(async () => {
  mesh = await sharedMesh();
  kube = await mesh.createNamespace('traffic', { annotations: INJECT });
  outside = await mesh.createNamespace('outside');
  await kube.apply(
    ...echoApp({ name: 'v1', labels: { group: 'web' } }),
    ...echoApp({ name: 'v2', labels: { group: 'web' } }),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { selector: { group: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    },
    ...clientApp(),
  );
  await outside.apply(...clientApp({ name: 'stranger' }));
  for (const target of ['deploy/v1', 'deploy/v2', 'deploy/client']) await kube.rollout(target);
  await outside.rollout('deploy/stranger');
}, 400_000);
afterAll(async () => {
  await kube?.deleteNamespace(false);
  await outside?.deleteNamespace(false);
});

const ask = async (url: string, headers: Readonly<Record<string, string>> = {}): Promise<Echo> => {
  const { status, body } = await kube.curl('deploy/client', url, { headers });
  if (status !== 200) throw new Error(`${url}: ${status} ${body}`);
  return JSON.parse(body) as Echo;
};

/** Who answers `count` requests, made in one pod at once. */
async function answers(url: string, count: number, headers: readonly string[] = []): Promise<Readonly<Record<string, number>>> {
  const fields = headers.map((field) => `-H '${field}'`).join(' ');
  const script = `for i in $(seq ${count}); do curl -sS -m 10 ${fields} ${url}; done`;
  const { stdout, stderr, code } = await kube.exec('deploy/client', ['sh', '-c', script], { timeoutMs: 120_000 });
  if (code !== 0) throw new Error(stderr);
  const counts: Record<string, number> = {};
  for (const line of stdout.trim().split('\n')) {
    const { name } = JSON.parse(line) as Echo;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

function httpRoute(rules: readonly object[], parent: object = { group: '', kind: 'Service', name: 'web', port: 80 }): object {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'web' },
    spec: { parentRefs: [parent], rules },
  };
}

describe('on the wire', () => {
  it('[ID-02][ID-14] there is TLS between meshed pods, and nothing else', async () => {
    const server = await kube.pod('app=v1');
    const capture = await PodCapture.start(kube, server.metadata.name);
    const secret = `secret-${Date.now()}`;
    onTestFinished(() => capture.kill());
    for (let i = 0; i < 5; i++) expect((await ask(`http://v1/${secret}`)).path).toBe(`/${secret}`);
    const streams = (await capture.stop()).filter(({ bytes }) => bytes.length > 0);
    // Whatever the client's pod said to this one and was told is TLS, and the request is in nothing that went by.
    const client = (await kube.pod('app=client')).status.podIP;
    const ours = streams.filter(({ from, to, isWhole }) => isWhole && (from === client || to === client));
    expect(ours.length).toBeGreaterThanOrEqual(2);
    expect(ours.filter((stream) => !isTls(stream))).toEqual([]);
    expect(streams.filter(({ bytes }) => bytes.includes(secret))).toEqual([]);
  });

  it('[ID-12] a pod outside the mesh is served in plaintext, without an identity', async () => {
    const { status, body } = await outside.curl('deploy/stranger', `http://v1.${kube.namespace}/`);
    expect(status).toBe(200);
    expect((JSON.parse(body) as Echo).headers['l5d-client-id']).toBeUndefined();
  });

  it('[PROTO-03] an opaque port that speaks first works at once, over mTLS', async () => {
    await kube.apply(
      ...echoApp({
        name: 'talker',
        args: ['--tcp', '9000'],
        annotations: { 'config.linkerd.io/opaque-ports': '9000' },
        ports: [{ name: 'talk', port: 9000, targetPort: 9000 }],
        serviceAnnotations: { 'config.linkerd.io/opaque-ports': '9000' },
      }),
    );
    await kube.rollout('deploy/talker');
    const { stdout } = await kube.exec('deploy/client', ['sh', '-c', '(sleep 1; echo hello back; sleep 1) | nc -w 5 talker 9000']);
    expect(stdout).toBe('hello talker\nhello back\n');
    const page = (await kube.curl('deploy/client', 'http://127.0.0.1:4191/metrics')).body;
    expect(
      parseSamples(page).sum('tcp_open_total', { direction: 'outbound', peer: 'dst', tls: 'true', target_port: '9000' }),
    ).toBeGreaterThan(0);
  });

  it('[LB-06][LB-07] a pod of a StatefulSet is reached by its own name, over mTLS', async () => {
    await kube.apply(
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'set' },
        spec: { clusterIP: 'None', selector: { app: 'set' }, ports: [{ name: 'http', port: 8080 }] },
      },
      {
        apiVersion: 'apps/v1',
        kind: 'StatefulSet',
        metadata: { name: 'set' },
        spec: {
          replicas: 2,
          serviceName: 'set',
          podManagementPolicy: 'Parallel',
          selector: { matchLabels: { app: 'set' } },
          template: {
            metadata: { labels: { app: 'set' } },
            spec: {
              terminationGracePeriodSeconds: 2,
              containers: [
                {
                  name: 'echo',
                  image: APP_IMAGE,
                  imagePullPolicy: 'IfNotPresent',
                  command: ['node', '/app/echo.mjs'],
                  ports: [{ containerPort: 8080 }],
                },
              ],
            },
          },
        },
      },
    );
    await kube.rollout('statefulset/set');
    for (const pod of ['set-0', 'set-1']) {
      const seen = await eventually(`an answer of ${pod}`, () => ask(`http://${pod}.set:8080/`));
      expect(seen.pod).toBe(pod);
      expect(seen.headers['l5d-client-id']).toBe(`client.${kube.namespace}.serviceaccount.identity.linkerd.cluster.local`);
    }
  });

  it('[PROTO-08] carries HTTP/2 of the application as HTTP/2', async () => {
    const { body } = await kube.curl('deploy/client', 'http://web/', { args: ['--http2-prior-knowledge'] });
    expect((JSON.parse(body) as Echo).version).toBe('2.0');
  });
});

describe('routes', () => {
  it('[RT-07][RT-14][RT-21][RT-27] a canary takes its share, and more when its weight grows', async () => {
    expect(Object.keys(await answers('http://web/', 20)).toSorted()).toEqual(['v1', 'v2']);
    const split = (v1: number, v2: number): object =>
      httpRoute([
        {
          backendRefs: [
            { name: 'v1', port: 80, weight: v1 },
            { name: 'v2', port: 80, weight: v2 },
          ],
        },
      ]);
    await kube.apply(split(100, 0));
    await eventually('the route is accepted', async () =>
      JSON.stringify((await kube.get('httproutes.gateway.networking.k8s.io', 'web'))?.status).includes('"Accepted"'),
    );
    await eventuallyPasses(async () => expect(await answers('http://web/', 20)).toEqual({ v1: 20 }));
    await kube.apply(split(50, 50));
    await eventuallyPasses(async () => {
      const { v1 = 0, v2 = 0 } = await answers('http://web/', 60);
      expect(Math.min(v1, v2)).toBeGreaterThanOrEqual(10);
    });
    await kube.apply(split(0, 100));
    await eventuallyPasses(async () => expect(await answers('http://web/', 20)).toEqual({ v2: 20 }));
  });

  it('[RT-06][RT-23] a header chooses the version, for HTTP and by method for gRPC', async () => {
    await kube.apply(
      httpRoute([
        { matches: [{ headers: [{ name: 'x-canary', value: 'true' }] }], backendRefs: [{ name: 'v2', port: 80 }] },
        { backendRefs: [{ name: 'v1', port: 80 }] },
      ]),
    );
    await eventuallyPasses(async () => {
      expect(await answers('http://web/', 10)).toEqual({ v1: 10 });
      expect(await answers('http://web/', 10, ['x-canary: true'])).toEqual({ v2: 10 });
    });
  });

  it('[RT-02] a GRPCRoute routes by service and method', async () => {
    await kube.remove(httpRoute([]));
    await kube.apply({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'GRPCRoute',
      metadata: { name: 'web-grpc' },
      spec: {
        parentRefs: [{ group: '', kind: 'Service', name: 'web', port: 80 }],
        rules: [
          { matches: [{ method: { service: 'shop.Cart', method: 'Add' } }], backendRefs: [{ name: 'v2', port: 80 }] },
          { matches: [{ method: { service: 'shop.Cart' } }], backendRefs: [{ name: 'v1', port: 80 }] },
        ],
      },
    });
    const call = async (method: string): Promise<string | undefined> => {
      const { headers } = await kube.curl('deploy/client', `http://web/shop.Cart/${method}`, {
        headers: { 'content-type': 'application/grpc', te: 'trailers' },
        args: ['--http2-prior-knowledge', '-X', 'POST', '--data-binary', 'x', '-o', '/dev/null'],
      });
      return headers['x-pod']?.split('-')[0];
    };
    await eventuallyPasses(async () => {
      expect(await call('Add')).toBe('v2');
      expect(await call('Get')).toBe('v1');
    });
    await kube.kubectl(['delete', 'grpcroute', 'web-grpc']);
  });
});

describe('policy', () => {
  it('[AZ-07][ANN-18] default policies admit whom they say', async () => {
    for (const policy of ['deny', 'all-authenticated', 'all-unauthenticated'] as const) {
      await kube.apply(...echoApp({ name: policy, annotations: { 'config.linkerd.io/default-inbound-policy': policy } }));
    }
    for (const policy of ['deny', 'all-authenticated', 'all-unauthenticated']) await kube.rollout(`deploy/${policy}`);
    const statuses = async (policy: string): Promise<readonly number[]> => {
      const url = `http://${policy}.${kube.namespace}/`;
      return [(await kube.curl('deploy/client', url)).status, (await outside.curl('deploy/stranger', url)).status];
    };
    // Every node learns of a new Service in its own time.
    await eventuallyPasses(async () => {
      expect(await statuses('deny')).toEqual([403, 403]);
      expect(await statuses('all-authenticated')).toEqual([200, 403]);
      expect(await statuses('all-unauthenticated')).toEqual([200, 200]);
    });
  });

  it('[AZ-01][AZ-03][AZ-04] an AuthorizationPolicy admits one service account and nobody else', async () => {
    await kube.apply(
      {
        apiVersion: 'policy.linkerd.io/v1beta3',
        kind: 'Server',
        metadata: { name: 'v1' },
        spec: { podSelector: { matchLabels: { app: 'v1' } }, port: 'http' },
      },
      {
        apiVersion: 'policy.linkerd.io/v1alpha1',
        kind: 'MeshTLSAuthentication',
        metadata: { name: 'client' },
        spec: { identityRefs: [{ kind: 'ServiceAccount', name: 'client' }] },
      },
      {
        apiVersion: 'policy.linkerd.io/v1alpha1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'v1' },
        spec: {
          targetRef: { group: 'policy.linkerd.io', kind: 'Server', name: 'v1' },
          requiredAuthenticationRefs: [{ group: 'policy.linkerd.io', kind: 'MeshTLSAuthentication', name: 'client' }],
        },
      },
    );
    await eventuallyPasses(async () => {
      expect((await kube.curl('deploy/client', 'http://v1/')).status).toBe(200);
      expect((await kube.curl('deploy/v2', 'http://v1/')).status).toBe(403);
      expect((await outside.curl('deploy/stranger', `http://v1.${kube.namespace}/`)).status).toBe(403);
    });
    await kube.kubectl(['delete', 'server', 'v1']);
    await eventuallyPasses(async () => expect((await kube.curl('deploy/v2', 'http://v1/')).status).toBe(200));
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * What a mesh needs of the cluster that it is tested on, proved without any mesh: addresses, names, tokens, redirects in init containers, native
 * sidecars, admission webhooks, and the tests' own ways to look in. Where one of these fails, no other suite's failure means anything.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Cluster } from './cluster.ts';
import { clientApp, echoApp } from './harness/apps.ts';
import { output, runCommand } from './harness/command.ts';
import { eventually, eventuallyPasses } from './harness/eventually.ts';
import { Kube } from './harness/kube.ts';
import { Load } from './harness/load.ts';
import type { Echo, Pod } from './harness/objects.ts';
import { PodCapture, processOfPod } from './harness/pod-capture.ts';
import { selfSigned } from './harness/self-signed.ts';
import { APP_IMAGE } from './images/test-images.ts';
import { reportFailures, sharedCluster } from './shared-cluster.ts';

const AUDIENCE = 'mesh.example';
const CLIENT = 'deploy/client';
let cluster: Cluster;
let kube: Kube;
let webPod: Pod;

reportFailures(() => [kube]);

beforeAll(async () => {
  cluster = await sharedCluster();
  kube = await new Kube(cluster).createNamespace('provider');
  const token = { serviceAccountToken: { path: 'mesh', audience: AUDIENCE, expirationSeconds: 600 } };
  await kube.apply(
    ...echoApp({ name: 'web', replicas: 2, serviceSpec: { type: 'NodePort' } }),
    ...clientApp(),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web-headless' },
      spec: { clusterIP: 'None', selector: { app: 'web' }, ports: [{ name: 'http', port: 8080 }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'bearer' },
      spec: {
        serviceAccountName: 'client',
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'c',
            image: APP_IMAGE,
            command: ['sleep', '1000000'],
            volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets/tokens' }],
          },
        ],
        volumes: [{ name: 'token', projected: { sources: [token] } }],
      },
    },
  );
  await kube.rollout('deploy/web');
  await kube.rollout(CLIENT);
  await kube.waitFor('pod/bearer', 'condition=Ready');
  [webPod] = (await kube.pods('app=web')) as [Pod];
});
afterAll(async () => kube?.deleteNamespace(false));

const ask = async (url: string): Promise<Echo> => JSON.parse((await kube.curl(CLIENT, url)).body) as Echo;
/** From this machine, outside every pod. */
const askFromHere = async (url: string): Promise<Echo> => (await (await fetch(url)).json()) as Echo;

describe('addresses and names', () => {
  it('has the nodes asked for, each ready in its own zone', async () => {
    const nodes = await kube.list<{ readonly metadata: { readonly name: string; readonly labels: Record<string, string> } }>('nodes');
    const zones = nodes.map(({ metadata }) => [metadata.name, metadata.labels['topology.kubernetes.io/zone']]);
    expect(Object.fromEntries(zones)).toEqual(Object.fromEntries(cluster.nodes.map(({ name, zone }) => [name, zone])));
    expect(new Set(cluster.nodes.map(({ zone }) => zone)).size).toBe(cluster.nodes.length);
  });

  it('reaches a pod by its address, which the pod sees unchanged', async () => {
    const client = await kube.pod('app=client');
    expect((await ask(`http://${webPod.status.podIP}:8080/`)).from).toContain(client.status.podIP);
  });

  it.each(['web', 'web.NAMESPACE', 'web.NAMESPACE.svc.cluster.local'])('reaches a Service as %s', async (name) => {
    // Every node learns of a new Service in its own time.
    await eventuallyPasses(async () => expect((await ask(`http://${name.replace('NAMESPACE', kube.namespace)}/`)).name).toBe('web'));
  });

  it('balances a Service over its pods', async () => {
    const loop = 'for i in $(seq 40); do curl -s http://web/; done';
    const { stdout } = await kube.exec(CLIENT, ['sh', '-c', loop]);
    expect(
      new Set(
        stdout
          .trim()
          .split('\n')
          .map((line) => (JSON.parse(line) as Echo).pod),
      ).size,
    ).toBe(2);
  });

  it('gives a headless Service the addresses of its pods', async () => {
    const name = `web-headless.${kube.namespace}.svc.cluster.local`;
    const { stdout } = await kube.exec(CLIENT, ['nslookup', name]);
    for (const pod of await kube.pods('app=web')) expect(stdout).toContain(pod.status.podIP);
  });

  it('lets a pod reach itself through its own Service', async () => {
    const { stdout } = await kube.exec(webPod.metadata.name, ['sh', '-c', 'for i in $(seq 20); do curl -s -m 3 http://web/; done']);
    const pods = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as Echo).pod);
    expect(pods).toHaveLength(20);
    expect(pods).toContain(webPod.metadata.name);
  });

  it('reaches the API server from a pod with its own token', async () => {
    const script =
      'curl -sk -H "Authorization: Bearer $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)" https://kubernetes.default.svc/version';
    const { stdout } = await kube.exec(CLIENT, ['sh', '-c', script]);
    expect(JSON.parse(stdout)).toHaveProperty('gitVersion');
  });

  it('lets this machine reach nodes, and on the local provider pods and Services too', async () => {
    const service = await kube.get<{
      readonly spec: { readonly clusterIP: string; readonly ports: readonly { readonly nodePort: number }[] };
    }>('service', 'web');
    for (const { addresses } of cluster.nodes)
      expect((await askFromHere(`http://${addresses[0]}:${service?.spec.ports[0]?.nodePort}/`)).name).toBe('web');
    if (cluster.provider !== 'local') return;
    expect((await askFromHere(`http://${service?.spec.clusterIP}/`)).name).toBe('web');
    expect((await askFromHere(`http://${webPod.status.podIP}:8080/`)).pod).toBe(webPod.metadata.name);
  });
});

describe('the ways to look in', () => {
  it('executes, with input, status and both outputs', async () => {
    expect(await kube.exec(CLIENT, ['cat'], { input: 'hi' })).toEqual({ code: 0, stdout: 'hi', stderr: '' });
    expect(await kube.exec(CLIENT, ['sh', '-c', 'echo no >&2; exit 7'])).toMatchObject({
      code: 7,
      stderr: expect.stringContaining('no') as string,
    });
  });

  it('reads logs and events', async () => {
    expect(await kube.logs(webPod.metadata.name)).toBe('listening 8080\n');
    await eventuallyPasses(async () =>
      expect((await kube.events(`Pod/${webPod.metadata.name}`)).map(({ reason }) => reason)).toContain('Started'),
    );
  });

  it('forwards a port of a Service', async () => {
    const forward = await kube.portForward('service/web', 80);
    try {
      expect((await askFromHere(`http://127.0.0.1:${forward.port}/`)).name).toBe('web');
    } finally {
      forward.close();
    }
  });

  it('tells status and fields of an answer that is no success', async () => {
    expect(await kube.curl(CLIENT, 'http://web/?status=503')).toMatchObject({
      status: 503,
      headers: { 'content-type': 'application/json' },
    });
    await expect(kube.curl(CLIENT, 'http://127.0.0.1:1/')).rejects.toThrow('ended with 7');
  });

  it('speaks HTTP/2 with prior knowledge to the server of tests', async () => {
    const { body } = await kube.curl(CLIENT, 'http://web/', { args: ['--http2-prior-knowledge'] });
    expect((JSON.parse(body) as Echo).version).toBe('2.0');
  });

  it('captures what goes over a pod’s link', async () => {
    const marker = `x-marker-${randomBytes(4).toString('hex')}`;
    const capture = await PodCapture.start(kube, webPod.metadata.name);
    await kube.curl(CLIENT, `http://${webPod.status.podIP}:8080/${marker}`);
    const streams = await capture.stop();
    expect(streams.some((stream) => stream.isClient && stream.toPort === 8080 && stream.bytes.includes(marker))).toBe(true);
  });

  it('runs commands on a node', async () => {
    const [node] = cluster.nodes as [Cluster['nodes'][0]];
    expect(await output(cluster.nodeCommand(node.name, ['cat', '/proc/sys/net/ipv4/ip_forward']))).toBe('1\n');
    expect(() => cluster.nodeCommand('node77', ['true'])).toThrow('has no node node77');
  });

  it('keeps a steady load on a Service and counts every answer', async () => {
    const load = await Load.start(kube, { url: 'http://web/', rate: 20 });
    const before = (await load.soFar()).ok;
    await eventually('more answers', async () => (await load.soFar()).ok >= before + 20);
    const result = await load.stop();
    expect(result).toMatchObject({ failed: 0, statuses: { 200: result.sent }, bodies: { web: result.ok } });
  });
});

describe('tokens', () => {
  const review = async (
    token: string,
    audience: string,
  ): Promise<{ readonly authenticated?: boolean; readonly user?: { readonly username?: string } }> => {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [audience] } };
    const answer = await kube.kubectl(['create', '-o', 'json', '-f', '-'], { input: JSON.stringify(body) });
    return (JSON.parse(answer) as { readonly status: { readonly authenticated?: boolean } }).status;
  };

  it('reviews a projected token for its own audience only', async () => {
    const { stdout: token } = await kube.exec('bearer', ['cat', '/var/run/secrets/tokens/mesh']);
    expect(await review(token, AUDIENCE)).toMatchObject({
      authenticated: true,
      user: { username: `system:serviceaccount:${kube.namespace}:client` },
    });
    expect((await review(token, 'other')).authenticated).not.toBe(true);
  });

  it('issues one on request', async () => {
    const token = await kube.kubectl(['create', 'token', 'client', `--audience=${AUDIENCE}`]);
    expect((await review(token.trim(), AUDIENCE)).authenticated).toBe(true);
  });
});

describe('admission', () => {
  const hook = (namespaceLabel: string, clientConfig: object): object => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: `hook-${kube.namespace}` },
    webhooks: [
      {
        name: 'hook.mesh.example',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Fail',
        timeoutSeconds: 5,
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespaceLabel } },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
        clientConfig,
      },
    ],
  });

  it('asks a webhook on this machine by URL, and obeys its patch and its refusal', async () => {
    const address = cluster.hostAddress ?? '';
    const certificate = await selfSigned([`IP:${address}`]);
    const server: Server = createServer({ key: certificate.key, cert: certificate.certificate }, (request, response) => {
      let text = '';
      request.on('data', (piece: Buffer) => (text += piece.toString()));
      request.on('end', () => {
        const { uid, name } = (JSON.parse(text) as { readonly request: { readonly uid: string; readonly name: string } }).request;
        const patch = Buffer.from(JSON.stringify([{ op: 'add', path: '/data', value: { hooked: 'yes' } }])).toString('base64');
        const verdict =
          name === 'bad' ? { allowed: false, status: { message: 'not this one' } } : { allowed: true, patchType: 'JSONPatch', patch };
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, ...verdict } }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    const { port } = server.address() as { readonly port: number };
    const own = await kube.createNamespace('hook');
    const configuration = hook(own.namespace, {
      url: `https://${address}:${port}/`,
      caBundle: Buffer.from(certificate.certificate).toString('base64'),
    });
    try {
      await kube.apply(configuration);
      const map = (name: string): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: {} });
      await eventually('the webhook is asked', async () => {
        await own.apply(map(`good-${randomBytes(2).toString('hex')}`));
        return (await own.list<{ readonly data?: Record<string, string> }>('configmaps')).some(({ data }) => data?.hooked === 'yes');
      });
      expect(await own.tryApply([map('bad')])).toMatchObject({ code: 1, stderr: expect.stringContaining('not this one') as string });
    } finally {
      await kube.remove(configuration);
      server.close();
      await own.deleteNamespace(false);
    }
  });

  it('validates custom resources by schema and by rule', async () => {
    const definition = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'gauges.mesh.example' },
      spec: {
        group: 'mesh.example',
        scope: 'Namespaced',
        names: { kind: 'Gauge', plural: 'gauges', singular: 'gauge' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: 'object',
                properties: {
                  spec: {
                    type: 'object',
                    required: ['port'],
                    properties: { port: { type: 'integer' }, proto: { type: 'string', default: 'HTTP/1' } },
                    'x-kubernetes-validations': [{ rule: 'self.port != 22', message: 'port 22 is not allowed' }],
                  },
                },
              },
            },
          },
        ],
      },
    };
    const gauge = (port: number): object => ({
      apiVersion: 'mesh.example/v1',
      kind: 'Gauge',
      metadata: { name: `g${port}` },
      spec: { port },
    });
    await kube.apply(definition);
    try {
      await kube.waitFor('crd/gauges.mesh.example', 'condition=Established');
      await eventually('the kind is served', async () => (await kube.tryApply([gauge(80)])).code === 0);
      expect(await kube.get('gauge', 'g80')).toMatchObject({ spec: { port: 80, proto: 'HTTP/1' } });
      expect(await kube.tryApply([gauge(22)])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('port 22 is not allowed') as string,
      });
    } finally {
      await kube.remove(definition);
    }
  });
});

describe('a node’s kernel and runtime', () => {
  const RESTRICTED = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, seccompProfile: { type: 'RuntimeDefault' } };
  const side = {
    name: 'side',
    image: APP_IMAGE,
    restartPolicy: 'Always',
    command: ['node', '/app/echo.mjs', '--name', 'side', '--port', '4143'],
    securityContext: { ...RESTRICTED, runAsUser: 2102, runAsNonRoot: true, readOnlyRootFilesystem: true },
    startupProbe: { httpGet: { path: '/healthz', port: 4143 }, periodSeconds: 1 },
  };

  it('runs a native sidecar, whose redirect in the pod’s namespace takes what comes in', async () => {
    const name = 'redirected';
    const main = {
      name: 'main',
      image: APP_IMAGE,
      command: ['node', '/app/echo.mjs', '--name', 'main'],
      readinessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
    };
    await kube.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { terminationGracePeriodSeconds: 1, initContainers: [side], containers: [main] },
    });
    await kube.waitFor(`pod/${name}`, 'condition=Ready');
    const pod = await kube.get<Pod>('pod', name);
    expect((await ask(`http://${pod?.status.podIP}:8080/`)).name).toBe('main');
    if (cluster.provider !== 'local') return;
    const redirect = ['-t', 'nat', '-A', 'PREROUTING', '-p', 'tcp', '--dport', '8080', '-j', 'REDIRECT', '--to-port', '4143'];
    const inPod = ['nsenter', '-t', String(processOfPod(pod as Pod)), '-n'];
    expect(await runCommand([...inPod, 'iptables-nft', ...redirect])).toMatchObject({ code: 0 });
    expect((await ask(`http://${pod?.status.podIP}:8080/`)).name).toBe('side');
  });

  it('ends a Job with a native sidecar when its main container ends', async () => {
    const spec = {
      restartPolicy: 'Never',
      initContainers: [side],
      containers: [{ name: 'main', image: APP_IMAGE, command: ['curl', '-sf', 'http://127.0.0.1:4143/'] }],
    };
    await kube.apply({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'job' }, spec: { backoffLimit: 0, template: { spec } } });
    await expect(kube.waitFor('job/job', 'condition=Complete')).resolves.toBeUndefined();
  });

  it('serves kubelet’s statistics through the API server', async () => {
    expect(await kube.kubectl(['get', '--raw', `/api/v1/nodes/${cluster.nodes[0]?.name}/proxy/stats/summary`])).toContain('"cpu"');
  });

  it('replaces pods, and the Service follows', async () => {
    const before = (await kube.pods('app=web')).map(({ metadata }) => metadata.name);
    await kube.restart('deploy/web');
    await eventuallyPasses(async () => expect(before).not.toContain((await ask('http://web/')).pod));
  });
});

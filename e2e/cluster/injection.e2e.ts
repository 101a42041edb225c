// SPDX-License-Identifier: Apache-2.0
/* Pods get into the mesh as users put them there, and what becomes of every kind of pod: annotations, Jobs, init containers, probes, UDP, skips. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientApp, echoApp } from './harness/apps.ts';
import { eventually, eventuallyPasses } from './harness/eventually.ts';
import type { Kube } from './harness/kube.ts';

import type { Echo, Pod } from './harness/objects.ts';
import { APP_IMAGE } from './images/test-images.ts';
import { reportFailures, sharedMesh } from './shared-cluster.ts';

let mesh: Kube;
/** Puts a namespace's or a pod's pods into the mesh. */
const INJECT = { 'linkerd.io/inject': 'enabled' };
let kube: Kube;
reportFailures(() => [kube, mesh?.in('linkerd')]);

beforeAll(async () => {
  mesh = await sharedMesh();
  kube = await mesh.createNamespace('inject', { annotations: INJECT });
}, 400_000);
afterAll(async () => kube?.deleteNamespace(false));

const names = (containers: Pod['spec']['containers'] | undefined): string[] => (containers ?? []).map(({ name }) => name);

/** A pod that runs `script` in a shell of the image for tests. */
function scriptPod(name: string, script: string, spec: object = {}, annotations: Readonly<Record<string, string>> = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name }, annotations },
    spec: {
      terminationGracePeriodSeconds: 2,
      containers: [{ name: 'app', image: APP_IMAGE, imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', script] }],
      ...spec,
    },
  };
}

describe('a pod in an annotated namespace', () => {
  beforeAll(async () => {
    await kube.apply(...echoApp({ name: 'web', replicas: 2 }), ...clientApp());
    for (const target of ['deploy/web', 'deploy/client']) await kube.rollout(target);
  });

  it('[INJ-01][INJ-02][INJ-08][INJ-09][INJ-10][INJ-13][INJ-16] gets a native sidecar, its init container, labels and volumes', async () => {
    const [pod] = await kube.pods('app=web');
    expect(names(pod?.spec.initContainers)).toEqual(['linkerd-init', 'linkerd-proxy']);
    expect(names(pod?.spec.containers)).toEqual(['echo']);
    expect(pod?.spec.initContainers?.[1]?.restartPolicy).toBe('Always');
    expect(pod?.metadata.labels).toMatchObject({
      'linkerd.io/control-plane-ns': 'linkerd',
      'linkerd.io/workload-ns': kube.namespace,
      'linkerd.io/proxy-deployment': 'web',
    });
    expect(pod?.metadata.annotations).toMatchObject({ 'linkerd.io/trust-root-sha256': expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(pod?.status.initContainerStatuses?.map(({ restartCount }) => restartCount)).toEqual([0, 0]);
  });

  it('[INJ-05] tells its owner', async () => {
    const injected = await eventually('the event', async () =>
      (await kube.events('Deployment/web')).find(({ reason }) => reason === 'Injected'),
    );
    expect(injected).toMatchObject({ type: 'Normal', message: 'Linkerd sidecar proxy injected' });
  });

  it('[ID-01][ID-10] is known to the application by its identity', async () => {
    const answer = await kube.curl('deploy/client', 'http://web/', { headers: { 'l5d-client-id': 'somebody.else' } });
    expect(answer.status).toBe(200);
    expect((JSON.parse(answer.body) as Echo).headers['l5d-client-id']).toBe(
      `client.${kube.namespace}.serviceaccount.identity.linkerd.cluster.local`,
    );
  });
});

describe('a pod that says otherwise', () => {
  it('[INJ-02][INJ-04][ANN-31] stays as it is, with an event where that is a surprise', async () => {
    await kube.apply(
      scriptPod('disabled', 'sleep 1000', {}, { 'linkerd.io/inject': 'disabled' }),
      scriptPod('hosted', 'sleep 1000', { hostNetwork: true }),
      scriptPod('classic', 'sleep 1000', {}, { 'config.linkerd.io/proxy-enable-native-sidecar': 'false' }),
    );
    for (const name of ['disabled', 'hosted', 'classic']) await kube.waitFor(`pod/${name}`, 'condition=Ready');
    const containers = async (name: string): Promise<string[]> => names((await kube.get<Pod>('pod', name))?.spec.containers);
    expect(await containers('disabled')).toEqual(['app']);
    expect(await containers('hosted')).toEqual(['app']);
    // A classic sidecar comes first, and the application waits for it.
    expect(await containers('classic')).toEqual(['linkerd-proxy', 'app']);
  });
});

it('[INJ-07] defaults opaque ports of Services and pods', async () => {
  await kube.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'db' },
    spec: {
      selector: { app: 'db' },
      ports: [
        { name: 'mysql', port: 3306 },
        { name: 'http', port: 80 },
      ],
    },
  });
  expect((await kube.get('service', 'db'))?.metadata.annotations).toMatchObject({ 'config.linkerd.io/opaque-ports': '3306' });
});

it('[INJ-10][OP-07] lets a Job finish', async () => {
  await kube.apply({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'once' },
    spec: {
      backoffLimit: 2,
      template: {
        metadata: { annotations: INJECT },
        spec: {
          restartPolicy: 'Never',
          containers: [
            { name: 'once', image: APP_IMAGE, imagePullPolicy: 'IfNotPresent', command: ['curl', '-sSf', '-m', '10', 'http://web/'] },
          ],
        },
      },
    },
  });
  await kube.waitFor('job/once', 'condition=Complete');
  const [pod] = await kube.list<Pod>('pods', 'batch.kubernetes.io/job-name=once');
  expect(names(pod?.spec.initContainers)).toContain('linkerd-proxy');
  expect(pod?.metadata.labels).toMatchObject({ 'linkerd.io/proxy-job': 'once' });
});

it('[INJ-10] gives init containers the network of the mesh', async () => {
  const init = { name: 'first', image: APP_IMAGE, imagePullPolicy: 'IfNotPresent', command: ['curl', '-sSf', '-m', '10', 'http://web/'] };
  await kube.apply(scriptPod('prepared', 'sleep 1000', { initContainers: [init] }));
  await kube.waitFor('pod/prepared', 'condition=Ready');
  const seen = JSON.parse(await kube.logs('prepared', { container: 'first' })) as Echo;
  expect(seen.headers['l5d-client-id']).toBe(`default.${kube.namespace}.serviceaccount.identity.linkerd.cluster.local`);
});

it('[INJ-14][AZ-12] answers probes of every kind under a policy that denies everything else', async () => {
  const container = {
    name: 'echo',
    image: APP_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '/app/echo.mjs'],
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 1 },
    livenessProbe: { exec: { command: ['true'] }, periodSeconds: 1 },
    startupProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
  };
  await kube.apply(scriptPod('probed', '', { containers: [container] }, { 'config.linkerd.io/default-inbound-policy': 'deny' }), {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'probed' },
    spec: { selector: { app: 'probed' }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  await kube.waitFor('pod/probed', 'condition=Ready');
  expect((await kube.curl('deploy/client', 'http://probed/')).status).toBe(403);
  expect((await kube.curl('deploy/client', 'http://probed/healthz')).status).toBe(200);
});

it('[INJ-22] leaves UDP alone', async () => {
  const server =
    "const s = require('node:dgram').createSocket('udp4'); s.on('message', (m, from) => s.send('pong', from.port, from.address)); s.bind(9999)";
  const client =
    "const s = require('node:dgram').createSocket('udp4'); s.on('message', (m) => { console.log(String(m)); s.close(); }); s.send('ping', 9999, 'udp'); setTimeout(() => process.exit(1), 2000).unref()";
  await kube.apply(scriptPod('udp', `exec node -e "${server}"`), {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'udp' },
    spec: { selector: { app: 'udp' }, ports: [{ port: 9999, protocol: 'UDP' }] },
  });
  await kube.waitFor('pod/udp', 'condition=Ready');
  await eventuallyPasses(async () => {
    const { stdout } = await kube.exec('deploy/client', ['node', '-e', client]);
    expect(stdout).toBe('pong\n');
  });
});

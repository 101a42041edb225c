// SPDX-License-Identifier: Apache-2.0
/* CNI mode on a cluster of its own: pods without any capability are meshed, the plugin is chained into the node's configuration and taken out again. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, createCluster } from './cluster.ts';
import { clientApp, echoApp } from './harness/apps.ts';
import { conflist, disturbing, INSTALL_CNI, installCniMesh, onNode, startPodsUnderFire } from './harness/cni-mode.ts';
import { eventually, eventuallyPasses } from './harness/eventually.ts';
import { Kube } from './harness/kube.ts';
import { printed } from './harness/mesh.ts';
import type { Echo, Pod } from './harness/objects.ts';
import { reportFailures, secondClusterIndex } from './shared-cluster.ts';

const POD_STARTS = 20;

let cluster: Cluster | undefined;
let kube: Kube;
let cni: Kube;
let apps: Kube;
let original: string;
reportFailures(() => [cni, apps, kube?.in('linkerd')]);

beforeAll(async () => {
  cluster = await createCluster({ nodes: 1, ipFamily: 'ipv4', index: secondClusterIndex(), log: (line) => console.log(`cni: ${line}`) });
  kube = new Kube(cluster);
  cni = kube.in('linkerd-cni');
  original = await conflist(kube, cluster.nodes[0]?.name ?? '');
  await installCniMesh(kube);
  apps = await kube.createNamespace('apps', {
    annotations: { 'linkerd.io/inject': 'enabled' },
    // Nothing in it may ask for a capability.
    labels: { 'pod-security.kubernetes.io/enforce': 'baseline' },
  });
  await apps.apply(...echoApp({ name: 'web' }), ...clientApp());
  for (const target of ['deploy/web', 'deploy/client']) await apps.rollout(target);
}, 500_000);
afterAll(async () => cluster?.destroy());

it('[NET-08][NET-09][NET-10][INJ-13] meshes pods that have no capability, and proves it before they start', async () => {
  const client = await apps.pod('app=client');
  expect(client.spec.initContainers?.map(({ name }) => name)).toEqual(['linkerd-network-validator', 'linkerd-proxy']);
  const answer = await apps.curl('deploy/client', 'http://web/');
  expect((JSON.parse(answer.body) as Echo).headers['l5d-client-id']).toBe(
    `client.${apps.namespace}.serviceaccount.identity.linkerd.cluster.local`,
  );
});

it('[NET-08] is put back where another installer has rewritten the configuration', async () => {
  const [node] = kube.cluster.nodes;
  const name = node?.name ?? '';
  expect(await conflist(kube, name)).toContain('linkerd-cni');
  await onNode(kube, name, 'cat > /etc/cni/net.d/10-bridge.conflist', original);
  await eventuallyPasses(async () => expect(await conflist(kube, name)).toContain('linkerd-cni'));
  const { plugins } = JSON.parse(await conflist(kube, name)) as { readonly plugins: readonly { readonly type: string }[] };
  const before = (JSON.parse(original) as { readonly plugins: readonly { readonly type: string }[] }).plugins.map(({ type }) => type);
  expect(plugins.map(({ type }) => type)).toEqual([...before, 'linkerd-cni']);
});

it(
  `[NET-11] lets none of ${POD_STARTS} pods start unmeshed while plugin and configuration are replaced`,
  { timeout: 900_000 },
  async () => {
    const report = await startPodsUnderFire(apps, POD_STARTS, 'http://web/', disturbing(cni, original));
    expect(report.unmeshed).toEqual([]);
    expect(report.started).toBe(POD_STARTS);
    expect(report.rewrites).toBeGreaterThan(3);
    await cni.rollout('daemonset/linkerd-cni');
  },
);

it('[NET-15] is undone without a trace, and pods start without it', { timeout: 300_000 }, async () => {
  const [node] = kube.cluster.nodes;
  const name = node?.name ?? '';
  await kube.remove(await printed(kube, INSTALL_CNI));
  await eventually(
    'the configuration is as it was',
    async () => JSON.stringify(JSON.parse(await conflist(kube, name))) === JSON.stringify(JSON.parse(original)),
  );
  expect(await onNode(kube, name, 'ls /opt/cni/bin /etc/cni/net.d')).not.toMatch(/linkerd|weft/);
  await kube.in('default').apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'after' },
    spec: { containers: [{ name: 'app', image: 'localhost/app:e2e', imagePullPolicy: 'IfNotPresent', command: ['sleep', '1000'] }] },
  });
  await kube.in('default').waitFor('pod/after', 'condition=Ready');
  expect((await kube.in('default').get<Pod>('pod', 'after'))?.status.phase).toBe('Running');
});

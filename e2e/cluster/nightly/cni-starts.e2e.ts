// SPDX-License-Identifier: Apache-2.0
/* 200 pod starts in CNI mode while the plugin restarts and the node's configuration is rewritten: none starts unmeshed. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, createCluster } from '../cluster.ts';
import { echoApp } from '../harness/apps.ts';
import { conflist, disturbing, installCniMesh, startPodsUnderFire } from '../harness/cni-mode.ts';
import { Kube } from '../harness/kube.ts';
import { reportFailures, secondClusterIndex } from '../shared-cluster.ts';

const POD_STARTS = 200;

let cluster: Cluster | undefined;
let kube: Kube;
let apps: Kube;
let original: string;
reportFailures(() => [kube?.in('linkerd-cni'), apps]);

beforeAll(async () => {
  cluster = await createCluster({ nodes: 1, ipFamily: 'ipv4', index: secondClusterIndex() });
  kube = new Kube(cluster);
  original = await conflist(kube, cluster.nodes[0]?.name ?? '');
  await installCniMesh(kube);
  apps = await kube.createNamespace('apps', { annotations: { 'linkerd.io/inject': 'enabled' } });
  await apps.apply(...echoApp({ name: 'web' }));
  await apps.rollout('deploy/web');
}, 500_000);
afterAll(async () => cluster?.destroy());

it(`[NET-11] lets none of ${POD_STARTS} pods start unmeshed`, { timeout: 3_600_000 }, async () => {
  const report = await startPodsUnderFire(apps, POD_STARTS, 'http://web/', disturbing(kube.in('linkerd-cni'), original));
  console.log(JSON.stringify(report));
  expect(report.unmeshed).toEqual([]);
  expect(report.started).toBe(POD_STARTS);
});

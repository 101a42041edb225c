// SPDX-License-Identifier: Apache-2.0
/*
 * The mesh's trust anchor is replaced on a cluster (features OP-01, ID-09; design §2), as an operator does it: the ConfigMap gets the new anchor beside
 * the old one, the Secret an issuer under the new one, then the old anchor goes. No workload is restarted, no request fails, and pods that start
 * afterwards join. On a cluster of its own, since the anchors are those of a whole mesh.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createTestAuthority } from '@weft/pki/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Samples, parseSamples } from '../host/samples.ts';
import { type Cluster, createCluster } from './cluster.ts';
import { clientApp, echoApp } from './harness/apps.ts';
import { eventually } from './harness/eventually.ts';
import { Kube, allContainers } from './harness/kube.ts';
import { Load } from './harness/load.ts';
import { installMesh } from './harness/mesh.ts';
import type { Pod } from './harness/objects.ts';
import { createOperatorTrust, replaceIssuer, type OperatorTrust } from './harness/operator-trust.ts';
import { reportFailures, secondClusterIndex } from './shared-cluster.ts';

const INJECT = { 'linkerd.io/inject': 'enabled' };
/** The kubelet brings a changed ConfigMap or Secret into running pods within about a minute. */
const KUBELET_PATIENCE_MS = 180_000;

let cluster: Cluster | undefined;
let kube: Kube;
let control: Kube;
let apps: Kube;
let trust: OperatorTrust;
reportFailures(() => [apps, control]);

beforeAll(async () => {
  trust = createOperatorTrust();
  const log = (line: string): void => console.log(`second cluster: ${line}`);
  cluster = await createCluster({ nodes: 1, ipFamily: 'ipv4', index: secondClusterIndex(), log });
  kube = new Kube(cluster);
  control = kube.in('linkerd');
  await installMesh(kube, {
    args: trust.installArgs,
    log,
  });
  apps = await kube.createNamespace('apps', { annotations: INJECT });
  await apps.apply(...echoApp({ name: 'web', replicas: 2 }), ...clientApp());
  for (const target of ['deploy/web', 'deploy/client']) await apps.rollout(target);
}, 600_000);
afterAll(async () => {
  await cluster?.destroy();
  trust?.remove();
});

/** Every pod with a proxy: the applications and the control plane. */
async function meshed(): Promise<readonly Pod[]> {
  const pods = [...(await apps.pods()), ...(await control.pods())];
  return pods.filter(
    (pod) => pod.metadata.deletionTimestamp === undefined && allContainers(pod).some(({ name }) => name === 'linkerd-proxy'),
  );
}

async function everywhere(what: string, isSo: (samples: Samples) => boolean): Promise<void> {
  await eventually(
    what,
    async () => {
      const pages = await Promise.all(
        (await meshed()).map(async ({ status }) => (await fetch(`http://${status.podIP}:4191/metrics`)).text()),
      );
      return pages.every((page) => isSo(parseSamples(page)));
    },
    { timeoutMs: KUBELET_PATIENCE_MS, everyMs: 2000 },
  );
}

const anchors = (pem: string): Promise<string> =>
  control.kubectl(['patch', 'configmap', 'linkerd-identity-trust-roots', '-p', JSON.stringify({ data: { 'ca-bundle.crt': pem } })]);

/** Pods with how often each of their containers was started. */
async function lives(): Promise<readonly string[]> {
  return (await meshed())
    .map(({ metadata, status }) => {
      const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
      return `${metadata.name}: ${all.map(({ name, restartCount }) => `${name} ${restartCount}`).join(', ')}`;
    })
    .toSorted();
}

it('[OP-01][ID-09] a new trust anchor touches no workload and fails no request', { timeout: 900_000 }, async () => {
  const root = createTestAuthority('root.linkerd.cluster.local');
  const issuer = createTestAuthority('identity.linkerd.cluster.local', { parent: root });
  const before = await lives();
  const kept = await Load.start(apps, { url: 'http://web/', rate: 50, annotations: INJECT });
  const fresh = await Load.start(apps, { url: 'http://web/', rate: 20, isFresh: true, annotations: INJECT });

  await anchors(trust.root.certificatePem + root.certificatePem);
  await everywhere('both anchors, everywhere', (samples) => samples.sum('weft_trust_anchors') === 2);

  await replaceIssuer(control, issuer);
  await eventually('the issuer is taken', async () => (await control.events()).some(({ reason }) => reason === 'IssuerUpdated'), {
    timeoutMs: KUBELET_PATIENCE_MS,
    everyMs: 2000,
  });
  // A pod that starts between the two: a certificate under the new anchor, peers under the old one.
  await apps.apply(...clientApp({ name: 'between' }));
  await apps.rollout('deploy/between');
  expect((await apps.curl('deploy/between', 'http://web/')).status).toBe(200);
  await apps.kubectl(['delete', 'deployment', 'between', '--wait=true']);

  await anchors(root.certificatePem);
  await everywhere(
    'a certificate under the new anchor, everywhere',
    (samples) => samples.sum('control_identity_cert_refreshes_total', { result: 'ok' }) >= 2,
  );
  await everywhere('the new anchor alone, everywhere', (samples) => samples.sum('weft_trust_anchors') === 1);
  await sleep(5000);
  const [keptResult, freshResult] = [await kept.stop(), await fresh.stop()];
  expect([keptResult.failures, freshResult.failures]).toEqual([[], []]);
  expect(keptResult.ok).toBeGreaterThan(1000);
  expect(await lives()).toEqual(before);

  await apps.apply(...clientApp({ name: 'newcomer' }));
  await apps.rollout('deploy/newcomer');
  expect((await apps.curl('deploy/newcomer', 'http://web/')).status).toBe(200);
});

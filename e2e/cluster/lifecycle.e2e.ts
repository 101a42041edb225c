// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a highly available mesh, on three nodes of its own: installed with keys that the user brought, its replicas killed one by one, its issuer
 * replaced, and taken away without a trace; traffic goes on meanwhile.
 */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { createTestAuthority } from '@weft/pki/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSamples } from '../host/samples.ts';
import { type Cluster, createCluster } from './cluster.ts';
import { clientApp, echoApp } from './harness/apps.ts';
import { eventually, eventuallyPasses } from './harness/eventually.ts';
import { Kube } from './harness/kube.ts';
import { Load } from './harness/load.ts';
import { installMesh, meshReady, uninstallMesh, weft } from './harness/mesh.ts';
import type { Echo, KubeObject } from './harness/objects.ts';
import { createOperatorTrust, replaceIssuer, type OperatorTrust } from './harness/operator-trust.ts';
import { reportFailures, secondClusterIndex } from './shared-cluster.ts';

const INJECT = { 'linkerd.io/inject': 'enabled' };
const COMPONENTS = ['identity', 'destination', 'proxy-injector'] as const;
/** What the new issuer has left to live, in seconds: less than the first one's year, so that it can be told apart. */
const NEW_ISSUER_S = 200 * 86_400;
/** Kinds whose objects come and go by themselves. */
const RESTLESS: ReadonlySet<string> = new Set(['events', 'events.events.k8s.io', 'leases.coordination.k8s.io', 'pods.metrics.k8s.io']);

let cluster: Cluster | undefined;
let kube: Kube;
let control: Kube;
let apps: Kube;
let trust: OperatorTrust;
let before: readonly string[];
reportFailures(() => [apps, control]);

beforeAll(async () => {
  trust = createOperatorTrust();
  cluster = await createCluster({
    nodes: 3,
    ipFamily: 'ipv4',
    index: secondClusterIndex(),
    log: (line) => console.log(`second cluster: ${line}`),
  });
  kube = new Kube(cluster);
  control = kube.in('linkerd');
  before = await everything();
  await installMesh(kube, {
    args: ['--ha', ...trust.installArgs],
    log: (line) => console.log(`second cluster: ${line}`),
  });
  apps = await kube.createNamespace('apps', { annotations: INJECT });
  await apps.apply(...echoApp({ name: 'web', replicas: 3, isSpread: true }), ...clientApp());
  for (const target of ['deploy/web', 'deploy/client']) await apps.rollout(target);
}, 600_000);
afterAll(async () => {
  await cluster?.destroy();
  trust?.remove();
});

/** Every object of the cluster, as `kind namespace/name`. */
async function everything(): Promise<readonly string[]> {
  const kinds = (await kube.kubectl(['api-resources', '--verbs=list', '-o', 'name'])).trim().split('\n');
  const wanted = kinds.filter((kind) => !RESTLESS.has(kind)).join(',');
  const text = await kube.kubectl(['get', wanted, '--all-namespaces', '-o', 'json', '--ignore-not-found'], { timeoutMs: 120_000 });
  const { items } = JSON.parse(text) as { readonly items: readonly KubeObject[] };
  return items.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`).toSorted();
}

/** The certificate that a pod's proxy shows for an identity. */
async function certificateOf(host: string, servername: string): Promise<X509Certificate> {
  const socket = connect({ host, port: 4143, servername, rejectUnauthorized: false, ALPNProtocols: ['transport.l5d.io/v1'] });
  try {
    await once(socket, 'secureConnect');
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) throw new Error(`${servername} shows no certificate`);
    return certificate;
  } finally {
    socket.destroy();
  }
}

describe('three replicas of everything', () => {
  it('[CLI-12] stand on three nodes', async () => {
    for (const component of COMPONENTS) {
      const pods = await control.pods(`linkerd.io/control-plane-component=${component}`);
      expect(new Set(pods.map(({ spec }) => spec.nodeName)).size).toBe(3);
    }
  });

  it(
    '[LB-20][LB-22][RT-14] may die one by one, the leader too: no request fails, pods are meshed, routes take effect',
    { timeout: 600_000 },
    async () => {
      const load = await Load.start(apps, { url: 'http://web/', rate: 100 });
      for (const component of COMPONENTS) {
        const pods = await control.pods(`linkerd.io/control-plane-component=${component}`);
        for (const [index, { metadata }] of pods.entries()) {
          await control.kubectl(['delete', 'pod', metadata.name, '--grace-period=0', '--force']);
          // The two that are left do their work at once.
          await apps.apply(...clientApp({ name: `late-${component}-${index}` }));
          await apps.rollout(`deploy/late-${component}-${index}`);
          const seen = await apps.curl(`deploy/late-${component}-${index}`, 'http://web/');
          expect((JSON.parse(seen.body) as Echo).headers['l5d-client-id']).toMatch(new RegExp(`^late-${component}-${index}\\.`));
          await control.rollout(`deploy/linkerd-${component}`);
        }
      }
      // The one that leads may be among those that were killed: its term has to end first.
      const leader = await eventually(
        'a leader that lives',
        async () => {
          const holder = String((await control.get('lease', 'policy-controller-write'))?.spec?.['holderIdentity']);
          return (await control.pods()).find(({ metadata }) => metadata.name === holder)?.metadata.name;
        },
        { timeoutMs: 120_000 },
      );
      await control.kubectl(['delete', 'pod', leader, '--grace-period=0', '--force']);
      await apps.apply(...echoApp({ name: 'other' }), {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'HTTPRoute',
        metadata: { name: 'web' },
        spec: {
          parentRefs: [{ group: '', kind: 'Service', name: 'web', port: 80 }],
          rules: [
            { matches: [{ path: { value: '/other' } }], backendRefs: [{ name: 'other', port: 80 }] },
            { backendRefs: [{ name: 'web', port: 80 }] },
          ],
        },
      });
      await apps.rollout('deploy/other');
      await eventuallyPasses(
        async () => expect((JSON.parse((await apps.curl('deploy/client', 'http://web/other')).body) as Echo).name).toBe('other'),
        { timeoutMs: 120_000 },
      );
      const { ok, failures } = await load.stop();
      expect(failures).toEqual([]);
      expect(ok).toBeGreaterThan(1000);
      await meshReady(kube);
    },
  );
});

it('[ID-07][OP-02] a new issuer signs from then on, and no workload notices', { timeout: 300_000 }, async () => {
  const load = await Load.start(apps, { url: 'http://web/', rate: 50 });
  const issuer = createTestAuthority('identity.linkerd.cluster.local', {
    parent: trust.root,
    notAfterMs: Date.now() + NEW_ISSUER_S * 1000,
  });
  await replaceIssuer(control, issuer);
  // The kubelet brings new Secrets into running pods within about a minute.
  await eventually(
    'every replica signs with it',
    async () => {
      const pods = await control.pods('linkerd.io/control-plane-component=identity');
      const pages = await Promise.all(pods.map(async ({ status }) => (await fetch(`http://${status.podIP}:9990/metrics`)).text()));
      return pages.every((page) => parseSamples(page).sum('issuer_cert_ttl_seconds') < NEW_ISSUER_S);
    },
    { timeoutMs: 180_000, everyMs: 2000 },
  );
  expect((await control.events()).map(({ reason }) => reason)).toContain('IssuerUpdated');
  await apps.apply(...clientApp({ name: 'newcomer' }));
  await apps.rollout('deploy/newcomer');
  expect((await apps.curl('deploy/newcomer', 'http://web/')).status).toBe(200);
  const { status } = await apps.pod('app=newcomer');
  const leaf = await certificateOf(status.podIP ?? '', `newcomer.${apps.namespace}.serviceaccount.identity.linkerd.cluster.local`);
  expect(leaf.verify(new X509Certificate(issuer.certificatePem).publicKey)).toBe(true);
  const { failures } = await load.stop();
  expect(failures).toEqual([]);
});

it('[CLI-20] goes without a trace, once no pod needs it', { timeout: 300_000 }, async () => {
  const refused = await weft(kube, ['uninstall']);
  expect(refused.code).not.toBe(0);
  expect(refused.stdout).toBe('');
  expect(refused.stderr).toContain(apps.namespace);
  await apps.deleteNamespace();
  await uninstallMesh(kube);
  await eventuallyPasses(async () => expect(await everything()).toEqual(before), { timeoutMs: 120_000 });
});

// SPDX-License-Identifier: Apache-2.0
/* A mesh in a dual-stack cluster: both families are intercepted, by rules and listeners of their own, and a Service of both goes over IPv6. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseSamples } from '../host/samples.ts';
import { createCluster, type Cluster } from './cluster.ts';
import { clientApp, echoApp } from './harness/apps.ts';
import { Kube } from './harness/kube.ts';
import { installMesh } from './harness/mesh.ts';
import type { Echo, KubeObject } from './harness/objects.ts';
import { reportFailures, secondClusterIndex } from './shared-cluster.ts';

/** What the client's proxy counts of connections to the server, by the family of the address that was chosen. */
interface Opened {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** Far more than probes in the time that they take. */
const REQUESTS = 50;

type ServiceObject = KubeObject & { readonly spec: { readonly clusterIPs: readonly string[] } };

let cluster: Cluster | undefined;
let mesh: Kube;
let kube: Kube;
reportFailures(() => [kube, mesh?.in('linkerd')]);

beforeAll(async () => {
  cluster = await createCluster({ nodes: 1, ipFamily: 'dual', index: secondClusterIndex() });
  mesh = new Kube(cluster);
  await installMesh(mesh, { args: ['--set', 'disableIPv6=false'] });
  kube = await mesh.createNamespace('dual', { annotations: { 'linkerd.io/inject': 'enabled' } });
  await kube.apply(...echoApp({ name: 'web', serviceSpec: { ipFamilyPolicy: 'RequireDualStack' } }), ...clientApp());
  for (const target of ['deploy/web', 'deploy/client']) await kube.rollout(target);
}, 500_000);
afterAll(async () => cluster?.destroy());

async function opened(): Promise<Opened> {
  const samples = parseSamples((await kube.curl('deploy/client', 'http://127.0.0.1:4191/metrics')).body);
  const of = (ip: string): number =>
    samples.sum('tcp_open_total', { direction: 'outbound', peer: 'dst', tls: 'true', target_ip: ip, dst_deployment: 'web' });
  const { podIPs = [] } = (await kube.pod('app=web')).status;
  const [ipv4 = '', ipv6 = ''] = podIPs.map(({ ip }) => ip).toSorted((a, b) => Number(a.includes(':')) - Number(b.includes(':')));
  return { ipv4: of(ipv4), ipv6: of(ipv6) };
}

it('[NET-13][NET-14] either address of a Service is intercepted, and asked over IPv6 with mTLS', async () => {
  const clusterIPs = (await kube.get<ServiceObject>('service', 'web'))?.spec.clusterIPs ?? [];
  expect(clusterIPs).toHaveLength(2);
  for (const ip of clusterIPs) {
    const { status, body } = await kube.curl('deploy/client', `http://${ip.includes(':') ? `[${ip}]` : ip}/`);
    expect({ ip, status }).toEqual({ ip, status: 200 });
    expect((JSON.parse(body) as Echo).headers['l5d-client-id']).toBe(
      `client.${kube.namespace}.serviceaccount.identity.linkerd.cluster.local`,
    );
  }
  const { ipv4, ipv6 } = await opened();
  expect({ ipv4, ipv6: ipv6 > 0 }).toEqual({ ipv4: 0, ipv6: true });
});

it('[NET-14] either address of a pod is intercepted where it is asked from outside the mesh', async () => {
  const outside = await mesh.createNamespace('outside');
  await outside.apply(...clientApp({ name: 'stranger' }));
  await outside.rollout('deploy/stranger');
  const { podIPs = [] } = (await kube.pod('app=web')).status;
  expect(podIPs).toHaveLength(2);
  for (const { ip } of podIPs) {
    const before = await inboundPlain();
    const url = `http://${ip.includes(':') ? `[${ip}]` : ip}:8080/`;
    await outside.exec('deploy/stranger', ['sh', '-ec', `for i in $(seq ${REQUESTS}); do curl -sSgf -m 10 '${url}'; done`]);
    // Besides the kubelet's probes.
    expect((await inboundPlain()) - before).toBeGreaterThanOrEqual(REQUESTS);
  }
});

/** Requests in plaintext that the server's proxy has passed on to its application. */
async function inboundPlain(): Promise<number> {
  const { podIP } = (await kube.pod('app=web')).status;
  const { body } = await kube.curl('deploy/client', `http://${podIP?.includes(':') ? `[${podIP}]` : podIP}:4191/metrics`);
  return parseSamples(body).sum('request_total', { direction: 'inbound', target_port: '8080', tls: 'no_identity' });
}

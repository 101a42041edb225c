// SPDX-License-Identifier: Apache-2.0
/*
 * Discovery in a dual-stack cluster (control-contract §1.5): the cluster's own controllers write a slice for each family, and a pod that has both
 * addresses is offered once.
 */
import { destination } from '@weft/proto';
import { EndpointSliceKind, NamespaceKind, ServiceKind } from '@weft/resources';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { startApiServer, type TestApiServer } from './control-plane/api-server.ts';
import { serviceAccountKubeconfig, startController } from './control-plane/controller-process.ts';
import { CONTROL_PLANE_NAMESPACE, install, type Installation } from './control-plane/installation.ts';
import { addNode, addPod } from './control-plane/running-pods.ts';
import { secondClusterIndex } from './shared-cluster.ts';

const SOON = { timeout: 30_000, interval: 50 };
const NAMESPACE = 'dual';

let api: TestApiServer;
let installation: Installation;
let account: { readonly path: string; remove(): void };

beforeAll(async () => {
  api = await startApiServer(secondClusterIndex(), 'dual');
  installation = await install(api, { disableIPv6: false });
  account = await serviceAccountKubeconfig(api, CONTROL_PLANE_NAMESPACE, 'linkerd-destination');
  await addNode(api.source, 'west-1', 'west');
  await api.source.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  await api.source.create(ServiceKind, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: NAMESPACE },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }], ipFamilyPolicy: 'RequireDualStack' },
  });
  const labels = { app: 'web' };
  await addPod(api.source, { namespace: NAMESPACE, name: 'both', ip: '10.201.1.1', ip6: 'fd10:201::1', node: 'west-1', labels });
  await addPod(api.source, { namespace: NAMESPACE, name: 'four', ip: '10.201.1.2', node: 'west-1', labels });
  await vi.waitFor(async () => {
    const slices = await api.source.list(EndpointSliceKind, { namespace: NAMESPACE });
    const count = slices.flatMap(({ endpoints = [] }) => endpoints).length;
    if (count !== 3) throw new Error(`${count} of 3 endpoints are in slices`);
  }, SOON);
}, 180_000);
afterAll(async () => {
  account.remove();
  await api.close();
}, 60_000);

describe('[LB-13] a pod with addresses of both families', () => {
  it.each([
    ['true', ['pod both ipv6', 'pod four ipv4']],
    ['false', ['pod both ipv4', 'pod four ipv4']],
  ])('is offered once: with -enable-ipv6=%s as %j', async (isIpv6Enabled, expected) => {
    const flags = ['-addr=127.0.0.1:0', '-metrics-addr=127.0.0.1:0', `-enable-ipv6=${isIpv6Enabled}`, '-log-format=json'];
    const args = [...installation.argsOf('linkerd-destination', 'destination'), ...flags, `-kubeconfig=${account.path}`];
    const process = await startController(args, 'destination-0');
    try {
      const stream = process.stream(destination.Destination.method.get, { scheme: 'k8s', path: `web.${NAMESPACE}.svc.cluster.local:80` });
      await vi.waitFor(() => {
        const found = stream.messages.flatMap(({ update }) => (update.case === 'add' ? update.value.addrs : []));
        const texts = found.map(({ addr, metricLabels }) => `pod ${metricLabels['pod']} ${addr?.ip?.ip.case}`);
        expect(texts.toSorted()).toEqual(expected);
      }, SOON);
    } finally {
      await process.stop();
    }
  });

  it('is found by either cluster IP of its Service', async () => {
    const args = [...installation.argsOf('linkerd-destination', 'destination'), '-addr=127.0.0.1:0', '-metrics-addr=127.0.0.1:0'];
    const process = await startController([...args, '-log-format=json', `-kubeconfig=${account.path}`], 'destination-0');
    try {
      expect(args).toContain('-enable-ipv6=true');
      const { spec } = await api.source.get(ServiceKind, NAMESPACE, 'web');
      expect(spec?.clusterIPs).toHaveLength(2);
      for (const ip of spec?.clusterIPs ?? []) {
        const path = ip.includes(':') ? `[${ip}]:80` : `${ip}:80`;
        const stream = process.stream(destination.Destination.method.getProfile, { path });
        await vi.waitFor(() => expect(stream.messages.at(-1)?.fullyQualifiedName).toBe(`web.${NAMESPACE}.svc.cluster.local`), SOON);
      }
    } finally {
      await process.stop();
    }
  });
});

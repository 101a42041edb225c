// SPDX-License-Identifier: Apache-2.0
/*
 * Cluster IPs for pods without a proxy: what kube-proxy does on a node, done in the pod's own namespace, as text for `iptables-restore`.
 * A meshed pod needs none of it, since its proxy dials endpoints. Only TCP and UDP ports of services with a cluster IP.
 */
import type { EndpointSlice, Service } from '@weft/resources';

/** The chain that holds the rules; emptied and filled anew in one transaction. */
export const SERVICE_CHAIN = 'WEFT_SERVICES';

/** Where one port of a service leads. */
interface ServiceTarget {
  readonly clusterIp: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly endpoints: readonly string[];
}

/** The whole nat table's change for `iptables-restore --noflush`. A port without a ready endpoint gets no rule: nothing answers there. */
export function serviceRules(services: readonly Service[], slices: readonly EndpointSlice[]): string {
  const lines = ['*nat', `:${SERVICE_CHAIN} - [0:0]`];
  for (const { clusterIp, protocol, port, endpoints } of serviceTargets(services, slices)) {
    for (const [index, endpoint] of endpoints.entries()) {
      const left = endpoints.length - index;
      const chance = left === 1 ? '' : ` -m statistic --mode random --probability ${(1 / left).toFixed(11)}`;
      lines.push(
        `-A ${SERVICE_CHAIN} -d ${clusterIp}/32 -p ${protocol} -m ${protocol} --dport ${port}${chance} -j DNAT --to-destination ${endpoint}`,
      );
    }
  }
  lines.push('COMMIT', '');
  return lines.join('\n');
}

function serviceTargets(services: readonly Service[], slices: readonly EndpointSlice[]): ServiceTarget[] {
  const targets: ServiceTarget[] = [];
  for (const { spec, metadata } of services) {
    const clusterIp = spec?.clusterIP ?? '';
    if (!/^\d/.test(clusterIp)) continue;
    const own = slices.filter(
      (slice) => slice.metadata.namespace === metadata.namespace && slice.metadata.labels['kubernetes.io/service-name'] === metadata.name,
    );
    for (const port of spec?.ports ?? []) {
      const protocol = (port.protocol ?? 'TCP').toLowerCase();
      if (protocol !== 'tcp' && protocol !== 'udp') continue;
      targets.push({ clusterIp, protocol, port: port.port, endpoints: readyEndpoints(own, port.name ?? '') });
    }
  }
  return targets;
}

function readyEndpoints(slices: readonly EndpointSlice[], portName: string): string[] {
  const found = new Set<string>();
  for (const slice of slices) {
    const port = slice.ports?.find(({ name }) => (name ?? '') === portName)?.port;
    if (port === undefined || port === null) continue;
    for (const { addresses, conditions } of slice.endpoints ?? []) {
      const [address] = addresses;
      if (address !== undefined && conditions?.ready !== false) found.add(`${address}:${port}`);
    }
  }
  return [...found].sort();
}

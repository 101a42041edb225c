// SPDX-License-Identifier: Apache-2.0
/* Endpoints of the destination API as rows (features CLI-32). Pure. */
import { formatTable } from '@weft/host-run/view';
import type { destination, net } from '@weft/proto';

/** One endpoint, with the field names of `-o json`. */
export interface EndpointRow {
  readonly namespace: string;
  readonly ip: string;
  readonly port: number;
  readonly pod: string;
  /** `name.namespace`. */
  readonly service: string;
  readonly weight: number;
  readonly http2: Readonly<Record<string, never>> | null;
  readonly labels: Readonly<Record<string, string>>;
}

/** The endpoints that stand after these updates, in order of address. */
export function endpointRows(updates: readonly destination.Update[]): EndpointRow[] {
  const rows = new Map<string, EndpointRow>();
  for (const { update } of updates) {
    if (update.case === 'noEndpoints') rows.clear();
    else if (update.case === 'remove') {
      for (const address of update.value.addrs) rows.delete(keyOf(address));
    } else if (update.case === 'add') {
      for (const endpoint of update.value.addrs) {
        if (endpoint.addr !== undefined) rows.set(keyOf(endpoint.addr), rowOf(endpoint, update.value.metricLabels));
      }
    }
  }
  return [...rows.values()].toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

/** The table; '' without rows. */
export function endpointTable(rows: readonly EndpointRow[]): string {
  return formatTable(
    ['NAMESPACE', 'IP', 'PORT', 'POD', 'SERVICE'],
    rows.map((row) => [row.namespace, row.ip, String(row.port), row.pod === '' ? '-' : row.pod, row.service]),
  );
}

/** An address in its usual notation. */
export function ipText(ip: net.IPAddress | undefined): string {
  if (ip?.ip.case === 'ipv4') {
    const { value } = ip.ip;
    return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
  }
  if (ip?.ip.case !== 'ipv6') return '';
  const { first, last } = ip.ip.value;
  const groups = [first, last].flatMap((half) => [48n, 32n, 16n, 0n].map((shift) => ((half >> shift) & 0xffffn).toString(16)));
  return shortest(groups);
}

/** RFC 5952: the longest run of zeros, of two groups or more, becomes `::`. */
function shortest(groups: readonly string[]): string {
  let [bestStart, bestLength, start] = [0, 0, 0];
  for (let end = 0; end <= groups.length; end += 1) {
    if (end < groups.length && groups[end] === '0') continue;
    if (end - start > bestLength) [bestStart, bestLength] = [start, end - start];
    start = end + 1;
  }
  if (bestLength < 2) return groups.join(':');
  return `${groups.slice(0, bestStart).join(':')}::${groups.slice(bestStart + bestLength).join(':')}`;
}

function rowOf(endpoint: destination.WeightedAddr, setLabels: Readonly<Record<string, string>>): EndpointRow {
  const labels = { ...setLabels, ...endpoint.metricLabels };
  const { namespace = '', pod = '', service = '' } = labels;
  return {
    namespace,
    ip: ipText(endpoint.addr?.ip),
    port: endpoint.addr?.port ?? 0,
    pod,
    service: service === '' ? '' : `${service}.${namespace}`,
    weight: endpoint.weight,
    http2: endpoint.protocolHint?.protocol.case === 'h2' ? {} : null,
    labels,
  };
}

function keyOf(address: net.TcpAddress): string {
  return `${ipText(address.ip)} ${address.port}`;
}

function sortKey(row: EndpointRow): string {
  return `${row.namespace}\n${row.service}\n${row.ip}\n${row.port}`;
}

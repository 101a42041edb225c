// SPDX-License-Identifier: Apache-2.0
/*
 * Who is connected to whom (features CLI-51): from the connections that clients' proxies have opened since they started, with the identity that
 * the server proved. Pure.
 */
import type { Sample } from '@weft/host-run/view';
import { formatTable } from '@weft/host-run/view';
import type { ResourceArgument } from './resource-argument.ts';
import { type MeshPod, rowName, topWorkload } from './workloads.ts';

/** One pair of workloads. */
export interface Edge {
  readonly source: string;
  readonly sourceNamespace: string;
  readonly destination: string;
  readonly destinationNamespace: string;
  /** `<service account>.<namespace>`; '' without mTLS. */
  readonly clientId: string;
  readonly serverId: string;
  /** Why there is no mTLS; '' with it. */
  readonly noTlsReason: string;
}

/** What a client's proxy says. */
export interface ClientSamples {
  readonly source: MeshPod;
  readonly samples: readonly Sample[];
}

/** Whether a metric is needed for edges. */
export function isEdgeMetric(name: string): boolean {
  return name === 'tcp_open_total';
}

/**
 * Edges between rows of a resource's kind, and where an end belongs to none of that kind, what it does belong to. `namespace` undefined: all;
 * otherwise those with an end in it.
 */
export function edgesOf(
  clients: readonly ClientSamples[],
  pods: readonly MeshPod[],
  resource: ResourceArgument,
  namespace?: string,
): Edge[] {
  const byName = new Map(pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
  const edges = new Map<string, Edge>();
  for (const { source, samples } of clients) {
    for (const { labels, value } of samples) {
      if (value <= 0 || labels['direction'] !== 'outbound' || labels['peer'] !== 'dst') continue;
      const destination = byName.get(`${labels['dst_namespace'] ?? ''}/${labels['dst_pod'] ?? ''}`);
      if (destination === undefined) continue;
      if (namespace !== undefined && source.namespace !== namespace && destination.namespace !== namespace) continue;
      const [from, to] = [rowName(source, resource), rowName(destination, resource)];
      if (from === undefined && to === undefined) continue;
      const edge = edgeOf(source, from, destination, to, labels);
      edges.set(JSON.stringify(edge), edge);
    }
  }
  return [...edges.values()].toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

/** The table; '' without edges. */
export function edgesTable(edges: readonly Edge[], isWide: boolean): string {
  const heads = ['SRC', 'DST', 'SRC_NS', 'DST_NS', ...(isWide ? ['CLIENT_ID', 'SERVER_ID'] : []), 'SECURED'];
  return formatTable(
    heads,
    edges.map((edge) => [
      edge.source,
      edge.destination,
      edge.sourceNamespace,
      edge.destinationNamespace,
      ...(isWide ? [edge.clientId || '-', edge.serverId || '-'] : []),
      edge.noTlsReason === '' ? '√' : edge.noTlsReason,
    ]),
  );
}

/** As `edges -o json` writes them, with the reference's field names. */
export function edgesJson(edges: readonly Edge[]): string {
  const values = edges.map((edge) => ({
    src: edge.source,
    src_namespace: edge.sourceNamespace,
    dst: edge.destination,
    dst_namespace: edge.destinationNamespace,
    client_id: edge.clientId,
    server_id: edge.serverId,
    no_tls_reason: edge.noTlsReason,
  }));
  return `${JSON.stringify(values, undefined, 2)}\n`;
}

function edgeOf(
  source: MeshPod,
  from: string | undefined,
  destination: MeshPod,
  to: string | undefined,
  labels: Readonly<Record<string, string>>,
): Edge {
  const isSecured = labels['tls'] === 'true';
  return {
    source: from ?? topWorkload(source).name,
    sourceNamespace: source.namespace,
    destination: to ?? topWorkload(destination).name,
    destinationNamespace: destination.namespace,
    clientId: isSecured ? `${source.serviceAccount}.${source.namespace}` : '',
    serverId: isSecured ? shortIdentity(labels['server_id'] ?? '') : '',
    noTlsReason: isSecured ? '' : (labels['no_tls_reason'] ?? 'unknown'),
  };
}

/** `sa.ns` of a mesh identity; anything else as it is. */
function shortIdentity(identity: string): string {
  const end = identity.indexOf('.serviceaccount.identity.');
  return end < 0 ? identity : identity.slice(0, end);
}

function sortKey(edge: Edge): string {
  return [edge.sourceNamespace, edge.source, edge.destinationNamespace, edge.destination, edge.serverId, edge.noTlsReason].join('\n');
}

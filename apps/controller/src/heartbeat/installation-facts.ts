// SPDX-License-Identifier: Apache-2.0
/*
 * What a heartbeat tells of an installation (control-contract §6.6): counts and versions, nothing that names a workload. Facts that cannot be
 * had are left out; only without the control plane's own ConfigMap there is no installation to tell of.
 */
import { ConfigMapKind, NamespaceKind, ServiceProfileKind, metadataOnly, type ResourceSource } from '@weft/resources';
import { parse } from 'yaml';

/** Reads one number from Prometheus; undefined where there is none. */
export type QueryPrometheus = (query: string) => Promise<number | undefined>;

/** Of these containers memory and CPU are told. */
const CONTAINERS: readonly string[] = ['linkerd-proxy', 'destination', 'prometheus'];

/** Numbers that Prometheus knows. */
const QUERIES: readonly (readonly [name: string, query: string])[] = [
  ['total-rps', 'sum(rate(request_total{direction="inbound"}[1h]))'],
  ['meshed-pods', 'count(count by (namespace, pod) (process_start_time_seconds{job="linkerd-proxy"}))'],
  ['p99-handle-us', 'histogram_quantile(0.99, sum by (le) (rate(request_handle_us_bucket{direction="inbound"}[24h])))'],
  ['proxy-injector-injections', 'sum(proxy_inject_admission_responses_total{skip="false"})'],
  ...CONTAINERS.flatMap((container): (readonly [string, string])[] => [
    [`max-mem-${container}`, `max(max_over_time(container_memory_working_set_bytes{container="${container}"}[24h]))`],
    [
      `p95-cpu-${container}`,
      `max(quantile_over_time(0.95, rate(container_cpu_usage_seconds_total{container="${container}"}[5m])[24h:5m]))`,
    ],
  ]),
];

const CONFIG_NAME = 'linkerd-config';
const EXTENSION_LABEL = 'linkerd.io/extension';

/** The query of a heartbeat. Rejects with ResourceError when the installation's ConfigMap cannot be read. */
export async function installationFacts(
  source: ResourceSource,
  controllerNamespace: string,
  queryPrometheus: QueryPrometheus,
): Promise<URLSearchParams> {
  const { metadata, data } = await source.get(ConfigMapKind, controllerNamespace, CONFIG_NAME);
  const facts = new URLSearchParams({
    arch: process.arch === 'x64' ? 'amd64' : process.arch,
    version: versionOf(data?.['values'] ?? ''),
    source: 'heartbeat',
    uuid: metadata.uid,
    'install-time': metadata.creationTimestamp,
  });
  const kubernetes = await optional(async () => source.serverVersion?.());
  if (kubernetes !== undefined) facts.set('k8s-version', kubernetes);
  const extensions = await optional(() => source.list(metadataOnly(NamespaceKind), { hasLabels: [EXTENSION_LABEL] }));
  for (const { metadata: namespace } of extensions ?? []) facts.set(`ext-${namespace.labels[EXTENSION_LABEL]}`, '1');
  const profiles = await optional(() => source.list(metadataOnly(ServiceProfileKind)));
  if (profiles !== undefined) facts.set('service-profile-count', String(profiles.length));
  for (const [name, query] of QUERIES) {
    const value = await optional(() => queryPrometheus(query));
    if (value !== undefined && Number.isFinite(value)) facts.set(name, String(value));
  }
  return facts;
}

function versionOf(valuesYaml: string): string {
  const values: unknown = parse(valuesYaml, { logLevel: 'error' });
  const version =
    typeof values === 'object' && values !== null ? (values as { readonly linkerdVersion?: unknown }).linkerdVersion : undefined;
  return typeof version === 'string' ? version : '';
}

/** Undefined where it cannot be had. */
async function optional<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What a control plane says about itself and its proxies: ConfigMap `linkerd-config` (control-contract §6.2), and the proxy containers of
 * meshed pods.
 */
import { ConfigMapKind, PodKind } from '@weft/resources';
import type { ConfigMap, Container, ContainerStatus, Pod } from '@weft/resources';
import { parse } from 'yaml';
import type { ClusterReader } from './cluster.ts';

/** Name of the ConfigMap that holds the values of an installation. */
export const CONFIG_MAP = 'linkerd-config';
/** Label of every meshed pod, and of everything that an installation consists of; the value is the control plane's namespace. */
export const CONTROL_PLANE_NS_LABEL = 'linkerd.io/control-plane-ns';
/** Label of the control plane's own pods. */
export const COMPONENT_LABEL = 'linkerd.io/control-plane-component';
/** Label of the namespaces of extensions. */
export const EXTENSION_LABEL = 'linkerd.io/extension';
/** Name of the proxy's container. */
export const PROXY_CONTAINER = 'linkerd-proxy';

/** Values of a chart: anything that YAML can say. */
export type Values = { [name: string]: unknown };

/** An installed control plane's configuration. */
export interface MeshConfig {
  readonly configMap: ConfigMap;
  readonly values: Values;
}

/** Rejects with ResourceError when it is not there, and with SyntaxError when its values are no YAML mapping. */
export async function readMeshConfig(reader: ClusterReader, namespace: string): Promise<MeshConfig> {
  const configMap = await reader.get(ConfigMapKind, namespace, CONFIG_MAP);
  return { configMap, values: parseValues(configMap.data?.['values'] ?? '') };
}

/** Parses values. Throws SyntaxError for what is no mapping. */
export function parseValues(text: string): Values {
  let values: unknown;
  try {
    values = parse(text);
  } catch (error) {
    throw new SyntaxError(`not YAML: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  if (values === null || values === undefined) return {};
  if (typeof values !== 'object' || Array.isArray(values)) throw new SyntaxError('not a mapping of values');
  return values as Values;
}

/** The value at a dotted path, or undefined. */
export function valueAt(values: Values, path: string): unknown {
  let value: unknown = values;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Values)[name];
  }
  return value;
}

/** The string at a dotted path; '' when there is none. */
export function textAt(values: Values, path: string): string {
  const value = valueAt(values, path);
  return typeof value === 'string' ? value : '';
}

/** The proxy's container of a pod, classic or native sidecar. */
export function proxyContainer(pod: Pod): Container | undefined {
  return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].find(({ name }) => name === PROXY_CONTAINER);
}

/** The status of the proxy's container. */
export function proxyStatus(pod: Pod): ContainerStatus | undefined {
  return [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].find(
    ({ name }) => name === PROXY_CONTAINER,
  );
}

/** The tag of the proxy's image; undefined without proxy or tag. */
export function proxyVersion(pod: Pod): string | undefined {
  const image = proxyContainer(pod)?.image?.split('@')[0] ?? '';
  return /:([^:/]+)$/.exec(image)?.[1];
}

/** Pods that hold a proxy of this control plane and are not on their way out; in one namespace or in all. */
export async function meshedPods(reader: ClusterReader, controlPlane: string, namespace?: string): Promise<readonly Pod[]> {
  const pods = await reader.list(PodKind, {
    labelSelector: `${CONTROL_PLANE_NS_LABEL}=${controlPlane}`,
    ...(namespace === undefined || namespace === '' ? {} : { namespace }),
  });
  return pods.filter((pod) => proxyContainer(pod) !== undefined);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What injection needs to know of a pod, or of the template of a workload (control-contract §4.2, §4.4, §4.5): its containers, their ports,
 * the sidecars that are there already, and what the proxy's container takes over from the first container.
 */
import { parsePort } from './opaque-ports.ts';
import { objectOf, objectsOf, textMap, textOf, textsOf, type JsonObject } from './json-object.ts';
import type { Capabilities } from './containers/context.ts';

/** Where Kubernetes mounts a service account's token. */
export const TOKEN_MOUNT_PATH: string = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface PodFacts {
  readonly annotations: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly containers: readonly JsonObject[];
  readonly initContainers: readonly JsonObject[];
  /** Init containers first, in order; each port as declared. */
  readonly ports: readonly number[];
  readonly namedPorts: ReadonlyMap<string, number>;
  /** Declared ports and those of HTTP liveness and readiness probes, as the proxy takes them. */
  readonly inboundPorts: string;
  readonly isHostNetwork: boolean;
  readonly hasUdpPorts: boolean;
  readonly hasSidecar: boolean;
  readonly automountsToken: boolean;
  readonly tokenMount: JsonObject | undefined;
  readonly capabilities: Capabilities | undefined;
}

/** Containers of a mesh's proxy, by name and by image. */
const SIDECAR_NAMES: readonly string[] = ['linkerd-proxy', 'istio-proxy'];
const SIDECAR_IMAGES: readonly string[] = ['cr.l5d.io/linkerd/proxy:', 'ghcr.io/weft-mesh/proxy:', 'gcr.io/istio-release/proxyv2:'];
const INIT_NAMES: readonly string[] = ['linkerd-proxy', 'linkerd-init', 'istio-init'];
const INIT_IMAGES: readonly string[] = ['cr.l5d.io/linkerd/proxy-init:', 'ghcr.io/weft-mesh/proxy:', 'gcr.io/istio-release/proxy_init:'];

/** Reads a pod's metadata and spec, or those of a pod template. */
export function readPod(pod: JsonObject): PodFacts {
  const [metadata, spec] = [objectOf(pod['metadata']), objectOf(pod['spec'])];
  const [containers, initContainers] = [objectsOf(spec['containers']), objectsOf(spec['initContainers'])];
  const declared = [...initContainers, ...containers].flatMap((container) => objectsOf(container['ports']));
  const ports = declared.map((port) => parsePort(port['containerPort'])).filter((port) => port !== undefined);
  const [first] = containers;
  return {
    annotations: textMap(metadata['annotations']),
    labels: textMap(metadata['labels']),
    containers,
    initContainers,
    ports,
    namedPorts: namedPortsOf(declared),
    inboundPorts: inboundPortsOf(ports, [...initContainers, ...containers]),
    isHostNetwork: spec['hostNetwork'] === true,
    hasUdpPorts: declared.some((port) => port['protocol'] === 'UDP'),
    hasSidecar: hasSidecar(containers, initContainers),
    automountsToken: spec['automountServiceAccountToken'] !== false,
    tokenMount: tokenMountOf(first),
    capabilities: capabilitiesOf(first),
  };
}

function namedPortsOf(declared: readonly JsonObject[]): ReadonlyMap<string, number> {
  const named = new Map<string, number>();
  for (const { name, containerPort } of declared as readonly { name?: unknown; containerPort?: unknown }[]) {
    const port = parsePort(containerPort);
    if (port !== undefined && textOf(name) !== '' && !named.has(textOf(name))) named.set(textOf(name), port);
  }
  return named;
}

/** Sorted as texts, as the reference has it. */
function inboundPortsOf(declared: readonly number[], containers: readonly JsonObject[]): string {
  const probed = containers
    .flatMap((container) => [container['livenessProbe'], container['readinessProbe']])
    .map((probe) => parsePort(objectOf(objectOf(probe)['httpGet'])['port']))
    .filter((port) => port !== undefined);
  return [...new Set([...declared, ...probed])]
    .map(String)
    .toSorted((a, b) => (a < b ? -1 : 1))
    .join(',');
}

function hasSidecar(containers: readonly JsonObject[], initContainers: readonly JsonObject[]): boolean {
  const is = (container: JsonObject, names: readonly string[], images: readonly string[]): boolean =>
    names.includes(textOf(container['name'])) || images.some((image) => textOf(container['image']).startsWith(image));
  return (
    containers.some((container) => is(container, SIDECAR_NAMES, SIDECAR_IMAGES)) ||
    initContainers.some((container) => is(container, INIT_NAMES, INIT_IMAGES))
  );
}

function tokenMountOf(container: JsonObject | undefined): JsonObject | undefined {
  const mount = objectsOf(container?.['volumeMounts']).find((one) => one['mountPath'] === TOKEN_MOUNT_PATH && textOf(one['name']) !== '');
  return mount === undefined ? undefined : { mountPath: TOKEN_MOUNT_PATH, name: mount['name'], readOnly: true };
}

function capabilitiesOf(container: JsonObject | undefined): Capabilities | undefined {
  const capabilities = objectOf(objectOf(container?.['securityContext'])['capabilities']);
  const [add, drop] = [textsOf(capabilities['add']), textsOf(capabilities['drop'])];
  return add.length === 0 && drop.length === 0 ? undefined : { add, drop };
}

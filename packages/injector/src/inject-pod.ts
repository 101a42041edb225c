// SPDX-License-Identifier: Apache-2.0
/*
 * The patch that puts the proxy into a pod (control-contract §4.4; features INJ-05 to INJ-17): operations in the reference's order, everything
 * else in the pod left alone. Pure: the same input gives the same patch. Nothing in a pod or in its namespace's annotations makes it
 * throw or gives a patch that does not apply.
 */
import { createHash } from 'node:crypto';
import type { JsonPatchOperation } from '@weft/webhook';
import {
  CONTROL_PLANE_NAMESPACE_LABEL,
  CREATED_BY_ANNOTATION,
  DISABLE_TAP_ANNOTATION,
  inheritedAnnotations,
  OPAQUE_PORTS_ANNOTATION,
  PROXY_OWNER_LABEL_PREFIX,
  PROXY_VERSION_ANNOTATION,
  TAP_ENABLED_ANNOTATION,
  TRUST_ROOT_ANNOTATION,
  WORKLOAD_NAMESPACE_LABEL,
} from './annotations/names.ts';
import { parseBoolean } from './annotations/formats.ts';
import { overlayAnnotations, type Overlay } from './annotations/overlay.ts';
import type { ContainerContext } from './containers/context.ts';
import { debugContainer } from './containers/debug.ts';
import { initContainer, validatorContainer } from './containers/init.ts';
import { proxyContainer } from './containers/proxy.ts';
import { lockVolume, proxyVolumes } from './containers/volumes.ts';
import { decide, isIngressMode } from './decision.ts';
import type { InjectionReport } from './injection-report.ts';
import { objectOf, textMap, textOf, type JsonObject } from './json-object.ts';
import { pointer } from './json-patch.ts';
import { defaultPodOpaquePorts } from './opaque-ports.ts';
import { readPod, type PodFacts } from './pod-facts.ts';
import type { InjectorValues } from './values.ts';

/** The namespace that an object is written to. */
export interface NamespaceFacts {
  readonly name: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The workload that a pod belongs to: the outermost one that labels name. */
export interface WorkloadOwner {
  /** Such as Deployment. */
  readonly kind: string;
  readonly name: string;
}

/** What an installation gives to all pods. */
export interface Installation {
  readonly values: InjectorValues;
  /** PEM, as the file of the mounted ConfigMap has it. */
  readonly trustAnchors: string;
  /** Of whoever injects, for `linkerd.io/created-by`. */
  readonly version: string;
  readonly controlPlaneNamespace: string;
  /** What stands before the version in `linkerd.io/created-by`. Default `linkerd/proxy-injector`. */
  readonly createdBy?: string;
}

export interface InjectPodInput extends Installation {
  /** A pod, or the template of a workload: metadata and spec. */
  readonly pod: JsonObject;
  readonly namespace: NamespaceFacts;
  readonly owner?: WorkloadOwner | undefined;
}

export interface Injection {
  /** Empty where nothing is to be changed. */
  readonly patch: readonly JsonPatchOperation[];
  readonly report: InjectionReport;
}

/** Kinds that the owner's label exists for. */
const OWNER_KINDS: ReadonlySet<string> = new Set([
  'deployment',
  'replicationcontroller',
  'replicaset',
  'job',
  'daemonset',
  'statefulset',
  // In manifests only: a running pod belongs to the Job between.
  'cronjob',
]);

/** Injects a pod, or gives it its `opaque-ports` annotation alone, or nothing. */
export function injectPod(input: InjectPodInput): Injection {
  const { values, namespace } = input;
  const pod = readPod(input.pod);
  const namespaceAnnotations = textMap(namespace.annotations);
  const decision = decide(pod, namespaceAnnotations, values.serviceAccountTokenProjection);
  const opaquePorts = defaultPodOpaquePorts(pod.ports, {
    annotations: pod.annotations,
    namespaceAnnotations,
    defaultPorts: values.proxy.opaquePorts,
  });
  const name = textOf(objectOf(input.pod['metadata'])['name']);
  const report = {
    kind: 'Pod',
    name,
    ...decision,
    ...(opaquePorts === undefined ? {} : { opaquePorts }),
    hasUdpPorts: pod.hasUdpPorts,
  };
  if (!decision.isInjected) {
    return { patch: opaquePorts === undefined ? [] : opaquePortsPatch(input.pod, opaquePorts), report: { ...report, problems: [] } };
  }
  const inherited = inheritedAnnotations(pod.annotations, namespaceAnnotations);
  const annotations = new Map([...inherited, ...pod.annotations]);
  if (opaquePorts !== undefined) annotations.set(OPAQUE_PORTS_ANNOTATION, opaquePorts);
  const overlay = overlayAnnotations({ values, annotations, namespaceAnnotations, labels: pod.labels, namedPorts: pod.namedPorts });
  const added = new Map(inherited);
  if (opaquePorts !== undefined) added.set(OPAQUE_PORTS_ANNOTATION, opaquePorts);
  const isTapped = values.tapEnabled && !isTapDisabled(pod.annotations, namespaceAnnotations);
  if (isTapped) added.set(TAP_ENABLED_ANNOTATION, 'true');
  return {
    patch: [
      ...metadataPatch(input, overlay.values, added),
      ...specPatch(input, pod, overlay, {
        values: overlay.values,
        controlPlaneNamespace: input.controlPlaneNamespace,
        trustAnchors: input.trustAnchors,
        inboundPorts: pod.inboundPorts,
        isTapped,
        isIngress: values.proxy.isIngress || isIngressMode(pod.annotations, namespaceAnnotations),
        capabilities: pod.capabilities,
        tokenMount: pod.tokenMount,
      }),
    ],
    report: { ...report, problems: overlay.problems },
  };
}

/** The pod's own word counts before that of its namespace. */
function isTapDisabled(pod: ReadonlyMap<string, string>, namespace: ReadonlyMap<string, string>): boolean {
  const text = pod.get(DISABLE_TAP_ANNOTATION) ?? namespace.get(DISABLE_TAP_ANNOTATION);
  return text !== undefined && parseBoolean(text) === true;
}

/** Gives an object its `opaque-ports` annotation. */
export function opaquePortsPatch(object: JsonObject, opaquePorts: string): readonly JsonPatchOperation[] {
  return [
    ...rootPatch(object, 'metadata', 'annotations', {}),
    { op: 'add', path: pointer('metadata', 'annotations', OPAQUE_PORTS_ANNOTATION), value: opaquePorts },
  ];
}

/** Creates a map or a list that is not there: a patch can add to what exists only. */
function rootPatch(object: JsonObject, section: 'metadata' | 'spec', name: string, empty: object): readonly JsonPatchOperation[] {
  const parent = objectOf(object[section]);
  const value = parent[name];
  const isThere = Array.isArray(empty) ? Array.isArray(value) : objectOf(value) === value;
  if (isThere) return [];
  const root: JsonPatchOperation = { op: 'add', path: pointer(section, name), value: empty };
  return parent === object[section] ? [root] : [{ op: 'add', path: pointer(section), value: {} }, root];
}

function metadataPatch(input: InjectPodInput, values: InjectorValues, added: ReadonlyMap<string, string>): readonly JsonPatchOperation[] {
  const { pod, namespace, owner, trustAnchors, version, controlPlaneNamespace, createdBy = 'linkerd/proxy-injector' } = input;
  const annotations = new Map(added)
    .set(CREATED_BY_ANNOTATION, `${createdBy} ${version}`)
    .set(PROXY_VERSION_ANNOTATION, values.proxy.image.version)
    .set(TRUST_ROOT_ANNOTATION, createHash('sha256').update(trustAnchors).digest('hex'));
  const labels = new Map([
    [CONTROL_PLANE_NAMESPACE_LABEL, controlPlaneNamespace],
    [WORKLOAD_NAMESPACE_LABEL, namespace.name],
  ]);
  const kind = owner?.kind.toLowerCase() ?? '';
  // A name that is too long for a label would make the API server refuse the pod.
  if (owner !== undefined && OWNER_KINDS.has(kind) && isLabelValue(owner.name)) labels.set(PROXY_OWNER_LABEL_PREFIX + kind, owner.name);
  return [
    ...rootPatch(pod, 'metadata', 'annotations', {}),
    ...sortedAdditions('annotations', annotations),
    // Annotations, if nothing else, have made the metadata.
    ...rootPatch({ metadata: {}, ...pod }, 'metadata', 'labels', {}),
    ...sortedAdditions('labels', labels),
  ];
}

function sortedAdditions(section: string, members: ReadonlyMap<string, string>): readonly JsonPatchOperation[] {
  return [...members]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ op: 'add', path: pointer('metadata', section, key), value }));
}

function specPatch(input: InjectPodInput, pod: PodFacts, overlay: Overlay, context: ContainerContext): readonly JsonPatchOperation[] {
  const { values } = context;
  const { nativeSidecar: isNative, await: isAwaited } = values.proxy;
  const add = (value: unknown, ...path: readonly (string | number)[]): JsonPatchOperation => ({ op: 'add', path: pointer(...path), value });
  const first = values.cniEnabled ? validatorContainer(context) : initContainer(context);
  const patch: JsonPatchOperation[] = [
    ...rootPatch(input.pod, 'spec', 'volumes', []),
    ...rootPatch(input.pod, 'spec', 'initContainers', []),
    ...(values.cniEnabled ? [] : [add(lockVolume(values), 'spec', 'volumes', '-')]),
    add(first, 'spec', 'initContainers', isNative ? 0 : '-'),
    ...(overlay.isDebugEnabled ? [add(debugContainer(values), 'spec', 'containers', '-')] : []),
    ...proxyVolumes(values).map((volume) => add(volume, 'spec', 'volumes', '-')),
  ];
  const proxy = proxyContainer(context);
  if (isNative) patch.push(add(proxy, 'spec', 'initContainers', 1));
  else patch.push(add(proxy, 'spec', 'containers', isAwaited ? 0 : '-'));
  return patch;
}

/** What Kubernetes takes as a label's value. */
function isLabelValue(text: string): boolean {
  return text.length <= 63 && /^(|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)$/.test(text);
}

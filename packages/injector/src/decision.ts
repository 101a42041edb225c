// SPDX-License-Identifier: Apache-2.0
/*
 * Whether a pod is injected (control-contract §4.2, features INJ-02, INJ-04): the annotation `linkerd.io/inject` of the pod and of its
 * namespace, and what stands against it. Several reasons may apply at once.
 */
import { INJECT_ANNOTATION } from './annotations/names.ts';
import type { PodFacts } from './pod-facts.ts';

/** Why a pod is not injected, as the injector's metric says it. */
export type SkipReason =
  | 'host_network_enabled'
  | 'sidecar_already_exists'
  | 'unsupported_resource'
  | 'injection_enable_annotation_absent'
  | 'injection_disable_annotation_present'
  | 'invalid_inject_annotation_at_ns'
  | 'invalid_inject_annotation_at_workload'
  | 'disabled_automount_service_account_token_account';

/** The same for people. */
export const SKIP_REASON_TEXT: Readonly<Record<SkipReason, string>> = {
  host_network_enabled: 'hostNetwork is enabled',
  sidecar_already_exists: 'the pod has the sidecar of a mesh already',
  unsupported_resource: 'resources of this kind are not injected',
  injection_enable_annotation_absent: `neither the namespace nor the pod has the annotation "${INJECT_ANNOTATION}: enabled"`,
  injection_disable_annotation_present: `the pod has the annotation "${INJECT_ANNOTATION}: disabled"`,
  invalid_inject_annotation_at_ns: `the namespace's annotation "${INJECT_ANNOTATION}" has an unknown value`,
  invalid_inject_annotation_at_workload: `the pod's annotation "${INJECT_ANNOTATION}" has an unknown value`,
  disabled_automount_service_account_token_account:
    'automountServiceAccountToken is "false", and the installation does not project tokens (identity.serviceAccountTokenProjection)',
};

/** Where the annotation stands that decided: the label `annotation_at` of the metrics. */
export type AnnotatedAt = 'namespace' | 'workload' | '';

export interface Decision {
  readonly isInjected: boolean;
  readonly annotatedAt: AnnotatedAt;
  readonly skipReasons: readonly SkipReason[];
}

const KNOWN: ReadonlySet<string | undefined> = new Set([undefined, '', 'enabled', 'ingress', 'disabled']);
const isOn = (value: string | undefined): boolean => value === 'enabled' || value === 'ingress';

/** Decides by annotations. */
export function decideByAnnotation(
  podAnnotations: ReadonlyMap<string, string>,
  namespaceAnnotations: ReadonlyMap<string, string>,
): { readonly annotatedAt: AnnotatedAt; readonly reason?: SkipReason } {
  const [ofPod, ofNamespace] = [podAnnotations.get(INJECT_ANNOTATION), namespaceAnnotations.get(INJECT_ANNOTATION)];
  if (!KNOWN.has(ofNamespace)) return { annotatedAt: 'namespace', reason: 'invalid_inject_annotation_at_ns' };
  if (!KNOWN.has(ofPod)) return { annotatedAt: 'workload', reason: 'invalid_inject_annotation_at_workload' };
  if (isOn(ofNamespace)) {
    if (ofPod === 'disabled') return { annotatedAt: 'workload', reason: 'injection_disable_annotation_present' };
    return { annotatedAt: 'namespace' };
  }
  return isOn(ofPod) ? { annotatedAt: 'workload' } : { annotatedAt: '', reason: 'injection_enable_annotation_absent' };
}

/** Decides. `projectsTokens`: identity.serviceAccountTokenProjection of the installation. */
export function decide(pod: PodFacts, namespaceAnnotations: ReadonlyMap<string, string>, projectsTokens: boolean): Decision {
  const { annotatedAt, reason } = decideByAnnotation(pod.annotations, namespaceAnnotations);
  const skipReasons: SkipReason[] = [];
  if (pod.isHostNetwork) skipReasons.push('host_network_enabled');
  if (pod.hasSidecar) skipReasons.push('sidecar_already_exists');
  if (pod.containers.length === 0) skipReasons.push('unsupported_resource');
  if (reason !== undefined) skipReasons.push(reason);
  if (!projectsTokens && (!pod.automountsToken || pod.tokenMount === undefined)) {
    skipReasons.push('disabled_automount_service_account_token_account');
  }
  return { isInjected: skipReasons.length === 0, annotatedAt, skipReasons };
}

/** Ingress mode: the pod's own word, or its namespace's where it has none (feature INJ-03). */
export function isIngressMode(podAnnotations: ReadonlyMap<string, string>, namespaceAnnotations: ReadonlyMap<string, string>): boolean {
  return (podAnnotations.get(INJECT_ANNOTATION) ?? namespaceAnnotations.get(INJECT_ANNOTATION)) === 'ingress';
}

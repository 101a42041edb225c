// SPDX-License-Identifier: Apache-2.0
/*
 * Injection of manifests (features INJ-18, CLI-22 to CLI-25): by default an annotation that the webhook honours when pods are made, or the
 * containers themselves, which replace those of an earlier run. Pure; an object that is not injected comes back as it was.
 */
import { INJECT_ANNOTATION, OPAQUE_PORTS_ANNOTATION } from '../annotations/names.ts';
import type { SkipReason } from '../decision.ts';
import { injectPod, type Installation } from '../inject-pod.ts';
import { objectOf, textOf, type JsonObject } from '../json-object.ts';
import { applyPatch } from '../json-patch.ts';
import { readPod, type PodFacts } from '../pod-facts.ts';
import { withAnnotations } from './annotate.ts';
import { reportOf, type ManifestReport } from './manifest-report.ts';
import { manifestKind, podOf, withPod } from './pod-template.ts';
import { isInjectedByUs, uninjectedPod } from './uninject-manifest.ts';

export interface InjectManifestOptions {
  /** Value of `linkerd.io/inject`. Default enabled. */
  readonly mode?: 'enabled' | 'ingress';
  /** Configuration annotations to set, full keys. On a Service only `config.linkerd.io/opaque-ports` counts. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Write the containers themselves, from this installation. Default: annotations only. */
  readonly manual?: Omit<Installation, 'createdBy'>;
  /** Of objects that name none; for labels. Default `default`. */
  readonly defaultNamespace?: string;
}

export interface ManifestResult {
  readonly object: JsonObject;
  readonly report: ManifestReport;
}

/** Injects one object, or each of a List. */
export function injectManifest(object: JsonObject, options: InjectManifestOptions = {}): ManifestResult {
  const { mode = 'enabled', annotations = {} } = options;
  const kind = manifestKind(object);
  switch (kind) {
    case 'list': {
      const results = (object['items'] as readonly unknown[]).map((item) => injectManifest(objectOf(item), options));
      const items = results.map(({ report }) => report);
      const outcome = items.some((item) => item.outcome === 'injected' || item.outcome === 'annotated') ? 'injected' : 'skipped';
      return { object: { ...object, items: results.map((result) => result.object) }, report: reportOf(object, outcome, { items }) };
    }
    case 'namespace':
      return { object: withAnnotations(object, { ...annotations, [INJECT_ANNOTATION]: mode }), report: reportOf(object, 'injected') };
    case 'service': {
      const opaquePorts = annotations[OPAQUE_PORTS_ANNOTATION];
      if (opaquePorts === undefined) return { object, report: reportOf(object, 'unsupported') };
      return { object: withAnnotations(object, { [OPAQUE_PORTS_ANNOTATION]: opaquePorts }), report: reportOf(object, 'annotated') };
    }
    case 'workload':
      return injectWorkload(object, options);
    case 'unsupported':
      return { object, report: reportOf(object, 'unsupported') };
  }
}

function injectWorkload(object: JsonObject, options: InjectManifestOptions): ManifestResult {
  const { mode = 'enabled', annotations = {}, manual } = options;
  const written = podOf(object);
  // An earlier manual injection is replaced; the sidecar of another mesh stays, and stands against it.
  const clean = manual !== undefined && isInjectedByUs(written) ? uninjectedPod(written, false) : written;
  const pod = withAnnotations(clean, { ...annotations, [INJECT_ANNOTATION]: mode });
  const facts = readPod(clean);
  const skipReasons = reasonsAgainst(facts);
  const { hasUdpPorts } = facts;
  if (skipReasons.length > 0) return { object, report: reportOf(object, 'skipped', { skipReasons, hasUdpPorts }) };
  if (manual === undefined) return { object: withPod(object, pod), report: reportOf(object, 'injected', { hasUdpPorts }) };
  const metadata = objectOf(object['metadata']);
  const kind = textOf(object['kind']);
  const { patch, report } = injectPod({
    ...manual,
    createdBy: 'linkerd/cli',
    pod,
    namespace: { name: textOf(metadata['namespace']) || (options.defaultNamespace ?? 'default'), annotations: {} },
    owner: kind === 'Pod' ? undefined : { kind, name: textOf(metadata['name']) },
  });
  if (!report.isInjected) return { object, report: reportOf(object, 'skipped', { skipReasons: report.skipReasons, hasUdpPorts }) };
  return {
    object: withPod(object, applyPatch(pod, patch) as JsonObject),
    report: reportOf(object, 'injected', { hasUdpPorts, problems: report.problems }),
  };
}

/** What can be said against it without a cluster. */
function reasonsAgainst(pod: PodFacts): readonly SkipReason[] {
  const reasons: SkipReason[] = [];
  if (pod.isHostNetwork) reasons.push('host_network_enabled');
  if (pod.hasSidecar) reasons.push('sidecar_already_exists');
  if (pod.containers.length === 0) reasons.push('unsupported_resource');
  if (pod.annotations.get(INJECT_ANNOTATION) === 'disabled') reasons.push('injection_disable_annotation_present');
  return reasons;
}

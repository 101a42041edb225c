// SPDX-License-Identifier: Apache-2.0
/*
 * Taking injection out of manifests again (feature CLI-26): our containers, volumes, and every annotation and label of injection. Pure; an
 * object without any comes back as it was.
 */
import {
  ALPHA_PREFIX,
  BETA_PREFIX,
  CONFIG_PREFIX,
  CONTROL_PLANE_NAMESPACE_LABEL,
  PROXY_OWNER_LABEL_PREFIX,
  WORKLOAD_NAMESPACE_LABEL,
} from '../annotations/names.ts';
import { DEBUG_CONTAINER_NAME } from '../containers/debug.ts';
import { INIT_CONTAINER_NAME, VALIDATOR_CONTAINER_NAME } from '../containers/init.ts';
import { PROXY_CONTAINER_NAME } from '../containers/proxy-env.ts';
import { IDENTITY_VOLUME, PODINFO_VOLUME, TOKEN_VOLUME } from '../containers/volumes.ts';
import { objectOf, objectsOf, textOf, type JsonObject } from '../json-object.ts';
import { withoutMetadata } from './annotate.ts';
import type { ManifestResult } from './inject-manifest.ts';
import { reportOf } from './manifest-report.ts';
import { manifestKind, podOf, withPod } from './pod-template.ts';

const CONTAINERS: ReadonlySet<string> = new Set([
  PROXY_CONTAINER_NAME,
  INIT_CONTAINER_NAME,
  VALIDATOR_CONTAINER_NAME,
  DEBUG_CONTAINER_NAME,
]);
const VOLUMES: ReadonlySet<string> = new Set([IDENTITY_VOLUME, TOKEN_VOLUME, PODINFO_VOLUME, 'linkerd-proxy-init-xtables-lock']);
const ANNOTATION_PREFIXES: readonly string[] = ['linkerd.io/', CONFIG_PREFIX, ALPHA_PREFIX, BETA_PREFIX];
/** `linkerd.io/` annotations that injection writes; the others stay where only containers are replaced. */
const WRITTEN_ANNOTATIONS: ReadonlySet<string> = new Set([
  'linkerd.io/created-by',
  'linkerd.io/inject',
  'linkerd.io/proxy-version',
  'linkerd.io/trust-root-sha256',
]);

/** Takes injection out of one object, or of each of a List. */
export function uninjectManifest(object: JsonObject): ManifestResult {
  const kind = manifestKind(object);
  switch (kind) {
    case 'list': {
      const results = (object['items'] as readonly unknown[]).map((item) => uninjectManifest(objectOf(item)));
      const items = results.map(({ report }) => report);
      const outcome = items.some((item) => item.outcome === 'uninjected') ? 'uninjected' : 'unchanged';
      return { object: { ...object, items: results.map((result) => result.object) }, report: reportOf(object, outcome, { items }) };
    }
    case 'namespace':
    case 'service':
      return outcomeOf(object, withoutMetadata(object, isInjectionAnnotation, isInjectionLabel));
    case 'workload': {
      const pod = podOf(object);
      const clean = uninjectedPod(pod, true);
      return outcomeOf(object, clean === pod ? object : withPod(object, clean));
    }
    case 'unsupported':
      return { object, report: reportOf(object, 'unsupported') };
  }
}

/** Whether the pod has containers of ours. */
export function isInjectedByUs(pod: JsonObject): boolean {
  const spec = objectOf(pod['spec']);
  return [spec['containers'], spec['initContainers']].flatMap(objectsOf).some((container) => CONTAINERS.has(textOf(container['name'])));
}

/** The pod without our containers and volumes; `withConfiguration`: without the annotations that configure them, too. */
export function uninjectedPod(pod: JsonObject, withConfiguration: boolean): JsonObject {
  const isAnnotation = withConfiguration ? isInjectionAnnotation : (key: string): boolean => WRITTEN_ANNOTATIONS.has(key);
  const clean = withoutMetadata(pod, isAnnotation, isInjectionLabel);
  const spec = objectOf(pod['spec']);
  let kept: JsonObject = spec;
  for (const [section, names] of [
    ['containers', CONTAINERS],
    ['initContainers', CONTAINERS],
    ['volumes', VOLUMES],
  ] as const) {
    kept = withoutNamed(kept, section, names);
  }
  return kept === spec ? clean : { ...clean, spec: kept };
}

function withoutNamed(spec: JsonObject, section: string, names: ReadonlySet<string>): JsonObject {
  const list = spec[section];
  if (!Array.isArray(list)) return spec;
  const rest = list.filter((item) => !names.has(textOf(objectOf(item)['name'])));
  if (rest.length === list.length) return spec;
  const { [section]: _removed, ...others } = spec;
  return rest.length === 0 ? others : { ...spec, [section]: rest };
}

function outcomeOf(before: JsonObject, after: JsonObject): ManifestResult {
  return { object: after, report: reportOf(before, after === before ? 'unchanged' : 'uninjected') };
}

function isInjectionAnnotation(key: string): boolean {
  return ANNOTATION_PREFIXES.some((prefix) => key.startsWith(prefix));
}

function isInjectionLabel(key: string): boolean {
  return key === CONTROL_PLANE_NAMESPACE_LABEL || key === WORKLOAD_NAMESPACE_LABEL || key.startsWith(PROXY_OWNER_LABEL_PREFIX);
}

// SPDX-License-Identifier: Apache-2.0
/** `@weft/injector`: puts the proxy into pods and manifests, takes it out again; the webhook around it is `@weft/injector/review`. */
export { INHERITED_CONFIG_ANNOTATIONS, INJECT_ANNOTATION, OPAQUE_PORTS_ANNOTATION, POD_CONFIG_ANNOTATIONS } from './annotations/names.ts';
export type { AnnotationProblem } from './annotations/overlay.ts';
export type { Capabilities, ContainerContext } from './containers/context.ts';
export { debugContainer } from './containers/debug.ts';
export { initContainer, validatorContainer } from './containers/init.ts';
export { proxyContainer } from './containers/proxy.ts';
export { lockVolume, proxyVolumes } from './containers/volumes.ts';
export { SKIP_REASON_TEXT, type AnnotatedAt, type SkipReason } from './decision.ts';
export {
  injectPod,
  type Injection,
  type InjectPodInput,
  type Installation,
  type NamespaceFacts,
  type WorkloadOwner,
} from './inject-pod.ts';
export { injectService, type InjectServiceInput } from './inject-service.ts';
export type { InjectionReport } from './injection-report.ts';
export { applyPatch } from './json-patch.ts';
export { injectManifest, type InjectManifestOptions, type ManifestResult } from './manifest/inject-manifest.ts';
export type { ManifestOutcome, ManifestReport } from './manifest/manifest-report.ts';
export { uninjectManifest } from './manifest/uninject-manifest.ts';
export { InjectorValuesError, readInjectorValues, type EnvValue, type InjectorValues } from './values.ts';

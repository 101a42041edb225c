// SPDX-License-Identifier: Apache-2.0
/** `@weft/injector/review`: injection as an admission webhook over a resource source. */
export {
  createInstallationReader,
  INSTALLATION_PATHS,
  MAX_INSTALLATION_FILE_BYTES,
  type InstallationPaths,
  type InstallationTexts,
} from './installation-files.ts';
export {
  createInjectorMetrics,
  MAX_ANNOTATION_SETS,
  MAX_LABEL_LENGTH,
  type CounterFactory,
  type InjectorMetrics,
} from './injector-metrics.ts';
export {
  createInjectorReview,
  EVENT_ANNOTATION_IGNORED,
  EVENT_INJECTED,
  EVENT_SKIPPED,
  type InjectorReview,
  type InjectorReviewOptions,
  type OwnerEvents,
} from './injector-review.ts';
export { MAX_REMEMBERED_OWNERS, OWNER_TIMEOUT_MS, OwnerLookup, type Owner } from './owners.ts';

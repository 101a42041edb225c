// SPDX-License-Identifier: Apache-2.0
/** `@weft/identity`: the mesh's certificate authority. */
export { IdentityError, type IdentityErrorCode } from './errors.ts';
export {
  createEventRecorder,
  MAX_PENDING_EVENTS,
  MAX_REMEMBERED_EVENTS,
  type EventRecorder,
  type EventSubject,
  type EventType,
} from './events.ts';
export { DEFAULT_CLOCK_SKEW_MS, DEFAULT_ISSUANCE_LIFETIME_MS, IdentityService, type IdentityServiceOptions } from './identity-service.ts';
export { issuerFileNames, type IssuerScheme } from './issuer.ts';
export { configMapMaterial, directoryMaterial, MAX_MATERIAL_BYTES, secretMaterial, type MaterialSource } from './material.ts';
export { registerIdentityMetrics } from './metrics.ts';
export { checkTokenReviewAccess, createKubernetesTokenReviewer } from './token-review.ts';
export { TRUST_BUNDLE_FILE } from './trust-anchors.ts';
export { isDnsLabel, isDnsSubdomain, type IdentityDomain } from './workload-identity.ts';

// SPDX-License-Identifier: Apache-2.0
/** `@weft/webhook`: an admission webhook's HTTPS server, and certificates for it from files or made and rotated in the cluster. */
export { ADMISSION_LIMITS, startAdmissionServer } from './admission-server.ts';
export type { AdmissionLimits, AdmissionServer, AdmissionServerOptions } from './admission-server.ts';
export { CERTIFICATE_FILE, CERTIFICATE_FILE_DEFAULTS, PRIVATE_KEY_FILE, watchCertificateFiles } from './certificate-files.ts';
export type { CertificateFileLimits } from './certificate-files.ts';
export { manageCertificateSecret } from './managed-secret.ts';
export type { ManagedCertificateOptions, WebhookConfigurationRef } from './managed-secret.ts';
export { MANAGED_CERTIFICATE_DEFAULTS } from './managed-certificate.ts';
export type { ManagedCertificateTimes } from './managed-certificate.ts';
export type {
  AdmissionAnswer,
  AdmissionKind,
  AdmissionRequest,
  AdmissionResource,
  AdmissionUser,
  CertificateSource,
  JsonPatchOperation,
  Review,
  ServerCertificate,
} from './types.ts';

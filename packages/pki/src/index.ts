// SPDX-License-Identifier: Apache-2.0
/** `@weft/pki`: keys, certificates, requests and trust anchors for the control plane; the proxy imports `@weft/pki/lean`. */
export {
  createCertificate,
  subjectKeyId,
  type CertificateSigner,
  type CertificateTemplate,
  type ExtendedKeyUsage,
  type KeyUsage,
} from './certificate-builder.ts';
export { parseCsr, type CertificateRequest, type CsrFlaw, type CsrResult } from './csr-parse.ts';
export {
  buildCsr,
  buildCsrInfo,
  DEFAULT_DER_LIMITS,
  encodePem,
  exportPrivateKeyDer,
  exportPrivateKeyPem,
  exportPublicKeyDer,
  generateKey,
  importPrivateKey,
  isP256,
  MAX_CHAIN_CANDIDATES,
  MAX_CHAIN_LENGTH,
  MAX_PEM_BYTES,
  parseTrustBundle,
  PkiError,
  readCertificate,
  readSubjectAltNames,
  splitPem,
  verifyChain,
  type CertificateFields,
  type CertificateResult,
  type ChainInput,
  type ChainPurpose,
  type ChainResult,
  type DerLimits,
  type Extension,
  type KeyPair,
  type PemBlock,
  type PkiErrorCode,
  type SubjectAltNames,
  type TrustBundle,
} from './lean/index.ts';
export {
  createLocalTokenIssuer,
  createLocalTokenReviewer,
  MAX_TOKEN_LENGTH,
  type LocalTokenIssuer,
  type LocalTokenIssuerOptions,
  type LocalTokenReviewerOptions,
  type TokenRequest,
} from './tokens/local-tokens.ts';
export { DEFAULT_TOKEN_ISSUER, IDENTITY_AUDIENCE, type TokenReview, type TokenReviewer } from './tokens/token-reviewer.ts';

// SPDX-License-Identifier: Apache-2.0
/** `@weft/pki/lean`: what the proxy needs, without node-forge. */
export { readCertificate, type CertificateFields, type CertificateResult, type Extension } from './certificate-fields.ts';
export { MAX_CHAIN_CANDIDATES, MAX_CHAIN_LENGTH, verifyChain, type ChainInput, type ChainPurpose, type ChainResult } from './chain.ts';
export { buildCsr, buildCsrInfo } from './csr-build.ts';
export { DEFAULT_DER_LIMITS, type DerLimits } from './der-reader.ts';
export { PkiError, type PkiErrorCode } from './errors.ts';
export {
  exportPrivateKeyDer,
  exportPrivateKeyPem,
  exportPublicKeyDer,
  generateKey,
  importPrivateKey,
  isP256,
  type KeyPair,
} from './keys.ts';
export { encodePem, MAX_PEM_BYTES, splitPem, type PemBlock } from './pem.ts';
export { readSubjectAltNames, type SubjectAltNames } from './subject-alt-names.ts';
export { parseTrustBundle, type TrustBundle } from './trust-bundle.ts';

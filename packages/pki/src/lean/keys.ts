// SPDX-License-Identifier: Apache-2.0
/*
 * Private keys of workloads and issuers: ECDSA P-256 (proxy-contract §3.2, control-contract §2.4), stored as PKCS#8. The key itself
 * stays inside node:crypto; only exports asked for by name leave it.
 */
import { Buffer } from 'node:buffer';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { PkiError } from './errors.ts';

/** A private key with its public half. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A fresh ECDSA P-256 key. */
export function generateKey(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

/** PKCS#8 DER of a private key, as the sidecar's `key.p8` holds it. */
export function exportPrivateKeyDer(key: KeyObject): Buffer {
  return key.export({ type: 'pkcs8', format: 'der' });
}

/** PKCS#8 PEM of a private key. */
export function exportPrivateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' });
}

/** SubjectPublicKeyInfo DER of a public key, or of a private key's public half. */
export function exportPublicKeyDer(key: KeyObject): Buffer {
  return (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' });
}

/**
 * Reads a private key: PEM (PKCS#8, SEC 1 or PKCS#1, as issuers come) or PKCS#8 DER. Throws PkiError `ERR_PKI_KEY`; the message never
 * holds key bytes.
 */
export function importPrivateKey(encoded: string | Uint8Array): KeyPair {
  let privateKey: KeyObject;
  try {
    privateKey =
      typeof encoded === 'string'
        ? createPrivateKey(withoutParameters(encoded))
        : createPrivateKey({ key: Buffer.from(encoded), format: 'der', type: 'pkcs8' });
  } catch (cause) {
    throw new PkiError('ERR_PKI_KEY', 'not a private key in PKCS#8, SEC 1 or PKCS#1 form', { cause });
  }
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

/** True for ECDSA keys on P-256, the only kind that mesh leaves may have (proxy-contract §3.2). */
export function isP256(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
}

// `openssl ecparam -genkey` puts an EC PARAMETERS block before the key; the reference's issuer files may hold one.
function withoutParameters(pem: string): string {
  return pem.replace(/-----BEGIN EC PARAMETERS-----[^-]*-----END EC PARAMETERS-----\s*/, '');
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Strict reading of a certificate request (RFC 2986) as the identity service gets it from any workload that can reach it
 * (control-contract §2.3): size, depth and number of elements are capped before anything is interpreted, the bytes must be exact DER, and
 * the request must be signed with the key it asks to have certified. Which names are allowed is the service's decision.
 */
import { Buffer } from 'node:buffer';
import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { readAlgorithm, readExtensions } from './lean/certificate-fields.ts';
import {
  checkDer,
  DEFAULT_DER_LIMITS,
  DER_BIT_STRING,
  DER_INTEGER,
  DER_OID,
  DER_SEQUENCE,
  DER_SET,
  DerReader,
  type DerLimits,
} from './lean/der-reader.ts';
import { readGeneralNames, type GeneralNames } from './lean/general-names.ts';
import {
  OID_COMMON_NAME,
  OID_ECDSA_SHA256,
  OID_ECDSA_SHA384,
  OID_ECDSA_SHA512,
  OID_ED25519,
  OID_EXTENSION_REQUEST,
  OID_RSA_SHA256,
  OID_RSA_SHA384,
  OID_RSA_SHA512,
  OID_SUBJECT_ALT_NAME,
  readOid,
} from './lean/object-identifiers.ts';

/** A request's contents. */
export interface CertificateRequest {
  /** The last CN of the subject, '' without one. */
  readonly commonName: string;
  /** Encoded Name, as in the request. */
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly names: Readonly<GeneralNames>;
}

/** What can be wrong with a request; `signature` means well formed but not signed with its own key. */
export type CsrFlaw = 'encoding' | 'signature';

export type CsrResult = { readonly request: CertificateRequest } | { readonly flaw: CsrFlaw; readonly error: string };

/** The algorithm binds the kind of key too: OpenSSL would verify any key's signature with the digest alone. */
const ALGORITHMS: Readonly<Record<string, { readonly keyType: string; readonly digest: string | undefined }>> = {
  [OID_ECDSA_SHA256]: { keyType: 'ec', digest: 'sha256' },
  [OID_ECDSA_SHA384]: { keyType: 'ec', digest: 'sha384' },
  [OID_ECDSA_SHA512]: { keyType: 'ec', digest: 'sha512' },
  [OID_RSA_SHA256]: { keyType: 'rsa', digest: 'sha256' },
  [OID_RSA_SHA384]: { keyType: 'rsa', digest: 'sha384' },
  [OID_RSA_SHA512]: { keyType: 'rsa', digest: 'sha512' },
  [OID_ED25519]: { keyType: 'ed25519', digest: undefined },
};

const NO_NAMES: GeneralNames = { dns: [], uris: [], emails: [], ips: [], otherCount: 0, identities: [] };

/** Parses and verifies one request in DER. Never throws for what the bytes hold. */
export function parseCsr(der: Uint8Array, limits: DerLimits = DEFAULT_DER_LIMITS): CsrResult {
  const flaw = checkDer(der, limits);
  if (flaw !== undefined) return { flaw: 'encoding', error: flaw };
  const root = new DerReader(der);
  const csr = root.enter(DER_SEQUENCE);
  const signed = csr.element(DER_SEQUENCE);
  const algorithm = readAlgorithm(csr);
  const signature = csr.read(DER_BIT_STRING);
  csr.finish();
  if (root.error !== undefined) return { flaw: 'encoding', error: root.error };

  const reader = new DerReader(signed);
  const info = reader.enter(DER_SEQUENCE);
  const version = info.read(DER_INTEGER);
  if (version.length !== 1 || version[0] !== 0) info.fail('unknown version');
  const subject = Buffer.from(info.element(DER_SEQUENCE));
  const spki = Buffer.from(info.element(DER_SEQUENCE));
  const names = info.isAtEnd ? NO_NAMES : readAttributes(info.enter(0xa0));
  info.finish();
  const commonName = readCommonName(reader, subject);
  if (signature.length < 2 || signature[0] !== 0) reader.fail('malformed signature');
  if (reader.error !== undefined) return { flaw: 'encoding', error: reader.error };

  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch {
    return { flaw: 'encoding', error: 'unsupported public key' };
  }
  if (!isSignedBy(publicKey, algorithm, signed, signature.subarray(1)))
    return { flaw: 'signature', error: 'request is not signed with its own key' };
  return { request: { commonName, subject, publicKey, names } };
}

function isSignedBy(key: KeyObject, oid: string, signed: Uint8Array, signature: Uint8Array): boolean {
  const algorithm = ALGORITHMS[oid];
  if (algorithm === undefined || algorithm.keyType !== key.asymmetricKeyType) return false;
  try {
    return verify(algorithm.digest, signed, key, signature);
  } catch {
    // OpenSSL refuses some malformed signatures by throwing.
    return false;
  }
}

function readAttributes(attributes: DerReader): GeneralNames {
  let names = NO_NAMES;
  let isSeen = false;
  while (!attributes.isAtEnd) {
    const attribute = attributes.enter(DER_SEQUENCE);
    const oid = readOid(attribute.read(DER_OID));
    const values = attribute.enter(DER_SET);
    attribute.finish();
    if (oid !== OID_EXTENSION_REQUEST) continue;
    if (isSeen) attribute.fail('extension request stands twice');
    isSeen = true;
    // readExtensions insists that one SEQUENCE is all there is.
    const extension = readExtensions(values).find((candidate) => candidate.oid === OID_SUBJECT_ALT_NAME);
    if (extension === undefined) continue;
    const reader = new DerReader(extension.value);
    names = readGeneralNames(reader);
    reader.finish();
    if (reader.error !== undefined) attribute.fail(reader.error);
  }
  return names;
}

// DirectoryString kinds that hold one byte a character for every name that a mesh can have; others are refused, not guessed at.
const STRING_TAGS: ReadonlySet<number> = new Set([0x0c, 0x13, 0x14, 0x16]);

function readCommonName(reader: DerReader, subject: Uint8Array): string {
  let commonName = '';
  const inner = new DerReader(subject);
  const names = inner.enter(DER_SEQUENCE);
  while (!names.isAtEnd) {
    const set = names.enter(DER_SET);
    while (!set.isAtEnd) {
      const pair = set.enter(DER_SEQUENCE);
      const oid = readOid(pair.read(DER_OID));
      const tag = pair.peekTag();
      const value = pair.read(tag);
      pair.finish();
      if (oid !== OID_COMMON_NAME) continue;
      if (!STRING_TAGS.has(tag)) pair.fail('common name of an unexpected type');
      commonName = Buffer.from(value).toString('utf8');
    }
  }
  if (inner.error !== undefined) reader.fail(inner.error);
  return commonName;
}

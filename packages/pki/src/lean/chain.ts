// SPDX-License-Identifier: Apache-2.0
/*
 * Chain verification outside a TLS handshake: a sidecar checks what Certify answered (proxy-contract §3.2), the identity service its
 * issuer against the trust anchors (control-contract §2.1). Rules of RFC 5280 §6 as far as mesh chains use them: names link, each
 * signature verifies, each certificate is in its validity, CAs are marked as such, may sign and keep their path length; an unknown
 * critical extension ends the path. Handshakes themselves are verified by OpenSSL in packages/net.
 */
import { X509Certificate } from 'node:crypto';
import { readCertificate, type CertificateFields } from './certificate-fields.ts';
import { DER_BIT_STRING, DER_BOOLEAN, DER_INTEGER, DER_OID, DER_SEQUENCE, DerReader } from './der-reader.ts';
import {
  OID_ANY_EXTENDED_KEY_USAGE,
  OID_AUTHORITY_KEY_ID,
  OID_BASIC_CONSTRAINTS,
  OID_CLIENT_AUTH,
  OID_EXTENDED_KEY_USAGE,
  OID_KEY_USAGE,
  OID_SERVER_AUTH,
  OID_SUBJECT_ALT_NAME,
  OID_SUBJECT_KEY_ID,
  readOid,
} from './object-identifiers.ts';

/** What the verified end of the chain is to be used for. */
export type ChainPurpose = 'server' | 'client' | 'issuer';

export interface ChainInput {
  readonly leafDer: Uint8Array;
  /** In order from the leaf's issuer towards the root; others may be among them. */
  readonly intermediatesDer: readonly Uint8Array[];
  readonly anchorsDer: readonly Uint8Array[];
  readonly nowMs: number;
  readonly purpose: ChainPurpose;
}

/** The path found, leaf first, anchor last; or why there is none. */
export type ChainResult = { readonly path: readonly Uint8Array[]; readonly notAfterMs: number } | { readonly error: string };

/** Longest path that is tried, anchor included. */
export const MAX_CHAIN_LENGTH = 8;
/** Intermediates and anchors looked at; more are refused, since each step tries all of them. */
export const MAX_CHAIN_CANDIDATES = 64;

const KNOWN_EXTENSIONS: ReadonlySet<string> = new Set([
  OID_AUTHORITY_KEY_ID,
  OID_BASIC_CONSTRAINTS,
  OID_EXTENDED_KEY_USAGE,
  OID_KEY_USAGE,
  OID_SUBJECT_ALT_NAME,
  OID_SUBJECT_KEY_ID,
]);
const KEY_USAGE_DIGITAL_SIGNATURE = 0x80;
const KEY_USAGE_CERT_SIGN = 0x04;

interface Certificate {
  readonly der: Uint8Array;
  readonly fields: CertificateFields;
  readonly x509: X509Certificate;
}

/** Finds a path from the leaf to an anchor. Never throws for what the certificates hold. */
export function verifyChain(input: ChainInput): ChainResult {
  if (input.intermediatesDer.length + input.anchorsDer.length > MAX_CHAIN_CANDIDATES) {
    return { error: `more than ${MAX_CHAIN_CANDIDATES} certificates` };
  }
  const leaf = load(input.leafDer);
  if (typeof leaf === 'string') return { error: `leaf certificate: ${leaf}` };
  const leafFlaw = timeFlaw(leaf, input.nowMs) ?? endFlaw(leaf, input.purpose);
  if (leafFlaw !== undefined) return { error: `leaf certificate: ${leafFlaw}` };
  const anchors = input.anchorsDer.map(load).filter((one): one is Certificate => typeof one !== 'string');
  const intermediates = input.intermediatesDer.map(load).filter((one): one is Certificate => typeof one !== 'string');
  let reason = 'certificate signed by unknown authority';
  let path: Certificate[] = [leaf];
  if (input.purpose === 'issuer' && anchors.some((anchor) => sameBytes(anchor.der, leaf.der))) return finished(path);
  while (path.length < MAX_CHAIN_LENGTH) {
    const child = path.at(-1) as Certificate;
    const caCount = path.length - 1 + (input.purpose === 'issuer' ? 1 : 0);
    const anchor = anchors.find((candidate) => signs(candidate, child, caCount, input.nowMs, (flaw) => (reason = flaw)));
    if (anchor !== undefined) return finished([...path, anchor]);
    const next = intermediates.find(
      (candidate) => !path.includes(candidate) && signs(candidate, child, caCount, input.nowMs, (flaw) => (reason = flaw)),
    );
    if (next === undefined) return { error: reason };
    path = [...path, next];
  }
  return { error: `chain longer than ${MAX_CHAIN_LENGTH}` };
}

function finished(path: readonly Certificate[]): ChainResult {
  return { path: path.map((one) => one.der), notAfterMs: Math.min(...path.map((one) => one.fields.notAfterMs)) };
}

/** `caCount`: CA certificates between `issuer` and the end of the chain, for its path length. */
function signs(issuer: Certificate, child: Certificate, caCount: number, nowMs: number, onFlaw: (flaw: string) => void): boolean {
  if (!sameBytes(issuer.fields.subject, child.fields.issuer)) return false;
  let isSigned = false;
  try {
    isSigned = child.x509.verify(issuer.x509.publicKey);
  } catch {
    // A key of another kind than the signature: OpenSSL throws where it could say no.
  }
  if (!isSigned) return false;
  const flaw = timeFlaw(issuer, nowMs) ?? caFlaw(issuer, caCount);
  if (flaw !== undefined) onFlaw(`CA certificate: ${flaw}`);
  return flaw === undefined;
}

function load(der: Uint8Array): Certificate | string {
  const result = readCertificate(der);
  if ('error' in result) return result.error;
  try {
    return { der, fields: result.fields, x509: new X509Certificate(der) };
  } catch (error) {
    return (error as Error).message;
  }
}

function timeFlaw(certificate: Certificate, nowMs: number): string | undefined {
  const { notBeforeMs, notAfterMs, extensions } = certificate.fields;
  // Both times, since it may be the clock that is wrong.
  const now = `now it is ${new Date(nowMs).toISOString()}`;
  if (nowMs < notBeforeMs) return `not valid before ${new Date(notBeforeMs).toISOString()}; ${now}`;
  if (nowMs > notAfterMs) return `expired at ${new Date(notAfterMs).toISOString()}; ${now}`;
  const unknown = extensions.find((extension) => extension.isCritical && !KNOWN_EXTENSIONS.has(extension.oid));
  return unknown === undefined ? undefined : `unhandled critical extension ${unknown.oid}`;
}

function endFlaw(leaf: Certificate, purpose: ChainPurpose): string | undefined {
  if (purpose === 'issuer') return caFlaw(leaf, 0);
  const usage = keyUsage(leaf.fields);
  if (usage !== undefined && (usage & KEY_USAGE_DIGITAL_SIGNATURE) === 0) return 'key usage lacks digitalSignature';
  const extended = leaf.fields.extensions.find((extension) => extension.oid === OID_EXTENDED_KEY_USAGE);
  if (extended === undefined) return undefined;
  const purposes = readPurposes(extended.value);
  const wanted = purpose === 'server' ? OID_SERVER_AUTH : OID_CLIENT_AUTH;
  return purposes.includes(wanted) || purposes.includes(OID_ANY_EXTENDED_KEY_USAGE) ? undefined : `extended key usage lacks ${purpose}Auth`;
}

function caFlaw(certificate: Certificate, caCount: number): string | undefined {
  const constraints = certificate.fields.extensions.find((extension) => extension.oid === OID_BASIC_CONSTRAINTS);
  if (constraints === undefined) return 'is not a CA';
  const reader = new DerReader(constraints.value);
  const sequence = reader.enter(DER_SEQUENCE);
  const isCa = sequence.peekTag() === DER_BOOLEAN && sequence.read(DER_BOOLEAN)[0] === 0xff;
  const pathLength = sequence.peekTag() === DER_INTEGER ? sequence.read(DER_INTEGER) : undefined;
  sequence.finish();
  if (reader.error !== undefined || !isCa) return 'is not a CA';
  const usage = keyUsage(certificate.fields);
  if (usage !== undefined && (usage & KEY_USAGE_CERT_SIGN) === 0) return 'key usage lacks keyCertSign';
  if (pathLength !== undefined && pathLength.length === 1 && (pathLength[0] as number) < caCount) return 'path length exceeded';
  return undefined;
}

function keyUsage(fields: CertificateFields): number | undefined {
  const extension = fields.extensions.find((candidate) => candidate.oid === OID_KEY_USAGE);
  if (extension === undefined) return undefined;
  return new DerReader(extension.value).read(DER_BIT_STRING)[1] ?? 0;
}

function readPurposes(value: Uint8Array): string[] {
  const purposes: string[] = [];
  const list = new DerReader(value).enter(DER_SEQUENCE);
  while (!list.isAtEnd) purposes.push(readOid(list.read(DER_OID)));
  return purposes;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => octet === b[index]);
}

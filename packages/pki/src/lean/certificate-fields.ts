// SPDX-License-Identifier: Apache-2.0
/*
 * The fields of an X.509 version 3 certificate (RFC 5280 §4.1) as far as the mesh reads them, from strict DER. It verifies nothing:
 * signatures and chains are in chain.ts. Used on the data path for the peer's names, so it copies nothing but short strings.
 */
import {
  checkDer,
  DEFAULT_DER_LIMITS,
  DER_BIT_STRING,
  DER_BOOLEAN,
  DER_GENERALIZED_TIME,
  DER_INTEGER,
  DER_OCTET_STRING,
  DER_OID,
  DER_SEQUENCE,
  DER_UTC_TIME,
  DerReader,
  type DerLimits,
} from './der-reader.ts';
import { readOid } from './object-identifiers.ts';

/** One extension, its value still encoded. */
export interface Extension {
  readonly oid: string;
  readonly isCritical: boolean;
  readonly value: Uint8Array;
}

/** Views into the certificate's bytes: valid as long as those are unchanged. */
export interface CertificateFields {
  readonly serial: Uint8Array;
  /** OID of the signature algorithm, dotted. */
  readonly signatureAlgorithm: string;
  /** Encoded Name. */
  readonly issuer: Uint8Array;
  /** Encoded Name. */
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Encoded SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly extensions: readonly Extension[];
}

/** A certificate's fields, or what is wrong with its encoding. */
export type CertificateResult = { readonly fields: CertificateFields } | { readonly error: string };

/** Reads one certificate; nothing may follow it. */
export function readCertificate(der: Uint8Array, limits: DerLimits = DEFAULT_DER_LIMITS): CertificateResult {
  const flaw = checkDer(der, limits);
  if (flaw !== undefined) return { error: flaw };
  const root = new DerReader(der);
  const certificate = root.enter(DER_SEQUENCE);
  root.finish();
  const tbs = certificate.enter(DER_SEQUENCE);
  const outerAlgorithm = readAlgorithm(certificate);
  certificate.read(DER_BIT_STRING);
  certificate.finish();

  const version = tbs.enter(0xa0);
  const versionNumber = version.read(DER_INTEGER);
  version.finish();
  if (versionNumber.length !== 1 || versionNumber[0] !== 2) tbs.fail('not a version 3 certificate');
  const serial = tbs.read(DER_INTEGER);
  const signatureAlgorithm = readAlgorithm(tbs);
  if (signatureAlgorithm !== outerAlgorithm) tbs.fail('the two signature algorithms differ');
  const issuer = tbs.element(DER_SEQUENCE);
  const validity = tbs.enter(DER_SEQUENCE);
  const notBeforeMs = readTime(validity);
  const notAfterMs = readTime(validity);
  validity.finish();
  const subject = tbs.element(DER_SEQUENCE);
  const publicKey = tbs.element(DER_SEQUENCE);
  // issuerUniqueID and subjectUniqueID: RFC 5280 forbids conforming CAs to write them.
  const extensions = tbs.isAtEnd ? [] : readExtensions(tbs.enter(0xa3));
  tbs.finish();
  if (root.error !== undefined) return { error: root.error };
  return { fields: { serial, signatureAlgorithm, issuer, subject, notBeforeMs, notAfterMs, publicKey, extensions } };
}

/** Extensions of a certificate or of a request's extensionRequest; `reader` stands before the SEQUENCE. Doubles are mistakes. */
export function readExtensions(reader: DerReader): Extension[] {
  const extensions: Extension[] = [];
  const list = reader.enter(DER_SEQUENCE);
  reader.finish();
  while (!list.isAtEnd) {
    const entry = list.enter(DER_SEQUENCE);
    const oid = readOid(entry.read(DER_OID));
    if (oid === '') entry.fail('malformed object identifier');
    let isCritical = false;
    if (entry.peekTag() === DER_BOOLEAN) {
      const flag = entry.read(DER_BOOLEAN);
      // DER: TRUE is 0xff, and a FALSE that is the default must not be written.
      if (flag.length !== 1 || flag[0] !== 0xff) entry.fail('malformed critical flag');
      isCritical = true;
    }
    const value = entry.read(DER_OCTET_STRING);
    entry.finish();
    if (extensions.some((extension) => extension.oid === oid)) entry.fail('an extension stands twice');
    extensions.push({ oid, isCritical, value });
  }
  return extensions;
}

/** Reads an AlgorithmIdentifier and returns its OID, dotted; parameters are skipped. */
export function readAlgorithm(reader: DerReader): string {
  const algorithm = reader.enter(DER_SEQUENCE);
  const oid = readOid(algorithm.read(DER_OID));
  if (oid === '') algorithm.fail('malformed object identifier');
  if (!algorithm.isAtEnd) algorithm.element();
  algorithm.finish();
  return oid;
}

const UTC_TIME = /^\d{12}Z$/;
const GENERALIZED_TIME = /^\d{14}Z$/;

function readTime(reader: DerReader): number {
  const tag = reader.peekTag();
  if (tag !== DER_UTC_TIME && tag !== DER_GENERALIZED_TIME) {
    reader.fail('malformed time');
    return 0;
  }
  const text = String.fromCharCode(...reader.read(tag).subarray(0, 16));
  if (!(tag === DER_UTC_TIME ? UTC_TIME : GENERALIZED_TIME).test(text)) {
    reader.fail('malformed time');
    return 0;
  }
  // RFC 5280 §4.1.2.5.1: two-digit years 50 to 99 are of the twentieth century.
  const full = tag === DER_GENERALIZED_TIME ? text : `${Number(text.slice(0, 2)) >= 50 ? '19' : '20'}${text}`;
  const [year, month, day, hour, minute, second] = [4, 6, 8, 10, 12, 14].map((end, i) => Number(full.slice(i === 0 ? 0 : end - 2, end)));
  const timeMs = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second);
  const isoDigits = Number.isNaN(timeMs) ? '' : new Date(timeMs).toISOString().replace(/[-T:]|\.\d+Z$/g, '');
  if (isoDigits !== full.slice(0, 14)) reader.fail('malformed time');
  return timeMs;
}

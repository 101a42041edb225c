// SPDX-License-Identifier: Apache-2.0
/*
 * The identities in a peer's leaf (proxy-contract §3.1): the DNS and URI subject alternative names, read from the certificate's DER and
 * never from a text rendering, where a name could forge another's separator. Callers have verified the chain before they believe them.
 */
import { readCertificate } from './certificate-fields.ts';
import { DerReader } from './der-reader.ts';
import { readGeneralNames } from './general-names.ts';
import { OID_SUBJECT_ALT_NAME } from './object-identifiers.ts';

/** What a leaf says of whom it belongs to. */
export interface SubjectAltNames {
  /** DNS names, lower-cased, in order. */
  readonly dns: readonly string[];
  /** URIs as written, in order. */
  readonly uris: readonly string[];
  /** Both kinds in the order in which they stand; the first is the peer's identity. */
  readonly identities: readonly string[];
  /** The certificate cannot be read strictly; all lists are empty, and its connection must not be trusted. */
  readonly isMalformed: boolean;
}

const NONE: SubjectAltNames = { dns: [], uris: [], identities: [], isMalformed: false };
const MALFORMED: SubjectAltNames = { dns: [], uris: [], identities: [], isMalformed: true };

/** Reads the subject alternative names of a certificate in DER. Never throws; see `isMalformed`. */
export function readSubjectAltNames(der: Uint8Array): SubjectAltNames {
  const result = readCertificate(der);
  if ('error' in result) return MALFORMED;
  const extension = result.fields.extensions.find((candidate) => candidate.oid === OID_SUBJECT_ALT_NAME);
  if (extension === undefined) return NONE;
  const reader = new DerReader(extension.value);
  const names = readGeneralNames(reader);
  reader.finish();
  if (reader.error !== undefined) return MALFORMED;
  return {
    dns: names.dns.map(lowerAscii),
    uris: names.uris,
    identities: names.identities.map((name) => (names.dns.includes(name) ? lowerAscii(name) : name)),
    isMalformed: false,
  };
}

// Names are printable ASCII here, so no locale or special casing can make two names equal that are not.
function lowerAscii(name: string): string {
  return name.toLowerCase();
}

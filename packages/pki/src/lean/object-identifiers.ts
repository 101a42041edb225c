// SPDX-License-Identifier: Apache-2.0
/*
 * The object identifiers of mesh certificates (RFC 5280 §4.2.1, RFC 5480, RFC 8410, RFC 2986), dotted, and the reading of an encoded
 * one back into that form.
 */
import { Buffer } from 'node:buffer';

export const OID_COMMON_NAME = '2.5.4.3';
export const OID_SUBJECT_KEY_ID = '2.5.29.14';
export const OID_KEY_USAGE = '2.5.29.15';
export const OID_SUBJECT_ALT_NAME = '2.5.29.17';
export const OID_BASIC_CONSTRAINTS = '2.5.29.19';
export const OID_AUTHORITY_KEY_ID = '2.5.29.35';
export const OID_EXTENDED_KEY_USAGE = '2.5.29.37';
export const OID_SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
export const OID_CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
export const OID_ANY_EXTENDED_KEY_USAGE = '2.5.29.37.0';
export const OID_EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
export const OID_EC_PUBLIC_KEY = '1.2.840.10045.2.1';
export const OID_ECDSA_SHA256 = '1.2.840.10045.4.3.2';
export const OID_ECDSA_SHA384 = '1.2.840.10045.4.3.3';
export const OID_ECDSA_SHA512 = '1.2.840.10045.4.3.4';
export const OID_RSA_SHA256 = '1.2.840.113549.1.1.11';
export const OID_RSA_SHA384 = '1.2.840.113549.1.1.12';
export const OID_RSA_SHA512 = '1.2.840.113549.1.1.13';
export const OID_ED25519 = '1.3.101.112';

/** Dotted form of an OBJECT IDENTIFIER's contents; '' when malformed or when an arc does not fit 2^53. */
export function readOid(contents: Uint8Array): string {
  if (contents.length === 0 || contents.length > 64) return '';
  const arcs: number[] = [];
  let arc = 0;
  let isStart = true;
  for (const octet of contents) {
    if (isStart && octet === 0x80) return '';
    arc = arc * 128 + (octet & 0x7f);
    if (!Number.isSafeInteger(arc)) return '';
    isStart = (octet & 0x80) === 0;
    if (isStart) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const first = arcs[0];
  if (!isStart || first === undefined) return '';
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...arcs.slice(1)].join('.');
}

/** Text of IA5 or printable contents, byte for byte. */
export function readLatin1(contents: Uint8Array): string {
  return Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength).toString('latin1');
}

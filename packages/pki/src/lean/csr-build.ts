// SPDX-License-Identifier: Apache-2.0
/*
 * The certificate request of a sidecar (RFC 2986), in the same shape as the reference's: CN and exactly one DNS subject alternative
 * name, both the workload's identity, signed with ECDSA SHA-256 (proxy-contract §3.2). It is DER on the wire, although the comment in
 * the contract's proto says PEM.
 */
import { Buffer } from 'node:buffer';
import { sign, type KeyObject } from 'node:crypto';
import { DER_INTEGER, DER_OCTET_STRING, DER_PRINTABLE_STRING } from './der-reader.ts';
import { encodeBitString, encodeDer, encodeOid, encodeSequence, encodeSet } from './der-writer.ts';
import { PkiError } from './errors.ts';
import { exportPublicKeyDer } from './keys.ts';
import { OID_COMMON_NAME, OID_ECDSA_SHA256, OID_EXTENSION_REQUEST, OID_SUBJECT_ALT_NAME } from './object-identifiers.ts';

/**
 * Builds and signs the request. `identity` is the workload's DNS-like name without a trailing dot. Throws PkiError `ERR_PKI_NAME` for a
 * name that could not be encoded unchanged.
 */
export function buildCsr(identity: string, privateKey: KeyObject): Buffer {
  const info = buildCsrInfo(identity, exportPublicKeyDer(privateKey));
  const signature = sign('sha256', info, privateKey);
  return encodeSequence(info, encodeSequence(encodeOid(OID_ECDSA_SHA256)), encodeBitString(signature));
}

/** The part of the request that is signed, for a public key in SubjectPublicKeyInfo DER. */
export function buildCsrInfo(identity: string, publicKeyDer: Uint8Array): Buffer {
  if (!/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(identity)) {
    throw new PkiError('ERR_PKI_NAME', `identity is not a DNS name: ${JSON.stringify(identity.slice(0, 256))}`);
  }
  const name = Buffer.from(identity, 'latin1');
  const subject = encodeSequence(encodeSet(encodeSequence(encodeOid(OID_COMMON_NAME), encodeDer(DER_PRINTABLE_STRING, name))));
  const subjectAltName = encodeSequence(
    encodeOid(OID_SUBJECT_ALT_NAME),
    encodeDer(DER_OCTET_STRING, encodeSequence(encodeDer(0x82, name))),
  );
  const attribute = encodeSequence(encodeOid(OID_EXTENSION_REQUEST), encodeSet(encodeSequence(subjectAltName)));
  return encodeSequence(encodeDer(DER_INTEGER, Buffer.from([0])), subject, publicKeyDer, encodeDer(0xa0, attribute));
}

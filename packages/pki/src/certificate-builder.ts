// SPDX-License-Identifier: Apache-2.0
/*
 * Writes X.509 version 3 certificates (RFC 5280 §4): trust anchors, issuers, and leaves with the contents of control-contract §2.4 in
 * the order in which the reference writes them. Structures by node-forge, signatures by node:crypto. The choice of names and times is
 * the caller's.
 */
import { Buffer } from 'node:buffer';
import { createHash, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto';
import asn1, { type Asn1 } from 'node-forge/lib/asn1.js';
import { readCertificate } from './lean/certificate-fields.ts';
import { DER_BIT_STRING, DER_SEQUENCE, DerReader } from './lean/der-reader.ts';
import { PkiError } from './lean/errors.ts';
import { exportPublicKeyDer } from './lean/keys.ts';
import {
  OID_AUTHORITY_KEY_ID,
  OID_BASIC_CONSTRAINTS,
  OID_CLIENT_AUTH,
  OID_COMMON_NAME,
  OID_ECDSA_SHA256,
  OID_ECDSA_SHA384,
  OID_ECDSA_SHA512,
  OID_ED25519,
  OID_EXTENDED_KEY_USAGE,
  OID_KEY_USAGE,
  OID_RSA_SHA256,
  OID_SERVER_AUTH,
  OID_SUBJECT_ALT_NAME,
  OID_SUBJECT_KEY_ID,
} from './lean/object-identifiers.ts';

/** Bits of the key usage extension (RFC 5280 §4.2.1.3). */
export type KeyUsage = 'digitalSignature' | 'keyEncipherment' | 'keyCertSign' | 'cRLSign';
/** Purposes of the extended key usage extension (RFC 5280 §4.2.1.12). */
export type ExtendedKeyUsage = 'serverAuth' | 'clientAuth';

/** What a certificate is to hold. */
export interface CertificateTemplate {
  /** Subject: a common name ('' for the empty subject), or an encoded Name taken over as it is. */
  readonly subject: string | Uint8Array;
  readonly publicKey: KeyObject;
  /** Rounded down to seconds, as both times are in the certificate. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Makes it a CA; `pathLength` limits the CAs below it. */
  readonly ca?: { readonly pathLength?: number };
  readonly keyUsage?: readonly KeyUsage[];
  readonly extendedKeyUsage?: readonly ExtendedKeyUsage[];
  readonly dnsNames?: readonly string[];
  readonly uris?: readonly string[];
  /** Positive, big-endian. Default: 127 random bits, so that replicas and restarts of one issuer never give a number twice. */
  readonly serial?: Uint8Array;
}

/** Who signs: an existing CA, or 'self' with the subject's own private key. */
export interface CertificateSigner {
  readonly certificateDer: Uint8Array | 'self';
  readonly privateKey: KeyObject;
}

const KEY_USAGE_BITS: Readonly<Record<KeyUsage, number>> = {
  digitalSignature: 0x80,
  keyEncipherment: 0x20,
  keyCertSign: 0x04,
  cRLSign: 0x02,
};
const PURPOSE_OIDS: Readonly<Record<ExtendedKeyUsage, string>> = { serverAuth: OID_SERVER_AUTH, clientAuth: OID_CLIENT_AUTH };

/** Builds and signs a certificate, in DER. Throws PkiError for a signer that cannot sign. */
export function createCertificate(template: CertificateTemplate, signer: CertificateSigner): Buffer {
  const subject = typeof template.subject === 'string' ? commonName(template.subject) : parse(template.subject);
  let issuerName = subject;
  let authorityKeyId = subjectKeyId(template.publicKey);
  if (signer.certificateDer !== 'self') {
    const issuer = readCertificate(signer.certificateDer);
    if ('error' in issuer) throw new PkiError('ERR_PKI_CERTIFICATE', `issuer certificate cannot be parsed: ${issuer.error}`);
    issuerName = parse(issuer.fields.subject);
    const ownId = issuer.fields.extensions.find((extension) => extension.oid === OID_SUBJECT_KEY_ID);
    authorityKeyId =
      ownId === undefined ? subjectKeyId(createPublicKey(signer.privateKey)) : Buffer.from(new DerReader(ownId.value).read(0x04));
  }
  const { algorithm, digest } = signatureAlgorithm(signer.privateKey);
  const tbs = sequence(
    context(0, [integer(Buffer.from([2]))]),
    integer(template.serial ?? randomSerial()),
    algorithm,
    issuerName,
    sequence(time(template.notBeforeMs), time(template.notAfterMs)),
    subject,
    parse(exportPublicKeyDer(template.publicKey)),
    context(3, [sequence(...extensions(template, authorityKeyId))]),
  );
  const signature = sign(digest, toDer(tbs), signer.privateKey);
  return toDer(sequence(tbs, algorithm, primitive(asn1.Type.BITSTRING, `\0${signature.toString('latin1')}`)));
}

/** The default subject key identifier: SHA-1 over the public key's bits (RFC 5280 §4.2.1.2, method 1). An index, not a security measure. */
export function subjectKeyId(publicKey: KeyObject): Buffer {
  const reader = new DerReader(exportPublicKeyDer(publicKey)).enter(DER_SEQUENCE);
  reader.element(DER_SEQUENCE);
  return createHash('sha1').update(reader.read(DER_BIT_STRING).subarray(1)).digest();
}

function extensions(template: CertificateTemplate, authorityKeyId: Buffer): Asn1[] {
  const list: Asn1[] = [];
  if (template.keyUsage !== undefined) {
    let bits = 0;
    for (const usage of template.keyUsage) bits |= KEY_USAGE_BITS[usage];
    // DER: trailing zero bits are cut and counted.
    const unused = bits === 0 ? 0 : 31 - Math.clz32(bits & -bits);
    const contents = bits === 0 ? '\0' : String.fromCharCode(unused, bits);
    list.push(extension(OID_KEY_USAGE, true, primitive(asn1.Type.BITSTRING, contents)));
  }
  if (template.extendedKeyUsage !== undefined) {
    list.push(
      extension(OID_EXTENDED_KEY_USAGE, false, sequence(...template.extendedKeyUsage.map((purpose) => oid(PURPOSE_OIDS[purpose])))),
    );
  }
  if (template.ca !== undefined) {
    const { pathLength } = template.ca;
    const limit = pathLength === undefined ? [] : [integer(Buffer.from([pathLength]))];
    list.push(extension(OID_BASIC_CONSTRAINTS, true, sequence(primitive(asn1.Type.BOOLEAN, '\u{ff}'), ...limit)));
    list.push(extension(OID_SUBJECT_KEY_ID, false, octets(subjectKeyId(template.publicKey))));
  }
  list.push(extension(OID_AUTHORITY_KEY_ID, false, sequence(contextPrimitive(0, authorityKeyId.toString('latin1')))));
  const names = [
    ...(template.dnsNames ?? []).map((name) => contextPrimitive(2, ascii(name))),
    ...(template.uris ?? []).map((uri) => contextPrimitive(6, ascii(uri))),
  ];
  // RFC 5280 §4.2.1.6: critical where the subject is empty.
  const isCritical = template.subject === '' || (typeof template.subject !== 'string' && template.subject.length === 2);
  if (names.length > 0) list.push(extension(OID_SUBJECT_ALT_NAME, isCritical, sequence(...names)));
  return list;
}

function signatureAlgorithm(key: KeyObject): { algorithm: Asn1; digest: string | undefined } {
  switch (key.asymmetricKeyType) {
    case 'ec': {
      const curve = key.asymmetricKeyDetails?.namedCurve;
      if (curve === 'prime256v1') return { algorithm: sequence(oid(OID_ECDSA_SHA256)), digest: 'sha256' };
      if (curve === 'secp384r1') return { algorithm: sequence(oid(OID_ECDSA_SHA384)), digest: 'sha384' };
      if (curve === 'secp521r1') return { algorithm: sequence(oid(OID_ECDSA_SHA512)), digest: 'sha512' };
      break;
    }
    case 'rsa':
      return { algorithm: sequence(oid(OID_RSA_SHA256), primitive(5, '')), digest: 'sha256' };
    case 'ed25519':
      return { algorithm: sequence(oid(OID_ED25519)), digest: undefined };
    default:
  }
  throw new PkiError('ERR_PKI_KEY', `a signing key must be ECDSA, RSA or Ed25519, not ${key.asymmetricKeyType}`);
}

function randomSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40;
  return serial;
}

function commonName(name: string): Asn1 {
  if (name === '') return sequence();
  return sequence(
    asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, [
      sequence(oid(OID_COMMON_NAME), primitive(asn1.Type.UTF8, Buffer.from(name, 'utf8').toString('latin1'))),
    ]),
  );
}

function time(timeMs: number): Asn1 {
  const date = new Date(Math.floor(timeMs / 1000) * 1000);
  // RFC 5280 §4.1.2.5: UTCTime through the year 2049.
  return date.getUTCFullYear() < 2050
    ? primitive(asn1.Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(asn1.Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
}

function extension(dotted: string, isCritical: boolean, value: Asn1): Asn1 {
  return sequence(oid(dotted), ...(isCritical ? [primitive(asn1.Type.BOOLEAN, '\u{ff}')] : []), octets(toDer(value)));
}

function sequence(...parts: Asn1[]): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, parts);
}

function context(tag: number, parts: Asn1[]): Asn1 {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, true, parts);
}

function contextPrimitive(tag: number, value: string): Asn1 {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, false, value);
}

function primitive(type: number, value: string): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, type, false, value);
}

function oid(dotted: string): Asn1 {
  return primitive(asn1.Type.OID, asn1.oidToDer(dotted).getBytes());
}

function octets(bytes: Buffer): Asn1 {
  return primitive(asn1.Type.OCTETSTRING, bytes.toString('latin1'));
}

// A leading zero octet keeps a number with its high bit set positive.
function integer(bytes: Uint8Array): Asn1 {
  const text = Buffer.from(bytes).toString('latin1');
  return primitive(asn1.Type.INTEGER, (bytes[0] ?? 0) >= 0x80 ? `\0${text}` : text);
}

function ascii(name: string): string {
  if (!/^[\x21-\x7e]+$/.test(name)) throw new PkiError('ERR_PKI_NAME', 'a subject alternative name must be printable ASCII');
  return name;
}

function parse(der: Uint8Array): Asn1 {
  return asn1.fromDer(Buffer.from(der).toString('latin1'), { strict: true, parseAllBytes: true, decodeBitStrings: false });
}

function toDer(value: Asn1): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), 'latin1');
}

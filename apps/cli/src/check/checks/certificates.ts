// SPDX-License-Identifier: Apache-2.0
/* What checks say about certificates: algorithm, validity, nearness of the end. Messages name a certificate by serial number and subject. */
import { X509Certificate } from 'node:crypto';
import { isP256, parseTrustBundle, splitPem, verifyChain } from '@weft/pki';

/** A certificate that ends sooner than this is warned of. */
export const EXPIRY_WARNING_MS: number = 60 * 24 * 3600_000;

const RSA_BITS: readonly number[] = [2048, 4096];

/** Certificates of a PEM text, in order. Throws PkiError or Error for anything else in it. */
export function readCertificates(pem: string): readonly X509Certificate[] {
  return parseTrustBundle(pem).anchorsDer.map((der) => new X509Certificate(der));
}

/** `123456 identity.linkerd.cluster.local` */
export function describeCertificate(certificate: X509Certificate): string {
  const name = /^CN=(.+)$/m.exec(certificate.subject)?.[1] ?? certificate.subject.replaceAll('\n', ',');
  return `${BigInt(`0x${certificate.serialNumber}`)} ${name}`;
}

/** What is wrong with the kind of key, or undefined. */
export function algorithmFlaw({ publicKey }: X509Certificate): string | undefined {
  const details = publicKey.asymmetricKeyDetails;
  if (publicKey.asymmetricKeyType === 'ec') {
    return isP256(publicKey) ? undefined : `must use P-256 curve for public key, instead ${curveName(details?.namedCurve)} was used`;
  }
  if (publicKey.asymmetricKeyType === 'rsa') {
    const bits = details?.modulusLength ?? 0;
    return RSA_BITS.includes(bits) ? undefined : `must use RSA of ${RSA_BITS.join(' or ')} bits, instead ${bits} bits were used`;
  }
  return `must use ECDSA or RSA for public key, instead ${publicKey.asymmetricKeyType} was used`;
}

function curveName(openSslName: string | undefined): string {
  const names: Readonly<Record<string, string>> = { secp384r1: 'P-384', secp521r1: 'P-521', secp224r1: 'P-224' };
  return names[openSslName ?? ''] ?? openSslName ?? 'an unknown curve';
}

/** Why it does not hold now, or undefined. */
export function validityFlaw(certificate: X509Certificate, nowMs: number): string | undefined {
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (nowMs < from) return `not valid before: ${iso(from)}`;
  return nowMs > to ? `not valid anymore. Expired on ${iso(to)}` : undefined;
}

/** That it ends soon, or undefined. */
export function expiryWarning(certificate: X509Certificate, nowMs: number): string | undefined {
  const to = Date.parse(certificate.validTo);
  return to - nowMs < EXPIRY_WARNING_MS ? `will expire on ${iso(to)}` : undefined;
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Why a PEM chain, leaf first, does not lead to the anchors; undefined when it does. A leaf that is itself an anchor leads to itself. */
export function chainFlaw(chainPem: string, anchorsPem: string, purpose: 'server' | 'issuer', nowMs: number): string | undefined {
  const [leaf, ...intermediates] = splitPem(chainPem).map(({ der }) => der);
  if (leaf === undefined) return 'no certificate found';
  const anchors = parseTrustBundle(anchorsPem).anchorsDer;
  if (anchors.some((anchor) => anchor.equals(leaf))) return undefined;
  const result = verifyChain({ leafDer: leaf, intermediatesDer: intermediates, anchorsDer: anchors, nowMs, purpose });
  return 'error' in result ? result.error : undefined;
}

/** Base64 of a Secret's or a webhook's field as text; undefined when it is not there. */
export function decodeField(base64: string | undefined): string | undefined {
  return base64 === undefined || base64 === '' ? undefined : Buffer.from(base64, 'base64').toString('utf8');
}

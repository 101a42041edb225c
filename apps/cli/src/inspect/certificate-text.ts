// SPDX-License-Identifier: Apache-2.0
/* A certificate for people, in the layout that `openssl x509 -text` made usual (features CLI-27). Pure. */
import type { X509Certificate } from 'node:crypto';

const KEY_PURPOSES: Readonly<Record<string, string>> = {
  '1.3.6.1.5.5.7.3.1': 'TLS Web Server Authentication',
  '1.3.6.1.5.5.7.3.2': 'TLS Web Client Authentication',
};

/** The text, ending in a line break. */
export function certificateText(certificate: X509Certificate): string {
  const { publicKey } = certificate;
  const curve = publicKey.asymmetricKeyDetails?.namedCurve;
  const bits = publicKey.asymmetricKeyDetails?.modulusLength;
  const size = curve === undefined ? (bits === undefined ? '' : ` (${bits} bit)`) : ` (${curve})`;
  const purposes = ((certificate.keyUsage as readonly string[] | undefined) ?? []).map((oid) => KEY_PURPOSES[oid] ?? oid);
  const names = (certificate.subjectAltName ?? '').split(', ').filter((name) => name !== '');
  return [
    'Certificate:',
    '    Data:',
    `        Serial Number: ${certificate.serialNumber}`,
    `        Issuer: ${oneLine(certificate.issuer)}`,
    '        Validity',
    `            Not Before: ${certificate.validFrom}`,
    `            Not After : ${certificate.validTo}`,
    `        Subject: ${oneLine(certificate.subject)}`,
    '        Subject Public Key Info:',
    `            Public Key Algorithm: ${publicKey.asymmetricKeyType ?? 'unknown'}${size}`,
    '        X509v3 extensions:',
    '            X509v3 Basic Constraints:',
    `                CA:${certificate.ca ? 'TRUE' : 'FALSE'}`,
    ...(purposes.length === 0 ? [] : ['            X509v3 Extended Key Usage:', `                ${purposes.join(', ')}`]),
    ...(names.length === 0 ? [] : ['            X509v3 Subject Alternative Name:', ...names.map((name) => `                ${name}`)]),
    `    SHA-256 Fingerprint: ${certificate.fingerprint256}`,
    '',
  ].join('\n');
}

/** Node writes one attribute a line. */
function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ');
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The certificate that a webhook makes for itself in a Secret (control-contract §4.1, §6.2): a CA for one leaf, whose key is forgotten at
 * once, so that whoever reads the Secret can sign nothing. The Secret's `ca.crt` holds the new CA and those before it that still count,
 * so that API servers trust the old and the new leaf while replicas change over. A Secret made by the reference's chart, one self-signed
 * certificate without `ca.crt`, is as good until near its end. Pure: the clock is a parameter.
 */
import { Buffer } from 'node:buffer';
import { X509Certificate } from 'node:crypto';
import {
  createCertificate,
  encodePem,
  exportPrivateKeyPem,
  generateKey,
  readCertificate,
  readSubjectAltNames,
  splitPem,
  verifyChain,
} from '@weft/pki';
import { pairFlaw } from './certificate-holder.ts';
import type { ServerCertificate } from './types.ts';

/** Lifetimes. */
export interface ManagedCertificateTimes {
  /** Of a certificate that is made. */
  readonly lifetimeMs: number;
  /** A certificate that ends within this time is replaced, its own or one that was taken over. */
  readonly renewBeforeMs: number;
  /** Certificates begin this long before they are made, for clocks that differ. */
  readonly backdateMs: number;
}

const DAY_MS = 86_400_000;

export const MANAGED_CERTIFICATE_DEFAULTS: ManagedCertificateTimes = {
  lifetimeMs: 365 * DAY_MS,
  renewBeforeMs: 30 * DAY_MS,
  backdateMs: 3_600_000,
};

/** CAs kept from before; more rotations than this within one lifetime forget the oldest. */
export const MAX_PREVIOUS_CAS = 3;
/** Keys of the Secret. */
const CERTIFICATE_KEY = 'tls.crt';
const PRIVATE_KEY_KEY = 'tls.key';
const CA_KEY = 'ca.crt';

/** What a Secret holds, found good. */
export interface ManagedCertificate {
  readonly pair: ServerCertificate;
  /** What API servers are to trust, PEM. */
  readonly caBundlePem: string;
  readonly notAfterMs: number;
}

/** A good certificate, or why there is none. */
export type SecretVerdict = { readonly certificate: ManagedCertificate } | { readonly flaw: string };

/** `data` of a Secret: values in base64. */
export type SecretData = Readonly<Record<string, string>>;

/** Whether the Secret's certificate can be served with at `nowMs` under this name. Never throws for what the Secret holds. */
export function judgeSecret(data: SecretData, serverName: string, nowMs: number): SecretVerdict {
  const text = (key: string): string => Buffer.from(typeof data[key] === 'string' ? data[key] : '', 'base64').toString('utf8');
  const pair: ServerCertificate = { certificatePem: text(CERTIFICATE_KEY), privateKeyPem: text(PRIVATE_KEY_KEY) };
  if (pair.certificatePem === '' || pair.privateKeyPem === '') return { flaw: `${CERTIFICATE_KEY} or ${PRIVATE_KEY_KEY} is missing` };
  const flaw = pairFlaw(pair);
  if (flaw !== undefined) return { flaw };
  try {
    const chain = certificatesOf(pair.certificatePem);
    const [leaf, ...intermediates] = chain;
    if (leaf === undefined) return { flaw: `${CERTIFICATE_KEY} holds no certificate` };
    const fields = readCertificate(leaf);
    if ('error' in fields) return { flaw: fields.error };
    const { notBeforeMs, notAfterMs } = fields.fields;
    if (!readSubjectAltNames(leaf).dns.includes(serverName)) return { flaw: `the certificate is not for ${serverName}` };
    if (nowMs < notBeforeMs || nowMs >= notAfterMs) return { flaw: 'the certificate is not valid at this time' };
    const caText = text(CA_KEY);
    // The reference's chart signs the leaf with its own key and writes no CA: the certificate stands for itself.
    const isSelfSigned = new X509Certificate(leaf).verify(new X509Certificate(leaf).publicKey);
    if (caText === '') {
      if (!isSelfSigned) return { flaw: `${CA_KEY} is missing` };
      return { certificate: { pair, caBundlePem: encodePem('CERTIFICATE', leaf), notAfterMs } };
    }
    const anchors = certificatesOf(caText);
    const isOwnAnchor = isSelfSigned && anchors.some((anchor) => anchor.equals(leaf));
    if (!isOwnAnchor) {
      const result = verifyChain({ leafDer: leaf, intermediatesDer: intermediates, anchorsDer: anchors, nowMs, purpose: 'server' });
      if ('error' in result) return { flaw: `${CA_KEY} does not verify ${CERTIFICATE_KEY}: ${result.error}` };
    }
    return { certificate: { pair, caBundlePem: anchors.map((anchor) => encodePem('CERTIFICATE', anchor)).join(''), notAfterMs } };
  } catch (error) {
    return { flaw: (error as Error).message };
  }
}

/** Whether a client that trusts this bundle accepts this pair under this name at `nowMs`. */
export function isTrustedBy(pair: ServerCertificate, caBundlePem: string, serverName: string, nowMs: number): boolean {
  const data = {
    [CERTIFICATE_KEY]: toBase64(pair.certificatePem),
    [PRIVATE_KEY_KEY]: toBase64(pair.privateKeyPem),
    [CA_KEY]: toBase64(caBundlePem),
  };
  return 'certificate' in judgeSecret(data, serverName, nowMs);
}

/** Makes a certificate for `serverName`. `previous`: what is served until now, whose CAs stay in the bundle. */
export function makeSecretData(
  serverName: string,
  nowMs: number,
  times: ManagedCertificateTimes,
  previous: ManagedCertificate | undefined,
): SecretData {
  const [caKey, leafKey] = [generateKey(), generateKey()];
  const [notBeforeMs, notAfterMs] = [nowMs - times.backdateMs, nowMs + times.lifetimeMs];
  const caDer = createCertificate(
    {
      subject: `${serverName} ca`,
      publicKey: caKey.publicKey,
      notBeforeMs,
      notAfterMs,
      ca: { pathLength: 0 },
      keyUsage: ['keyCertSign'],
    },
    { certificateDer: 'self', privateKey: caKey.privateKey },
  );
  const leafDer = createCertificate(
    {
      subject: serverName,
      publicKey: leafKey.publicKey,
      notBeforeMs,
      notAfterMs,
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['serverAuth'],
      dnsNames: [serverName],
    },
    { certificateDer: caDer, privateKey: caKey.privateKey },
  );
  const caPem = [encodePem('CERTIFICATE', caDer), ...stillCounting(previous?.caBundlePem ?? '', nowMs)].join('');
  return {
    [CERTIFICATE_KEY]: toBase64(encodePem('CERTIFICATE', leafDer)),
    [PRIVATE_KEY_KEY]: toBase64(exportPrivateKeyPem(leafKey.privateKey)),
    [CA_KEY]: toBase64(caPem),
  };
}

function stillCounting(bundlePem: string, nowMs: number): string[] {
  return certificatesOf(bundlePem)
    .filter((der) => {
      const result = readCertificate(der);
      return 'fields' in result && result.fields.notAfterMs > nowMs;
    })
    .slice(0, MAX_PREVIOUS_CAS)
    .map((der) => encodePem('CERTIFICATE', der));
}

function certificatesOf(pem: string): Buffer[] {
  return splitPem(pem)
    .filter(({ label }) => label === 'CERTIFICATE')
    .map(({ der }) => der);
}

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64');
}

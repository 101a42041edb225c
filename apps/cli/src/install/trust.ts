// SPDX-License-Identifier: Apache-2.0
/*
 * Trust anchors and issuer of an installation (features CLI-10, CLI-11): made here when the user gives none, otherwise read from files and
 * checked, so that a mistake is told before anything is applied.
 */
import { X509Certificate } from 'node:crypto';
import type { Dictionary } from '@weft/chart';
import {
  createCertificate,
  encodePem,
  exportPrivateKeyPem,
  generateKey,
  importPrivateKey,
  parseTrustBundle,
  splitPem,
  verifyChain,
} from '@weft/pki';
import { CommandFailure } from '../command-context.ts';
import { readFile } from './given-values.ts';

/** Lifetime of a root that is made here. */
export const ROOT_LIFETIME_MS: number = 365 * 24 * 3600_000;
/** The root is valid from a little before, for clocks that are behind. */
export const ROOT_BACKDATE_MS = 20_000;

/** Flags with files; all three or none. */
export interface TrustFiles {
  readonly identityTrustAnchorsFile?: string;
  readonly identityIssuerCertificateFile?: string;
  readonly identityIssuerKeyFile?: string;
}

/** PEM texts. */
export interface Trust {
  readonly anchorsPem: string;
  readonly issuerPem: string;
  readonly keyPem: string;
}

/** A self-signed root that is also the issuer: ECDSA P-256, a year, `identity.<namespace>.<trust domain>`. */
export function createRoot(namespace: string, trustDomain: string, nowMs: number): Trust {
  const keys = generateKey();
  const der = createCertificate(
    {
      subject: `identity.${namespace}.${trustDomain}`,
      publicKey: keys.publicKey,
      notBeforeMs: nowMs - ROOT_BACKDATE_MS,
      notAfterMs: nowMs + ROOT_LIFETIME_MS,
      ca: {},
      keyUsage: ['keyCertSign', 'cRLSign'],
      dnsNames: [`identity.${namespace}.${trustDomain}`],
    },
    { certificateDer: 'self', privateKey: keys.privateKey },
  );
  const pem = encodePem('CERTIFICATE', der);
  return { anchorsPem: pem, issuerPem: pem, keyPem: exportPrivateKeyPem(keys.privateKey) };
}

/** The files' contents; undefined when none is named. Throws CommandFailure when only some are, or when they do not fit each other. */
export function readTrustFiles(files: TrustFiles, nowMs: number): Trust | undefined {
  const named = {
    '--identity-trust-anchors-file': files.identityTrustAnchorsFile,
    '--identity-issuer-certificate-file': files.identityIssuerCertificateFile,
    '--identity-issuer-key-file': files.identityIssuerKeyFile,
  };
  const missing = Object.entries(named).filter(([, file]) => file === undefined);
  if (missing.length === 3) return undefined;
  if (missing.length > 0) {
    throw new CommandFailure(
      `a trust anchors file, an issuer certificate file and an issuer key file are needed together; missing: ${missing.map(([flag]) => flag).join(', ')}`,
    );
  }
  const trust = {
    anchorsPem: readFile(files.identityTrustAnchorsFile as string),
    issuerPem: readFile(files.identityIssuerCertificateFile as string),
    keyPem: readFile(files.identityIssuerKeyFile as string),
  };
  checkTrust(trust, nowMs);
  return trust;
}

/** Trust anchors from a file. Throws CommandFailure for what holds none. */
export function readAnchors(file: string): string {
  const pem = readFile(file);
  try {
    parseTrustBundle(pem);
  } catch (error) {
    throw new CommandFailure(`${file}: ${(error as Error).message}`, 1, { cause: error });
  }
  return pem;
}

/** Throws CommandFailure when the issuer is not of these anchors, has another key, or does not hold now. */
export function checkTrust({ anchorsPem, issuerPem, keyPem }: Trust, nowMs: number): void {
  let chain: readonly Uint8Array[];
  let isPair: boolean;
  try {
    parseTrustBundle(anchorsPem);
    chain = parseTrustBundle(issuerPem).anchorsDer;
    isPair = new X509Certificate(Buffer.from(chain[0] as Uint8Array)).checkPrivateKey(importPrivateKey(keyPem).privateKey);
  } catch (error) {
    throw new CommandFailure(`cannot read trust anchors, issuer certificate or key: ${(error as Error).message}`, 1, { cause: error });
  }
  if (!isPair) throw new CommandFailure('the issuer key is not that of the issuer certificate');
  const flaw = issuerFlaw(issuerPem, anchorsPem, nowMs);
  if (flaw !== undefined) throw new CommandFailure(`the issuer certificate cannot be used with these trust anchors: ${flaw}`);
}

/** Why proxies with these anchors would not accept what the issuer signs; undefined when they would. */
export function issuerFlaw(issuerPem: string, anchorsPem: string, nowMs: number): string | undefined {
  const [issuer, ...intermediates] = splitPem(issuerPem).map(({ der }) => der);
  if (issuer === undefined) return 'no certificate found';
  const result = verifyChain({
    leafDer: issuer,
    intermediatesDer: intermediates,
    anchorsDer: parseTrustBundle(anchorsPem).anchorsDer,
    nowMs,
    purpose: 'issuer',
  });
  return 'error' in result ? result.error : undefined;
}

/** As values of the chart. White space around is taken away, so that an upgrade with the same certificates changes nothing. */
export function trustValues({ anchorsPem, issuerPem, keyPem }: Trust): Dictionary {
  const tidy = (pem: string): string => `${pem.trim()}\n`;
  return {
    identityTrustAnchorsPEM: tidy(anchorsPem),
    identity: { issuer: { tls: { crtPEM: tidy(issuerPem), keyPEM: tidy(keyPem) } } },
  };
}

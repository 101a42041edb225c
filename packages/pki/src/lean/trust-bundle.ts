// SPDX-License-Identifier: Apache-2.0
/*
 * The mesh's trust anchors: one or more PEM certificates (features ID-09), from the environment of a proxy or from the ConfigMap of the
 * control plane. Parsing refuses anything doubtful with the ordinal of the offending block, since an operator pastes these by hand.
 */
import { X509Certificate } from 'node:crypto';
import type { Buffer } from 'node:buffer';
import { readCertificate } from './certificate-fields.ts';
import { PkiError } from './errors.ts';
import { encodePem, splitPem } from './pem.ts';

/** Parsed anchors, doubles removed, order kept. */
export interface TrustBundle {
  /** One PEM text for each anchor, as `node:tls` takes them. */
  readonly anchorsPem: readonly string[];
  readonly anchorsDer: readonly Buffer[];
}

/**
 * Parses a bundle. Throws PkiError `ERR_PKI_TRUST_BUNDLE` when it holds no certificate, a block of another kind, or one that is not
 * a certificate. Expired anchors are kept: whether they matter depends on the time of use.
 */
export function parseTrustBundle(pem: string): TrustBundle {
  let blocks;
  try {
    blocks = splitPem(pem);
  } catch (cause) {
    throw new PkiError('ERR_PKI_TRUST_BUNDLE', `trust anchors: ${(cause as Error).message}`, { cause });
  }
  if (blocks.length === 0) throw new PkiError('ERR_PKI_TRUST_BUNDLE', 'trust anchors: no PEM certificate found');
  const anchors = new Map<string, Buffer>();
  for (const [index, block] of blocks.entries()) {
    if (block.label !== 'CERTIFICATE') {
      throw new PkiError('ERR_PKI_TRUST_BUNDLE', `trust anchors: block ${index + 1} is a ${block.label}, not a CERTIFICATE`);
    }
    const result = readCertificate(block.der);
    const flaw = 'error' in result ? result.error : certificateFlaw(block.der);
    if (flaw !== undefined) throw new PkiError('ERR_PKI_TRUST_BUNDLE', `trust anchors: certificate ${index + 1} cannot be parsed: ${flaw}`);
    anchors.set(block.der.toString('base64'), block.der);
  }
  const anchorsDer = [...anchors.values()];
  return { anchorsDer, anchorsPem: anchorsDer.map((der) => encodePem('CERTIFICATE', der)) };
}

// The strict reader does not interpret keys; OpenSSL has to accept the anchor as well, or node:tls would throw later.
function certificateFlaw(der: Buffer): string | undefined {
  try {
    return new X509Certificate(der).publicKey.asymmetricKeyType === undefined ? 'unknown kind of public key' : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The issuer: a CA certificate with its key, and what it signs (control-contract §2.1, §2.4). A value: rotation makes another one.
 */
import type { Buffer } from 'node:buffer';
import type { KeyObject } from 'node:crypto';
import { createCertificate, importPrivateKey, readCertificate, splitPem, verifyChain, type CertificateRequest } from '@weft/pki';
import { IdentityError } from './errors.ts';

/** How the issuer's Secret names its keys (features ID-06). */
export type IssuerScheme = 'linkerd.io/tls' | 'kubernetes.io/tls';

/** File names of certificate and key. Anything but linkerd's own scheme has those of `kubernetes.io/tls`. */
export function issuerFileNames(scheme: string): { readonly certificate: string; readonly key: string } {
  return scheme === 'linkerd.io/tls' ? { certificate: 'crt.pem', key: 'key.pem' } : { certificate: 'tls.crt', key: 'tls.key' };
}

/** When and how long certificates are valid. */
export interface Validity {
  readonly nowMs: number;
  readonly lifetimeMs: number;
  /** Added at both ends. */
  readonly clockSkewMs: number;
}

/** A signed leaf. */
export interface IssuedCertificate {
  readonly leafDer: Buffer;
  /** From the leaf's issuer towards the root. */
  readonly intermediatesDer: readonly Buffer[];
  readonly notAfterMs: number;
}

/** One issuer. */
export class Issuer {
  private readonly certificateDer: Buffer;
  /** Further certificates of the issuer's file, towards the root. */
  private readonly chainDer: readonly Buffer[];
  private readonly privateKey: KeyObject;
  /** The issuer certificate's own end. */
  readonly notAfterMs: number;
  /** The earliest end among issuer and chain: no leaf outlives it. */
  private readonly chainNotAfterMs: number;
  private verifiedWith: readonly Buffer[] | undefined;
  private verifiedUntilMs: number;

  private constructor(certificates: readonly [Buffer, ...Buffer[]], privateKey: KeyObject, notAftersMs: readonly [number, ...number[]]) {
    [this.certificateDer] = certificates;
    this.chainDer = certificates.slice(1);
    this.privateKey = privateKey;
    [this.notAfterMs] = notAftersMs;
    this.chainNotAfterMs = Math.min(...notAftersMs);
    this.verifiedWith = undefined;
    this.verifiedUntilMs = 0;
  }

  /**
   * Reads an issuer: PEM certificates from the issuer towards the root, and its key, ECDSA or RSA. Throws IdentityError
   * `ERR_IDENTITY_ISSUER` when they do not fit; whether it chains to the anchors is `verify`'s business.
   */
  static parse(certificatePem: string, keyPem: string): Issuer {
    try {
      const blocks = splitPem(certificatePem).filter((block) => block.label === 'CERTIFICATE');
      const [first, ...rest] = blocks.map((block) => block.der);
      if (first === undefined) throw new IdentityError('ERR_IDENTITY_ISSUER', 'no PEM certificate found');
      const fields = [first, ...rest].map((der, index) => {
        const result = readCertificate(der);
        if ('error' in result) throw new IdentityError('ERR_IDENTITY_ISSUER', `certificate ${index + 1} cannot be parsed: ${result.error}`);
        return result.fields;
      });
      const { privateKey, publicKey } = importPrivateKey(keyPem);
      const ownKey = publicKey.export({ type: 'spki', format: 'der' });
      if (!ownKey.equals(fields[0]?.publicKey ?? new Uint8Array())) {
        throw new IdentityError('ERR_IDENTITY_ISSUER', 'the private key does not match the certificate');
      }
      if (publicKey.asymmetricKeyType !== 'ec' && publicKey.asymmetricKeyType !== 'rsa') {
        throw new IdentityError('ERR_IDENTITY_ISSUER', 'the private key must be an ECDSA or an RSA key');
      }
      return new Issuer([first, ...rest], privateKey, fields.map((one) => one.notAfterMs) as [number, ...number[]]);
    } catch (cause) {
      if (cause instanceof IdentityError) throw cause;
      throw new IdentityError('ERR_IDENTITY_ISSUER', (cause as Error).message, { cause });
    }
  }

  /**
   * What is wrong with this issuer now: undefined when it is a CA that chains to the anchors. Cheap while neither the anchors nor the
   * certificates' validity changed, so that each request can ask (control-contract §2.3 step 3).
   */
  verify(anchorsDer: readonly Buffer[], nowMs: number): string | undefined {
    if (this.verifiedWith === anchorsDer && nowMs <= this.verifiedUntilMs) return undefined;
    this.verifiedWith = undefined;
    const result = verifyChain({ leafDer: this.certificateDer, intermediatesDer: this.chainDer, anchorsDer, nowMs, purpose: 'issuer' });
    if ('error' in result) return result.error;
    this.verifiedWith = anchorsDer;
    this.verifiedUntilMs = result.notAfterMs;
    return undefined;
  }

  /** Signs a leaf for a request whose names have been checked (control-contract §2.4). Throws when the key cannot sign. */
  sign(request: CertificateRequest, validity: Validity): IssuedCertificate {
    const notAfterMs = Math.min(validity.nowMs + validity.lifetimeMs + validity.clockSkewMs, this.chainNotAfterMs);
    const wholeNotAfterMs = Math.floor(notAfterMs / 1000) * 1000;
    const leafDer = createCertificate(
      {
        subject: request.subject,
        publicKey: request.publicKey,
        notBeforeMs: validity.nowMs - validity.clockSkewMs,
        notAfterMs: wholeNotAfterMs,
        keyUsage: ['digitalSignature', 'keyEncipherment'],
        extendedKeyUsage: ['serverAuth', 'clientAuth'],
        dnsNames: request.names.dns,
      },
      { certificateDer: this.certificateDer, privateKey: this.privateKey },
    );
    return { leafDer, intermediatesDer: [this.certificateDer, ...this.chainDer], notAfterMs: wholeNotAfterMs };
  }

  /** Whether both are the same certificate with the same chain. */
  equals(other: Issuer): boolean {
    return (
      this.certificateDer.equals(other.certificateDer) &&
      this.chainDer.length === other.chainDer.length &&
      this.chainDer.every((der, index) => der.equals(other.chainDer[index] as Buffer))
    );
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The certificate that a source currently offers, and who wants to hear of the next one. A pair is checked before it is taken: OpenSSL
 * has to accept both halves, and they have to belong together, or the old pair stays (control-contract §4.1).
 */
import { createSecureContext } from 'node:tls';
import type { CertificateSource, ServerCertificate } from './types.ts';

/** Why the pair cannot be served with, or undefined. Never holds key bytes. */
export function pairFlaw(pair: ServerCertificate): string | undefined {
  try {
    createSecureContext({ cert: pair.certificatePem, key: pair.privateKeyPem, minVersion: 'TLSv1.3' });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Holds the certificate of a source. */
export class CertificateHolder implements Omit<CertificateSource, 'close'> {
  readonly loaded: Promise<void>;
  private pair: ServerCertificate | undefined;
  private readonly resolveLoaded: () => void;
  private readonly listeners = new Set<(certificate: ServerCertificate) => void>();

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.loaded = promise;
    this.resolveLoaded = resolve;
  }

  get current(): ServerCertificate | undefined {
    return this.pair;
  }

  /** Takes a pair that `pairFlaw` found nothing wrong with. The same pair again is no change. */
  set(pair: ServerCertificate): void {
    if (pair.certificatePem === this.pair?.certificatePem && pair.privateKeyPem === this.pair.privateKeyPem) return;
    this.pair = pair;
    this.resolveLoaded();
    for (const listener of this.listeners) listener(pair);
  }

  onChange(listener: (certificate: ServerCertificate) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Nobody is called any more. */
  clear(): void {
    this.listeners.clear();
  }
}

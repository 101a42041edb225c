// SPDX-License-Identifier: Apache-2.0
/*
 * The trust anchors that the service runs with. The reference reads them once; here a changed bundle is taken at run time, so that
 * `weft.identity.v1.TrustBundle/Watch` can hand it to our proxies (design §2) and the issuer is held to it. A bundle that cannot be
 * parsed never replaces a good one.
 */
import type { Buffer } from 'node:buffer';
import { parseTrustBundle, type TrustBundle } from '@weft/pki';
import type { Logger } from '@weft/telemetry';
import { IdentityError } from './errors.ts';
import type { MaterialSource } from './material.ts';

/** File and ConfigMap key of the bundle (control-contract §2.1). */
export const TRUST_BUNDLE_FILE = 'ca-bundle.crt';

/** The bundle in force. */
export class TrustAnchors {
  private readonly source: MaterialSource;
  private readonly logger: Logger;
  private readonly listeners: Set<() => void>;
  private readonly watch: { close(): void };
  private bundle: TrustBundle;

  private constructor(source: MaterialSource, logger: Logger, bundle: TrustBundle) {
    this.source = source;
    this.logger = logger;
    this.listeners = new Set();
    this.bundle = bundle;
    // Never rejects: reload catches.
    this.watch = source.watch(() => void this.reload());
  }

  /** Loads the bundle; rejects with IdentityError `ERR_IDENTITY_ANCHORS` when there is no good one. */
  static async load(source: MaterialSource, logger: Logger): Promise<TrustAnchors> {
    return new TrustAnchors(source, logger, await readBundle(source));
  }

  /** Anchors in DER. The array is replaced, never changed: its identity tells whether the bundle is another. */
  get anchorsDer(): readonly Buffer[] {
    return this.bundle.anchorsDer;
  }

  /** Calls after each change of the bundle. */
  onChange(listener: () => void): { close(): void } {
    this.listeners.add(listener);
    return { close: () => void this.listeners.delete(listener) };
  }

  close(): void {
    this.watch.close();
    this.listeners.clear();
  }

  private async reload(): Promise<void> {
    try {
      const bundle = await readBundle(this.source);
      if (bundle.anchorsPem.join('') === this.bundle.anchorsPem.join('')) return;
      this.bundle = bundle;
      this.logger.info('Trust anchors changed', { count: bundle.anchorsPem.length });
      for (const listener of this.listeners) listener();
    } catch (error) {
      this.logger.warn('Trust anchors not taken', { error: (error as Error).message });
    }
  }
}

async function readBundle(source: MaterialSource): Promise<TrustBundle> {
  const pem = (await source.read())[TRUST_BUNDLE_FILE];
  if (pem === undefined) throw new IdentityError('ERR_IDENTITY_ANCHORS', `no ${TRUST_BUNDLE_FILE} in ${source.location}`);
  try {
    return parseTrustBundle(pem);
  } catch (cause) {
    throw new IdentityError('ERR_IDENTITY_ANCHORS', `${source.location}: ${(cause as Error).message}`, { cause });
  }
}

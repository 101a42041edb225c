// SPDX-License-Identifier: Apache-2.0
/*
 * The anchors that this proxy trusts while it runs (design §2). The environment gives the first ones; a watched bundle replaces them. New anchors
 * count at once. An anchor that left the bundle is trusted for a while longer, since every workload learns of the change at its own moment and those
 * whose certificate hangs on it need that time for another; after it, for no new handshake.
 *
 *   bundle {a} ──{a, b}──► trusted {a, b} ──{b}──► trusted {b, a} ──ANCHOR_REMOVAL_GRACE_MS──► trusted {b}
 */
import type { Buffer } from 'node:buffer';
import { type TrustBundle, encodePem, parseTrustBundle } from '@weft/pki/lean';
import type { Clock } from '../runtime.ts';

/** How long a removed anchor is still trusted. */
export const ANCHOR_REMOVAL_GRACE_MS = 60_000;
/** A bundle of more anchors than this is a mistake of whoever made it: each costs memory in every TLS context. */
export const MAX_ANCHORS = 32;

/** What a new bundle changed. */
export interface AnchorChange {
  readonly added: number;
  readonly removed: number;
  readonly count: number;
}

export class TrustAnchors {
  private readonly clock: Clock;
  /** Called whenever `trusted` is another. */
  private readonly onTrustedChange: () => void;
  private current: TrustBundle;
  private union: TrustBundle;
  private cancelGrace: (() => void) | undefined = undefined;

  constructor(initial: TrustBundle, clock: Clock, onTrustedChange: () => void) {
    this.clock = clock;
    this.onTrustedChange = onTrustedChange;
    this.current = initial;
    this.union = initial;
  }

  /** The bundle itself: what own certificates must hang on. */
  get bundle(): TrustBundle {
    return this.current;
  }

  /** The bundle and what has left it just now: what peers are verified against. */
  get trusted(): TrustBundle {
    return this.union;
  }

  /** Takes a bundle. Returns the change, undefined where there is none, or what is wrong with it; then everything stays as it was. */
  replace(anchorsDer: readonly Uint8Array[]): AnchorChange | string | undefined {
    if (anchorsDer.length === 0) return 'the bundle is empty';
    if (anchorsDer.length > MAX_ANCHORS) return `the bundle has more than ${MAX_ANCHORS} anchors`;
    let next: TrustBundle;
    try {
      next = parseTrustBundle(anchorsDer.map((der) => encodePem('CERTIFICATE', der)).join(''));
    } catch (error) {
      return (error as Error).message;
    }
    const before = keysOf(this.current);
    const after = keysOf(next);
    const added = [...after].filter((key) => !before.has(key)).length;
    const removed = [...before].filter((key) => !after.has(key)).length;
    if (added === 0 && removed === 0) return undefined;
    this.current = next;
    // An anchor that left in an earlier change has had its time when this one's is over.
    this.union = joined(next, this.union);
    this.cancelGrace?.();
    this.cancelGrace = undefined;
    if (this.union !== next) {
      this.cancelGrace = this.clock.after(ANCHOR_REMOVAL_GRACE_MS, () => {
        this.union = this.current;
        this.onTrustedChange();
      });
    }
    this.onTrustedChange();
    return { added, removed, count: next.anchorsDer.length };
  }

  /** Adds anchors to the bundle until the next one replaces it. */
  add(extra: TrustBundle): void {
    this.current = joined(this.current, extra);
    this.union = this.current;
    this.onTrustedChange();
  }

  close(): void {
    this.cancelGrace?.();
  }
}

function keysOf(bundle: TrustBundle): Set<string> {
  return new Set(bundle.anchorsPem);
}

/** `first` itself where `second` adds nothing. */
function joined(first: TrustBundle, second: TrustBundle): TrustBundle {
  const known = keysOf(first);
  const extra = second.anchorsPem
    .map((pem, index) => [pem, second.anchorsDer[index] as Buffer] as const)
    .filter(([pem]) => !known.has(pem));
  if (extra.length === 0) return first;
  return {
    anchorsPem: [...first.anchorsPem, ...extra.map(([pem]) => pem)],
    anchorsDer: [...first.anchorsDer, ...extra.map(([, der]) => der)],
  };
}

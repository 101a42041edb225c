// SPDX-License-Identifier: Apache-2.0
/*
 * Flow control (RFC 9113 §5.2, §6.9), each direction a type of its own. Counts are bytes, padding included. For a receiving
 * window this holds at any time: advertised + unclaimed + (received and not yet released) = size.
 */
import { H2_CODES } from './codes.ts';
import { MAX_WINDOW_BYTES } from './frame/settings.ts';
import { H2UsageError } from './errors.ts';
import type { H2Code } from './types.ts';

/** What a peer may send us. */
export class RecvWindow {
  /** What the peer may send when everything is released. */
  private sizeBytes: number;
  /** What the peer may still send now. Negative after `shrink` (§6.9.2). */
  private advertisedBytes: number;
  /** Received and not yet released. */
  private heldBytes = 0;
  /** Released, and not yet told to the peer. */
  private unclaimedBytes = 0;

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.advertisedBytes = sizeBytes;
  }

  /** Bytes received and not yet released. */
  get held(): number {
    return this.heldBytes;
  }

  /** What the peer may still send. */
  get advertised(): number {
    return this.advertisedBytes;
  }

  /** Released and not yet returned to the peer. */
  get unclaimed(): number {
    return this.unclaimedBytes;
  }

  /** The peer sent `bytes`. NO_ERROR, or FLOW_CONTROL_ERROR if it overran; then nothing is counted. */
  recvData(bytes: number): H2Code {
    if (bytes > this.advertisedBytes) return H2_CODES.FLOW_CONTROL_ERROR;
    this.advertisedBytes -= bytes;
    this.heldBytes += bytes;
    return H2_CODES.NO_ERROR;
  }

  /**
   * `bytes` of what was received are done with. Returns the increment to send now; 0 while it would be less than half the
   * window. Throws H2UsageError on more than was received.
   */
  release(bytes: number): number {
    if (bytes > this.heldBytes) throw new H2UsageError('ERR_H2_OVERCONSUMED', 'more bytes consumed than received');
    this.heldBytes -= bytes;
    this.unclaimedBytes += bytes;
    return this.claim();
  }

  /**
   * The peer acknowledged a setting that makes the window `bytes` smaller. Returns the increment to send now: what was too
   * little of the larger window may be enough of the smaller one, and waiting for more could be waiting for ever.
   */
  shrink(bytes: number): number {
    this.sizeBytes -= bytes;
    this.advertisedBytes -= bytes;
    return this.claim();
  }

  private claim(): number {
    if (this.unclaimedBytes * 2 < this.sizeBytes) return 0;
    const increment = this.unclaimedBytes;
    this.unclaimedBytes = 0;
    this.advertisedBytes += increment;
    return increment;
  }
}

/** What we may send. */
export class SendWindow {
  /** May be negative (§6.9.2). */
  availableBytes: number;

  constructor(initialBytes: number) {
    this.availableBytes = initialBytes;
  }

  /** WINDOW_UPDATE, or a changed initial window (negative where it shrank). FLOW_CONTROL_ERROR above 2^31 − 1 (§6.9.1). */
  add(bytes: number): H2Code {
    if (this.availableBytes + bytes > MAX_WINDOW_BYTES) return H2_CODES.FLOW_CONTROL_ERROR;
    this.availableBytes += bytes;
    return H2_CODES.NO_ERROR;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The streams of a connection by identifier, and a short memory of closed ones (RFC 9113 §5.1.1): enough to tell frames that
 * crossed a RST_STREAM of ours (ignored) from frames on a finished stream and from reused or skipped identifiers (errors).
 * Opening and closing take constant time, whatever the number of streams.
 */
import { IdRing } from './id-ring.ts';
import type { H2Stream } from './stream.ts';
import { StreamSlots } from './stream-slots.ts';
import { CAUSE_LOCAL_RESET, type CloseCause } from './stream-state.ts';

/** Local resets remembered. A peer may have frames in flight for as many of them. */
const KEPT_LOCAL_RESETS = 1024;
/** Other closed streams remembered, only to name errors well. */
const KEPT_CLOSED = 32;

/** Open streams, and what is still known of closed ones. */
export class StreamTable {
  /** Highest identifier opened by the peer, and by us; 0 for none. */
  lastPeerId = 0;
  lastOwnId = 0;
  /** Heads that the peer made us keep, by the streams open now. */
  openHeadBytes = 0;
  private readonly streams: StreamSlots = new StreamSlots();
  private readonly localResets: IdRing = new IdRing(KEPT_LOCAL_RESETS);
  private readonly closed: IdRing = new IdRing(KEPT_CLOSED);
  private readonly isServer: boolean;

  constructor(isServer: boolean) {
    this.isServer = isServer;
  }

  get size(): number {
    return this.streams.size;
  }

  find(id: number): H2Stream | undefined {
    return this.streams.get(id);
  }

  open(stream: H2Stream): void {
    this.streams.add(stream);
    this.openHeadBytes += stream.headBytes;
  }

  /** Forgets a stream that is closed. */
  close(stream: H2Stream): void {
    if (!this.streams.delete(stream)) return;
    this.openHeadBytes -= stream.headBytes;
    this.remember(stream.id, stream.state.cause);
  }

  /** Notes a stream that was closed; also one that never became an object: refused, or malformed. */
  remember(id: number, cause: CloseCause): void {
    if (cause === CAUSE_LOCAL_RESET) this.localResets.add(id);
    else this.closed.add(id);
  }

  /**
   * Whether we reset this stream not long ago, so that the peer may not know yet. Of a client's own streams also those that
   * nothing is known of any more: cancelling many at a time is no fault of the server's.
   */
  wasResetByUs(id: number): boolean {
    if (this.localResets.has(id)) return true;
    return !this.isServer && (id & 1) === 1 && id <= this.lastOwnId && !this.closed.has(id);
  }

  /** Whether the stream is known to have been open and to have closed. */
  wasClosed(id: number): boolean {
    return this.closed.has(id);
  }

  /** Whether no one has opened this stream yet (§5.1 idle). */
  isIdle(id: number): boolean {
    const isPeers = (id & 1) === (this.isServer ? 1 : 0);
    return id > (isPeers ? this.lastPeerId : this.lastOwnId);
  }

  /** All open streams; the visitor may close the one it is given. */
  forEach(visit: (stream: H2Stream) => void): void {
    this.streams.forEach(visit);
  }
}

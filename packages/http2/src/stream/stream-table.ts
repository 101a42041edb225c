// SPDX-License-Identifier: Apache-2.0
/*
 * The streams of a connection by identifier, and a short memory of closed ones (RFC 9113 §5.1.1): enough to tell frames that
 * crossed a RST_STREAM of ours (ignored) from frames on a finished stream and from reused or skipped identifiers (errors).
 * Opening and closing take constant time, whatever the number of streams.
 */
import type { H2Stream } from './stream.ts';
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
  private readonly streams: Map<number, H2Stream> = new Map();
  /** Made on the first reset; oldest first. */
  private localResets: Set<number> | undefined = undefined;
  private readonly closedIds: Int32Array = new Int32Array(KEPT_CLOSED);
  private closedCount = 0;
  private readonly isServer: boolean;
  /** The stream found last: frames of one stream come in runs. */
  private latest: H2Stream | undefined = undefined;

  constructor(isServer: boolean) {
    this.isServer = isServer;
  }

  get size(): number {
    return this.streams.size;
  }

  find(id: number): H2Stream | undefined {
    const { latest } = this;
    if (latest !== undefined && latest.id === id) return latest;
    const found = this.streams.get(id);
    if (found !== undefined) this.latest = found;
    return found;
  }

  open(stream: H2Stream): void {
    this.streams.set(stream.id, stream);
    this.latest = stream;
  }

  /** Forgets a stream that is closed. */
  close(stream: H2Stream): void {
    if (this.latest === stream) this.latest = undefined;
    if (!this.streams.delete(stream.id)) return;
    this.remember(stream.id, stream.state.cause);
  }

  /** Notes a stream that was closed without ever becoming an object: refused, or malformed. */
  remember(id: number, cause: CloseCause): void {
    if (cause === CAUSE_LOCAL_RESET) {
      this.localResets ??= new Set();
      this.localResets.add(id);
      if (this.localResets.size > KEPT_LOCAL_RESETS) {
        const [oldest] = this.localResets;
        this.localResets.delete(oldest as number);
      }
    } else {
      this.closedIds[this.closedCount++ % KEPT_CLOSED] = id;
    }
  }

  /** Whether we reset this stream not long ago, so that the peer may not know yet. */
  wasResetByUs(id: number): boolean {
    return this.localResets !== undefined && this.localResets.has(id);
  }

  /** Whether the stream is known to have been open and to have closed. */
  wasClosed(id: number): boolean {
    return this.closedIds.includes(id);
  }

  /** Whether no one has opened this stream yet (§5.1 idle). */
  isIdle(id: number): boolean {
    const isPeers = (id & 1) === (this.isServer ? 1 : 0);
    return id > (isPeers ? this.lastPeerId : this.lastOwnId);
  }

  values(): IterableIterator<H2Stream> {
    return this.streams.values();
  }
}

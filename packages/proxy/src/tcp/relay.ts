// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes between two streams, untouched: half-close is carried over in each direction, and a slow reader stops the other side's reading.
 * Nothing is buffered here beyond what the writing stream has in flight.
 */
import type { Buffer } from 'node:buffer';
import type { ByteStream, ByteStreamSink, NetError } from '@weft/net';

/** How a relay ended: the first error of either side, or undefined. */
export type RelayEnd = (error: NetError | undefined) => void;

class RelayHalf implements ByteStreamSink {
  other: RelayHalf | undefined = undefined;
  readonly stream: ByteStream;
  private readonly relay: Relay;
  private isPaused = false;

  constructor(stream: ByteStream, relay: Relay) {
    this.stream = stream;
    this.relay = relay;
  }

  onRead(chunk: Buffer, start: number, end: number): void {
    if (this.relay.onServerFirst !== undefined) this.relay.spoke(this);
    const to = (this.other as RelayHalf).stream;
    if (to.isClosed) return;
    to.out.writeBytes(chunk, start, end);
    to.schedule();
    if (to.isBlocked && !this.isPaused) {
      this.isPaused = true;
      this.stream.pauseReading();
    }
  }

  onReadEnd(): void {
    (this.other as RelayHalf).stream.end();
  }

  onDrain(): void {
    const from = this.other as RelayHalf;
    if (from.isPaused) {
      from.isPaused = false;
      from.stream.resumeReading();
    }
  }

  onClose(error: NetError | undefined): void {
    this.relay.halfClosed(this, error);
  }
}

/**
 * Relays between two streams until both are closed. Both get new sinks. `onServerFirst` is called where `b` says something before `a` has said
 * anything.
 */
export function startRelay(a: ByteStream, b: ByteStream, onEnd: RelayEnd, onServerFirst?: () => void): Relay {
  return new Relay(a, b, onEnd, onServerFirst);
}

/** A running relay. */
export class Relay {
  private readonly a: RelayHalf;
  private readonly b: RelayHalf;
  onServerFirst: (() => void) | undefined;
  private readonly onEnd: RelayEnd;
  private closedCount = 0;
  private error: NetError | undefined = undefined;

  constructor(a: ByteStream, b: ByteStream, onEnd: RelayEnd, onServerFirst: (() => void) | undefined) {
    this.onServerFirst = onServerFirst;
    this.onEnd = onEnd;
    this.a = new RelayHalf(a, this);
    this.b = new RelayHalf(b, this);
    this.a.other = this.b;
    this.b.other = this.a;
    a.setSink(this.a);
    b.setSink(this.b);
    // Bytes may have been waiting while the sinks were not there yet.
    if (b.isBlocked) this.a.onDrain();
  }

  /** Ends both sides at once, for a connection that is no longer allowed. */
  destroy(): void {
    this.a.stream.destroy({ reset: true });
    this.b.stream.destroy({ reset: true });
  }

  /** The first bytes of either side. */
  spoke(half: RelayHalf): void {
    const { onServerFirst } = this;
    this.onServerFirst = undefined;
    if (half === this.b) onServerFirst?.();
  }

  halfClosed(half: RelayHalf, error: NetError | undefined): void {
    this.error ??= error;
    this.closedCount += 1;
    if (this.closedCount === 2) {
      this.onEnd(this.error);
      return;
    }
    const other = (half.other as RelayHalf).stream;
    // A reset on one side is a reset on the other; an ordinary close lets what is in flight go out.
    if (error !== undefined) other.destroy({ reset: true });
    else other.end();
  }
}

// SPDX-License-Identifier: Apache-2.0
/* A stream whose other side is not known yet: not read from, so that TCP itself holds the peer back; its close is noticed. */
import type { Buffer } from 'node:buffer';
import type { ByteStream, ByteStreamSink, NetError } from '@weft/net';

/** Holds `stream` until `release`, telling of a close meanwhile. */
export class WaitingStream implements ByteStreamSink {
  isClosed = false;
  private readonly stream: ByteStream;
  private readonly onGone: () => void;

  constructor(stream: ByteStream, onGone: () => void) {
    this.stream = stream;
    this.onGone = onGone;
    stream.pauseReading();
    stream.setSink(this);
  }

  /** The next sink takes over; reading resumes with it. */
  release(): void {
    this.stream.resumeReading();
  }

  onRead(chunk: Buffer, start: number, end: number): void {
    // A read that was already under way when reading was paused.
    this.stream.unread(chunk, start, end);
  }

  onReadEnd(): void {}
  onDrain(): void {}

  onClose(_error: NetError | undefined): void {
    this.isClosed = true;
    this.onGone();
  }
}

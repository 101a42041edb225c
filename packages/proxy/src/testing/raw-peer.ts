// SPDX-License-Identifier: Apache-2.0
/* A peer that speaks bytes: what a test sends is sent, what came is text. */
import type { Buffer } from 'node:buffer';
import type { ByteStreamSink, NetError } from '@weft/net';
import type { MemoryStream } from './memory-stream.ts';

export class RawPeer implements ByteStreamSink {
  readonly stream: MemoryStream;
  /** Everything received and not taken, as latin1. */
  text = '';
  receivedBytes = 0;
  isReadEnded = false;
  isClosed = false;
  error: NetError | undefined = undefined;
  /** Only counts bytes, for long bodies. */
  isCountingOnly = false;

  constructor(stream: MemoryStream) {
    this.stream = stream;
    stream.setSink(this);
  }

  send(text: string | Uint8Array): this {
    if (typeof text === 'string') this.stream.out.writeLatin1(text);
    else this.stream.out.writeBytes(text, 0, text.length);
    this.stream.schedule();
    return this;
  }

  /** What has come since the last call. */
  take(): string {
    const { text } = this;
    this.text = '';
    return text;
  }

  end(): void {
    this.stream.end();
  }

  reset(): void {
    this.stream.destroy({ reset: true });
  }

  onRead(chunk: Buffer, start: number, end: number): void {
    this.receivedBytes += end - start;
    if (!this.isCountingOnly) this.text += chunk.toString('latin1', start, end);
  }

  onReadEnd(): void {
    this.isReadEnded = true;
  }

  onDrain(): void {}

  onClose(error: NetError | undefined): void {
    this.isClosed = true;
    this.error = error;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Which stream sends next: round robin over the streams that have data waiting and a window to send it in. Streams whose own
 * window is used up are not in the ring and cost nothing until the peer opens it. Intrusive list: no allocation, constant time.
 */
import type { H2Stream } from '../stream/stream.ts';

/** A FIFO ring of streams that could send. */
export class SendScheduler {
  private head: H2Stream | undefined = undefined;
  private tail: H2Stream | undefined = undefined;

  get isEmpty(): boolean {
    return this.head === undefined;
  }

  /** Adds a stream at the end, unless it is in the ring. */
  add(stream: H2Stream): void {
    if (stream.isScheduled) return;
    stream.isScheduled = true;
    stream.nextScheduled = undefined;
    if (this.tail === undefined) this.head = stream;
    else this.tail.nextScheduled = stream;
    this.tail = stream;
  }

  /** Takes the stream whose turn it is. It may have been reset since it was added. */
  shift(): H2Stream | undefined {
    const stream = this.head;
    if (stream === undefined) return undefined;
    this.head = stream.nextScheduled;
    if (this.head === undefined) this.tail = undefined;
    stream.nextScheduled = undefined;
    stream.isScheduled = false;
    return stream;
  }

  /** Moves all streams of `other` to the end of this ring. */
  addAll(other: SendScheduler): void {
    let stream = other.shift();
    while (stream !== undefined) {
      this.add(stream);
      stream = other.shift();
    }
  }
}

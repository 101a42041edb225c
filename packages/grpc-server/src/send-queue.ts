// SPDX-License-Identifier: Apache-2.0
/*
 * The bounded queue between a publisher and one slow stream (control-contract §1.9: per-stream queue, overflow drops and closes). One message
 * is with the transport at a time; the others wait here, where they can still be dropped. No I/O: the transport's write is a parameter.
 *
 *   open ──(full on push)──► overflowed      open ──close──► closed       both: nothing is taken or written any more
 */

const OPEN = 0;
const OVERFLOWED = 1;
const CLOSED = 2;
type QueueState = typeof OPEN | typeof OVERFLOWED | typeof CLOSED;

/** Called to hand one message to the transport; `done` must be called once when the transport can take the next. */
export type QueueWrite<Message> = (message: Message, done: () => void) => void;

/** A first-in-first-out queue of at most `capacity` waiting messages in front of a one-at-a-time transport. */
export class SendQueue<Message> {
  private readonly write: QueueWrite<Message>;
  private readonly capacity: number;
  private waiting: Message[] = [];
  private isWriting = false;
  private state: QueueState = OPEN;
  private onDrained: (() => void) | undefined = undefined;
  private readonly written: () => void;

  /** `capacity`: messages that may wait besides the one being written, at least 1. */
  constructor(capacity: number, write: QueueWrite<Message>) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`queue capacity must be a positive integer, not ${capacity}`);
    this.capacity = capacity;
    this.write = write;
    this.written = (): void => this.next();
  }

  get isOverflowed(): boolean {
    return this.state === OVERFLOWED;
  }

  get length(): number {
    return this.waiting.length;
  }

  /** Takes `message`. False when it was not taken; the push that finds the queue full drops everything waiting. */
  push(message: Message): boolean {
    if (this.state !== OPEN) return false;
    if (!this.isWriting) {
      this.isWriting = true;
      this.write(message, this.written);
      return true;
    }
    if (this.waiting.length >= this.capacity) {
      this.state = OVERFLOWED;
      this.waiting = [];
      return false;
    }
    this.waiting.push(message);
    return true;
  }

  /** Calls `listener` once everything taken so far has been written. Nothing may be pushed afterwards. */
  closeWhenDrained(listener: () => void): void {
    if (this.state === OPEN) this.state = CLOSED;
    if (!this.isWriting) listener();
    else this.onDrained = listener;
  }

  /** Drops what is waiting. */
  discard(): void {
    this.state = this.state === OVERFLOWED ? OVERFLOWED : CLOSED;
    this.waiting = [];
    this.onDrained = undefined;
  }

  private next(): void {
    const message = this.waiting.shift();
    if (message !== undefined) {
      this.write(message, this.written);
      return;
    }
    this.isWriting = false;
    const listener = this.onDrained;
    this.onDrained = undefined;
    listener?.();
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Connections that came before the first certificate (proxy-contract §2.1): listeners are bound early and nothing is served, so they wait,
 * unread, within a bound. One that goes away leaves no trace.
 */
import type { ByteStream } from '@weft/net';
import { WaitingStream } from './tcp/waiting-stream.ts';

/** Connections that may wait; others are refused. */
const MAX_HELD = 1000;

export class HeldConnections {
  private readonly held = new Set<() => void>();
  private readonly maxHeld: number;

  constructor(maxHeld: number = MAX_HELD) {
    this.maxHeld = maxHeld;
  }

  get size(): number {
    return this.held.size;
  }

  /** Keeps `stream` until `release`, which calls `accept`; refuses it where too many wait. */
  hold(stream: ByteStream, accept: () => void): void {
    const waiting = new WaitingStream(stream, () => this.held.delete(resume));
    const resume = (): void => {
      waiting.release();
      accept();
    };
    if (this.held.size >= this.maxHeld) stream.destroy({ reset: true });
    else this.held.add(resume);
  }

  /** Lets all go on. */
  release(): void {
    const resumes = [...this.held];
    this.held.clear();
    for (const resume of resumes) resume();
  }
}

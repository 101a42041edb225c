// SPDX-License-Identifier: Apache-2.0
/*
 * Keep-alive of an HTTP/2 connection by PING (RFC 9113 §6.7, proxy-contract §1.3, §5.6): after an interval without any byte from the peer
 * a PING is sent, and a peer that then stays silent for the timeout is dead. Whatever comes counts as life, not the PING's answer
 * alone: behind a long download the answer may take its time.
 */
import type { Clock } from '../runtime.ts';

export interface KeepAliveOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Also while no stream is open. */
  readonly isWhileIdle: boolean;
}

/** The connection that is kept alive. */
export interface KeepAliveTarget {
  readonly hasStreams: boolean;
  sendPing(): void;
  /** The peer is dead. Called at most once. */
  onDead(): void;
}

export class KeepAlive {
  private readonly clock: Clock;
  private readonly options: KeepAliveOptions;
  private readonly target: KeepAliveTarget;
  private lastReadMs: number;
  private cancel: () => void;

  constructor(clock: Clock, options: KeepAliveOptions, target: KeepAliveTarget) {
    this.clock = clock;
    this.options = options;
    this.target = target;
    this.lastReadMs = clock.now();
    this.cancel = this.arm(options.intervalMs);
  }

  /** Bytes came from the peer. */
  onRead(nowMs: number): void {
    this.lastReadMs = nowMs;
  }

  close(): void {
    this.cancel();
  }

  private arm(ms: number): () => void {
    return this.clock.after(ms, () => this.tick());
  }

  private tick(): void {
    const { intervalMs, isWhileIdle } = this.options;
    const silentMs = this.clock.now() - this.lastReadMs;
    if (silentMs < intervalMs) {
      this.cancel = this.arm(intervalMs - silentMs);
    } else if (!isWhileIdle && !this.target.hasStreams) {
      this.cancel = this.arm(intervalMs);
    } else {
      this.ping();
    }
  }

  private ping(): void {
    const sentMs = this.clock.now();
    this.target.sendPing();
    this.cancel = this.clock.after(this.options.timeoutMs, () => {
      if (this.lastReadMs >= sentMs) this.tick();
      else this.target.onDead();
    });
  }
}

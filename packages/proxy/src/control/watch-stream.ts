// SPDX-License-Identifier: Apache-2.0
/*
 * A server stream that is kept open for ever: re-opened with back-off after its end, bounded by the control-stream limits
 * (proxy-contract §5.1), while the last value stays in force with whoever took it.
 *
 *   opening ──first message──► open ──end | error | idle | lifetime──► waiting ──► opening
 *      └──final status (the caller says which)──► ended
 */
import type { ControlStreamLimits } from '../config/types.ts';
import type { Backoff } from '../config/types.ts';
import type { Clock } from '../runtime.ts';
import { type BackoffState, createBackoffState } from './backoff.ts';
import { GRPC_DEADLINE_EXCEEDED, GRPC_OK, type GrpcCall, type GrpcCaller } from './grpc-client.ts';

export interface WatchStreamOptions {
  readonly channel: GrpcCaller;
  readonly path: string;
  readonly request: Uint8Array;
  /** Names and values in turn; default none. */
  readonly metadata?: readonly string[];
  readonly limits: ControlStreamLimits;
  readonly backoff: Backoff;
  readonly clock: Clock;
  /** `isFirst` = first message of this opening. */
  onMessage(message: Uint8Array, isFirst: boolean): void;
  /** A status ended an opening. Answers whether to try again. */
  shouldRetry(status: number, message: string): boolean;
}

export class WatchStream {
  private readonly options: WatchStreamOptions;
  private readonly backoff: BackoffState;
  private call: GrpcCall | undefined = undefined;
  private isClosed = false;
  private messages = 0;
  private openedMs = 0;
  private cancelRetry: (() => void) | undefined = undefined;
  private cancelIdle: (() => void) | undefined = undefined;
  private cancelLifetime: (() => void) | undefined = undefined;

  constructor(options: WatchStreamOptions) {
    this.options = options;
    this.backoff = createBackoffState(options.backoff, options.clock.random);
    this.open();
  }

  close(): void {
    this.isClosed = true;
    this.cancelRetry?.();
    this.stop();
  }

  private open(): void {
    const { channel, path, request, limits, clock, metadata } = this.options;
    this.messages = 0;
    this.openedMs = clock.now();
    this.call = channel.call(
      path,
      request,
      {
        onMessage: (message) => {
          this.messages += 1;
          this.backoff.reset();
          this.armIdle(limits.idleTimeoutMs);
          this.options.onMessage(message, this.messages === 1);
        },
        onEnd: (status, message) => this.ended(status, message),
      },
      metadata,
    );
    this.armIdle(limits.initialTimeoutMs);
    if (limits.lifetimeMs !== undefined) {
      this.cancelLifetime = clock.after(limits.lifetimeMs, () => {
        this.stop();
        this.ended(GRPC_OK, 'stream reached its lifetime');
      });
    }
  }

  private armIdle(timeoutMs: number | undefined): void {
    this.cancelIdle?.();
    this.cancelIdle =
      timeoutMs === undefined
        ? undefined
        : this.options.clock.after(timeoutMs, () => {
            if (this.messages === 0) this.options.channel.suspect();
            this.stop();
            this.ended(GRPC_DEADLINE_EXCEEDED, 'no message in time');
          });
  }

  private stop(): void {
    this.cancelIdle?.();
    this.cancelLifetime?.();
    this.cancelIdle = undefined;
    this.cancelLifetime = undefined;
    this.call?.cancel();
    this.call = undefined;
  }

  private ended(status: number, message: string): void {
    this.cancelIdle?.();
    this.cancelLifetime?.();
    this.cancelIdle = undefined;
    this.cancelLifetime = undefined;
    this.call = undefined;
    if (this.isClosed || !this.options.shouldRetry(status, message)) return;
    // A stream that ended in order is opened again at once, but not faster than the least back-off: who answers and hangs up must not be asked
    // in a circle.
    const livedMs = this.options.clock.now() - this.openedMs;
    const delayMs = this.messages > 0 && status === GRPC_OK ? Math.max(0, this.options.backoff.minMs - livedMs) : this.backoff.next();
    this.cancelRetry = this.options.clock.after(delayMs, () => {
      this.cancelRetry = undefined;
      if (!this.isClosed) this.open();
    });
  }
}

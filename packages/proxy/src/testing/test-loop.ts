// SPDX-License-Identifier: Apache-2.0
/*
 * An event loop that a test turns by hand: the end-of-turn flush of net's turn-flush, the network between memory streams, and time. What
 * runs depends on nothing but the calls made, so a test never waits and never races.
 */
import type { Clock } from '../runtime.ts';

/** What a turn flushes. */
export interface LoopStream {
  /** Owned by the loop. */
  flushedInTurn: number;
  flush(): void;
  /** Moves bytes to the other end, completes writes, delivers what has come. Answers whether anything moved. */
  exchange(): boolean;
}

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

/** What `clock.date()` says at any time. */
export const TEST_DATE = 'Mon, 23 Nov 2026 12:00:00 GMT';

/** Turns without quiet after which `run` calls it a busy loop. */
const MAX_TURNS = 20_000;

export class TestLoop {
  nowMs = 1000;
  /** Turns run so far. */
  turns = 0;
  readonly clock: Clock;
  /** What sinks threw; `run` throws the first one. */
  readonly errors: unknown[] = [];
  private readonly streams = new Set<LoopStream>();
  private current: LoopStream[] = [];
  private next: LoopStream[] = [];
  private tasks: (() => void)[] = [];
  private timers: Timer[] = [];
  private timerOrder = 0;
  private randomState = 0x2545_f491;

  constructor() {
    this.clock = {
      now: () => this.nowMs,
      date: () => TEST_DATE,
      random: () => this.random(),
      after: (ms, callback) => {
        const timer: Timer = { dueMs: this.nowMs + Math.max(0, ms), order: this.timerOrder++, callback };
        this.timers.push(timer);
        return () => {
          timer.callback = undefined;
        };
      },
    };
  }

  /** Timers that would still fire. */
  get pendingTimers(): number {
    return this.timers.filter((timer) => timer.callback !== undefined).length;
  }

  add(stream: LoopStream): void {
    this.streams.add(stream);
  }

  remove(stream: LoopStream): void {
    this.streams.delete(stream);
  }

  /** Calls back in the next turn. */
  soon(task: () => void): void {
    this.tasks.push(task);
  }

  /** Lists a stream for the end of this turn, or of the next one if it has been flushed in this. */
  schedule(stream: LoopStream): void {
    const list = stream.flushedInTurn === this.turns ? this.next : this.current;
    if (!list.includes(stream)) list.push(stream);
  }

  /** One turn. Answers whether anything happened. */
  turn(): boolean {
    let isBusy = this.current.length > 0 || this.tasks.length > 0;
    for (const task of this.tasks.splice(0)) task();
    for (let i = 0; i < this.current.length; i++) {
      const stream = this.current[i] as LoopStream;
      stream.flushedInTurn = this.turns;
      stream.flush();
    }
    this.current = this.next;
    this.next = [];
    this.turns += 1;
    for (const stream of this.streams) if (stream.exchange()) isBusy = true;
    return isBusy || this.current.length > 0;
  }

  /** Turns until nothing moves any more. */
  run(): void {
    for (let turns = 0; this.turn(); turns++) {
      if (turns > MAX_TURNS) throw new Error('the loop never comes to rest');
    }
    if (this.errors.length > 0) throw this.errors[0];
  }

  /** Lets time pass, firing timers in their order, each followed by what it causes. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    this.run();
    for (;;) {
      this.timers = this.timers.filter((timer) => timer.callback !== undefined);
      let first: Timer | undefined;
      for (const timer of this.timers) {
        if (timer.dueMs > untilMs) continue;
        if (first === undefined || timer.dueMs < first.dueMs || (timer.dueMs === first.dueMs && timer.order < first.order)) first = timer;
      }
      if (first === undefined) break;
      this.nowMs = Math.max(this.nowMs, first.dueMs);
      const { callback } = first;
      first.callback = undefined;
      callback?.();
      this.run();
    }
    this.nowMs = untilMs;
  }

  /** xorshift32: the same draws in every run. */
  private random(): number {
    let x = this.randomState;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.randomState = x >>> 0;
    return this.randomState / 0x1_0000_0000;
  }
}

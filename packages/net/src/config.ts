// SPDX-License-Identifier: Apache-2.0
/*
 * Limits, counters and the boundary that keeps one bad connection from hurting others (design §3, "One bad connection dies
 * alone"). One set per thread, because a thread is one data path.
 */
import type { NetConfig, NetCounters } from './options.ts';

/** The limits in force. Read at each use, so that `configureNet` takes effect at once. */
export const netConfig: { -readonly [Name in keyof NetConfig]: NetConfig[Name] } = {
  maxConcurrentHandshakes: 128,
  maxHandshakeStartsPerTurn: 4,
  handshakeTimeoutMs: 10_000,
  writeHighWaterBytes: 256 * 1024,
  writeBudgetBytes: Number.POSITIVE_INFINITY,
  // As large as one read of libuv can usefully be.
  readBufferBytes: 65_536,
  onInternalError: () => {},
};

/** Changes limits and hooks of this thread. Throws a RangeError for a limit below 1. */
export function configureNet(config: Partial<NetConfig>): void {
  for (const value of Object.values(config)) {
    if (typeof value === 'number' && !(value >= 1)) throw new RangeError(`net limits must be at least 1, got ${value}`);
  }
  Object.assign(netConfig, config);
}

/** Counts of this thread. */
export const netCounters: NetCounters = {
  acceptsTotal: 0,
  acceptErrorsTotal: 0,
  originalDestinationErrorsTotal: 0,
  connectsTotal: 0,
  connectErrorsTotal: 0,
  handshakesTotal: 0,
  handshakeErrorsTotal: 0,
  handshakesInFlight: 0,
  handshakesQueued: 0,
  openStreams: 0,
  internalErrorsTotal: new Map(),
};

/** A stream that could hold less than this would write more often than it is worth. */
const MIN_HIGH_WATER_BYTES = 16 * 1024;

/** Above this much in flight a stream is blocked: its own limit, or its share of the budget. */
export function writeHighWater(): number {
  const { writeHighWaterBytes, writeBudgetBytes } = netConfig;
  if (writeBudgetBytes === Number.POSITIVE_INFINITY) return writeHighWaterBytes;
  return Math.min(writeHighWaterBytes, Math.max(MIN_HIGH_WATER_BYTES, writeBudgetBytes / netCounters.openStreams));
}

/** Counts and reports a throw at a boundary. Never throws itself. */
export function reportInternalError(where: string, error: unknown): void {
  netCounters.internalErrorsTotal.set(where, (netCounters.internalErrorsTotal.get(where) ?? 0) + 1);
  try {
    netConfig.onInternalError(where, error);
  } catch {
    // The hook must not throw; if it does there is nobody left to tell, and the data path goes on.
  }
}

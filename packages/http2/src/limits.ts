// SPDX-License-Identifier: Apache-2.0
/*
 * Defaults of everything configurable: what each role announces (as the reference proxy does) and where abuse begins. All
 * numbers are per connection.
 */
import type { H2Limits } from './types.ts';

/** The limits in force where `H2Options.limits` names none. */
export const DEFAULT_H2_LIMITS: H2Limits = {
  maxConcurrentStreams: 10_000,
  maxOpenHeadBytes: 16_777_216,
  maxFieldCount: 256,
  maxContinuationFrames: 8,
  maxPeerResets: 2000,
  maxLocalResets: 500,
  resetWindowMs: 10_000,
  maxEmptyDataFrames: 100,
  maxSmallDataFrames: 1_000_000,
  maxInterimHeads: 1000,
  // grpc-go measures bandwidth by PING, thousands of times a second on a fast path.
  maxControlFrames: 100_000,
  controlWindowMs: 10_000,
  maxPendingControlBytes: 65_536,
  streamSendMarkBytes: 65_536,
  maxStreamBytesPerTurn: 65_536,
  maxConnectionBytesPerTurn: 262_144,
};

// SPDX-License-Identifier: Apache-2.0
/*
 * Defaults of everything configurable: what each role announces (as the reference proxy does) and where abuse begins. All
 * numbers are per connection.
 */
import type { H2Limits } from './types.ts';

/** The limits in force where `H2Options.limits` names none. */
export const DEFAULT_H2_LIMITS: H2Limits = {
  maxConcurrentStreams: 10_000,
  maxFieldCount: 256,
  maxContinuationFrames: 8,
  maxPeerResets: 2000,
  maxLocalResets: 500,
  resetWindowMs: 10_000,
  maxEmptyDataFrames: 100,
  maxControlFrames: 2000,
  controlWindowMs: 10_000,
  maxPendingControlBytes: 65_536,
  streamSendMarkBytes: 65_536,
  maxStreamBytesPerTurn: 65_536,
  maxConnectionBytesPerTurn: 262_144,
};

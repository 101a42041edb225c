// SPDX-License-Identifier: Apache-2.0
/*
 * What a connection tells about itself: why it failed, and what was counted.
 */
import type { H2Code } from '../types.ts';

/** Why a connection failed: the code of our GOAWAY and a sentence for logs, free of peer bytes. */
export interface H2ConnectionError {
  readonly code: H2Code;
  readonly message: string;
}

/** What happened on a connection, for metrics. Plain numbers, only ever growing. */
export interface H2Counters {
  framesReceived: number;
  streamsOpened: number;
  /** RST_STREAM received for an open stream. */
  peerResets: number;
  /** RST_STREAM we sent because of something the peer did. */
  localResets: number;
  /** Streams refused for too many open ones. */
  refusedStreams: number;
  /** Header and trailer sections over the limits. */
  oversizedSections: number;
  /** Messages that broke a rule of RFC 9113 §8. */
  malformedMessages: number;
  /** Connections ended for doing something too often: 0 or 1. */
  floods: number;
}

/** All at zero. */
export function createCounters(): H2Counters {
  return {
    framesReceived: 0,
    streamsOpened: 0,
    peerResets: 0,
    localResets: 0,
    refusedStreams: 0,
    oversizedSections: 0,
    malformedMessages: 0,
    floods: 0,
  };
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The end of a connection that we close: everything written goes out, then FIN, and the peer is given time to close its half (RFC 9112 §9.6:
 * a reset too early could destroy the last answer on its way). A peer that never does is cut off.
 */
import type { ByteStream } from '@weft/net';
import type { Clock } from '../runtime.ts';

/** A peer that has not closed its half this long after the last byte went out is cut off. */
const LINGER_MS = 10_000;

/** Ends `stream`. Returns what to call when it has closed. */
export function endAndLinger(stream: ByteStream, clock: Clock): () => void {
  stream.end();
  let writtenBytes = stream.bytesWritten;
  let cancel: () => void;
  const check = (): void => {
    if (stream.bytesWritten === writtenBytes) {
      stream.destroy();
      return;
    }
    // A slow reader is still taking its answer.
    writtenBytes = stream.bytesWritten;
    cancel = clock.after(LINGER_MS, check);
  };
  cancel = clock.after(LINGER_MS, check);
  return () => cancel();
}

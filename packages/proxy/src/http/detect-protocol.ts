// SPDX-License-Identifier: Apache-2.0
/*
 * Looks at the first bytes of a stream to tell HTTP/1, HTTP/2 and everything else apart (proxy-contract §4.1), then puts them back.
 * The decision is made on the first read, as in the reference; only where that read is a proper beginning of the HTTP/2 preface or of
 * an HTTP/1 request line, and too short to tell, more is awaited.
 */
import { Buffer } from 'node:buffer';
import { detectHttp } from '@weft/detect';
import type { ByteStream, ByteStreamSink, NetError } from '@weft/net';
import type { Clock } from '../runtime.ts';

/** `read_timeout` and `closed` are not protocols but how detection ended without one. */
export type DetectedProtocol = 'http/1' | 'http/2' | 'not_http' | 'read_timeout';

/** Detects within `timeoutMs`; `onDetected` comes once unless the peer closes before any byte (`onClosed`). */
export function detectProtocol(
  stream: ByteStream,
  timeoutMs: number,
  clock: Clock,
  onDetected: (protocol: DetectedProtocol) => void,
  onClosed: () => void,
): void {
  let seen: Buffer | undefined;
  let isDone = false;
  const finish = (protocol: DetectedProtocol): void => {
    if (isDone) return;
    isDone = true;
    cancel();
    if (seen !== undefined) stream.unread(seen, 0, seen.length);
    onDetected(protocol);
  };
  const cancel = clock.after(timeoutMs, () => finish('read_timeout'));
  const sink: ByteStreamSink = {
    onRead(chunk, start, end) {
      seen = seen === undefined ? Buffer.from(chunk.subarray(start, end)) : Buffer.concat([seen, chunk.subarray(start, end)]);
      const result = detectHttp(seen, 0, seen.length);
      switch (result) {
        case 'http/1':
        case 'http/2':
          finish(result);
          break;
        case 'not-http':
          finish('not_http');
          break;
        case 'incomplete':
          break;
        default:
          result satisfies never;
      }
    },
    onReadEnd() {
      if (seen === undefined) {
        isDone = true;
        cancel();
        stream.destroy();
        onClosed();
      } else {
        // What came is all there is.
        finish('not_http');
      }
    },
    onDrain() {},
    onClose(_error: NetError | undefined) {
      if (isDone) return;
      isDone = true;
      cancel();
      onClosed();
    },
  };
  stream.setSink(sink);
}

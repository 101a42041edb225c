// SPDX-License-Identifier: Apache-2.0
/*
 * Reads a stream's first bytes up to a whole ClientHello (proxy-contract §3.5) and puts them back. The reader decides by SNI before
 * any TLS engine sees a byte, since a hello for somebody else must travel on untouched.
 */
import { Buffer } from 'node:buffer';
import { parseClientHello } from '@weft/detect';
import type { ByteStream, ByteStreamSink, NetError } from '@weft/net';
import type { Clock } from '../runtime.ts';

export type TlsPeek =
  | { readonly kind: 'sni'; readonly sni: string }
  /** No TLS, or a ClientHello without SNI. */
  | { readonly kind: 'not-tls' }
  | { readonly kind: 'timeout' };

/** One of the callbacks comes, once. */
export function peekTls(
  stream: ByteStream,
  timeoutMs: number,
  clock: Clock,
  onPeeked: (peek: TlsPeek) => void,
  onClosed: () => void,
): void {
  let seen: Buffer | undefined;
  let isDone = false;
  const finish = (peek: TlsPeek): void => {
    if (isDone) return;
    isDone = true;
    cancel();
    if (seen !== undefined) stream.unread(seen, 0, seen.length);
    onPeeked(peek);
  };
  const cancel = clock.after(timeoutMs, () => finish({ kind: 'timeout' }));
  const sink: ByteStreamSink = {
    onRead(chunk, start, end) {
      seen = seen === undefined ? Buffer.from(chunk.subarray(start, end)) : Buffer.concat([seen, chunk.subarray(start, end)]);
      const result = parseClientHello(seen, 0, seen.length);
      if (result.kind === 'sni') finish({ kind: 'sni', sni: result.sni });
      else if (result.kind !== 'incomplete') finish({ kind: 'not-tls' });
    },
    onReadEnd() {
      if (seen !== undefined) {
        finish({ kind: 'not-tls' });
        return;
      }
      isDone = true;
      cancel();
      stream.destroy();
      onClosed();
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

// SPDX-License-Identifier: Apache-2.0
/*
 * One request to the proxy's admin server, without node:http: loading that takes longer than everything else here.
 */
import { connect } from 'node:net';

/** An answer is a status line; a server that has sent none within this time is not there. */
export const ADMIN_REQUEST_TIMEOUT_MS = 2000;

/** Longest first line that is looked at. */
const MAX_STATUS_LINE = 256;

/** The status of the answer. Rejects with what is in the way, in words. */
export function adminRequest(
  method: 'GET' | 'POST',
  path: string,
  port: number,
  timeoutMs: number = ADMIN_REQUEST_TIMEOUT_MS,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  // An address, since an image may have no hosts file that knows `localhost`.
  const socket = connect({ host: '127.0.0.1', port });
  let received = '';
  socket.setEncoding('latin1');
  socket.setTimeout(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
  socket.on('connect', () => {
    const length = method === 'POST' ? 'content-length: 0\r\n' : '';
    socket.write(`${method} ${path} HTTP/1.1\r\nhost: localhost:${port}\r\n${length}connection: close\r\n\r\n`);
  });
  socket.on('data', (text: string) => {
    received += text;
    const match = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(received);
    if (match !== null) resolve(Number(match[1]));
    else if (received.includes('\n') || received.length > MAX_STATUS_LINE) reject(new Error('the answer is not HTTP'));
  });
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('the connection closed without an answer')));
  return promise.finally(() => socket.destroy());
}

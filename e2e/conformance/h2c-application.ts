// SPDX-License-Identifier: Apache-2.0
/* The application behind the inbound proxy: HTTP/2 with prior knowledge, every request answered with a body. */
import { createServer, type ServerHttp2Stream } from 'node:http2';

/** h2spec's flow-control cases want some bytes to be held back by a window. */
const BODY = 'x'.repeat(1024);

export async function serve(port: number): Promise<void> {
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {
      // The case is about resets; the connection goes on.
    });
    stream.respond({ ':status': 200, 'content-type': 'text/plain' });
    stream.resume();
    stream.end(BODY);
  });
  await new Promise<void>((resolve) => server.listen(port, resolve));
}

// SPDX-License-Identifier: Apache-2.0
// The api service: HTTP/2 without TLS, as an application behind a proxy speaks it.
import http2 from 'node:http2';

const server = http2.createServer();
const sessions = new Set();
server.on('session', (session) => {
  sessions.add(session);
  session.on('close', () => sessions.delete(session));
});
server.on('stream', (stream, headers) => {
  if (headers[':path'] === '/healthz') {
    stream.respond({ ':status': 200 });
    stream.end('ok\n');
    return;
  }
  stream.respond({ ':status': 200, 'content-type': 'application/json' });
  stream.end(JSON.stringify(['anvil', 'rocket', 'magnet'].map((name, index) => ({ name, price: 10 * (index + 1) }))));
});
server.listen(8081);
process.on('SIGTERM', () => {
  for (const session of sessions) session.close();
  server.close(() => process.exit(0));
});

// SPDX-License-Identifier: Apache-2.0
// The chat service: WebSocket; every message goes to everybody.
import http from 'node:http';
import { WebSocketServer } from 'ws';

const server = http.createServer((request, response) => response.end('ok\n'));
const sockets = new WebSocketServer({ server, path: '/chat' });
sockets.on('connection', (socket) => {
  socket.on('message', (data) => {
    for (const client of sockets.clients) client.send(data.toString());
  });
});
server.listen(8082);
process.on('SIGTERM', () => {
  for (const client of sockets.clients) client.close(1001);
  server.close(() => process.exit(0));
});

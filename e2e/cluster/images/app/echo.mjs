// SPDX-License-Identifier: Apache-2.0
/*
 * A server for tests: HTTP/1.1 and HTTP/2 with prior knowledge on one port, told apart by the first bytes. It answers with what it saw, as JSON.
 *
 *   node echo.mjs [--port 8080] [--name NAME] [--tcp PORT] [--delay-ms N]
 *
 * In a request's query: `status=503`, `delay=200` (ms), `bytes=1000` (of answer). `GET /healthz` is 200 always. gRPC (`content-type:
 * application/grpc`) is answered with the request's own message and status 0, or `grpc-status` from the header `x-grpc-status`.
 * `--tcp` adds a port that speaks first (`hello NAME`) and then returns each line.
 */
import { createServer as createHttp1Server } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8080' },
    name: { type: 'string', default: process.env.NAME ?? hostname() },
    tcp: { type: 'string' },
    'delay-ms': { type: 'string', default: '0' },
  },
});
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n');
let served = 0;

async function answer(request, respond) {
  const url = new URL(request.path, 'http://echo');
  if (url.pathname === '/healthz') return respond(200, 'ok\n');
  served += 1;
  const delayMs = Number(url.searchParams.get('delay') ?? values['delay-ms']);
  if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
  const bytes = url.searchParams.get('bytes');
  const body =
    bytes === null
      ? `${JSON.stringify({ name: values.name, pod: hostname(), node: process.env.NODE_NAME, served, ...request })}\n`
      : 'x'.repeat(Number(bytes));
  return respond(Number(url.searchParams.get('status') ?? 200), body);
}

const http1 = createHttp1Server((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (text) => (body += text));
  request.on('end', () => {
    const { method, url: path, headers, httpVersion } = request;
    const seen = { version: httpVersion, method, path, headers, body, from: request.socket.remoteAddress };
    void answer(seen, (status, text) => {
      response.writeHead(status, { 'content-type': path === '/healthz' ? 'text/plain' : 'application/json', 'x-pod': hostname() });
      response.end(text);
    });
  });
});

const http2 = createHttp2Server();
http2.on('stream', (stream, headers) => {
  const pieces = [];
  const isGrpc = String(headers['content-type']).startsWith('application/grpc');
  stream.on('error', () => {});
  if (isGrpc) {
    served += 1;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'x-pod': hostname() }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': headers['x-grpc-status'] ?? '0' }));
    // Streams answer while they are asked.
    stream.on('data', (piece) => stream.write(piece));
    stream.on('end', () => stream.end());
    return;
  }
  stream.on('data', (piece) => pieces.push(piece));
  stream.on('end', () => {
    const seen = {
      version: '2.0',
      method: headers[':method'],
      path: headers[':path'],
      headers: Object.fromEntries(Object.entries(headers)),
      body: Buffer.concat(pieces).toString(),
      from: stream.session?.socket.remoteAddress,
    };
    void answer(seen, (status, text) => {
      if (stream.destroyed) return;
      stream.respond({ ':status': status, 'content-type': 'application/json', 'x-pod': hostname() });
      stream.end(text);
    });
  });
});

const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.once('readable', () => {
    const first = socket.read();
    if (first === null) return socket.end();
    socket.unshift(first);
    const isHttp2 = PREFACE.subarray(0, first.length).equals(first.subarray(0, PREFACE.length));
    return (isHttp2 ? http2 : http1).emit('connection', socket);
  });
});
server.listen(Number(values.port), '::', () => console.log(`listening ${values.port}`));

if (values.tcp !== undefined)
  createServer((socket) => {
    socket.on('error', () => {});
    socket.write(`hello ${values.name}\n`);
    socket.pipe(socket);
  }).listen(Number(values.tcp), '::');

// Requests that are under way are answered; idle connections are closed.
process.on('SIGTERM', () => {
  server.close();
  http1.closeIdleConnections();
  setTimeout(() => process.exit(0), 1000).unref();
});

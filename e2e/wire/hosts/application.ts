// SPDX-License-Identifier: Apache-2.0
/*
 * The applications behind the proxies, on node's own servers: each answers with what it saw, so that a test can read there what a proxy has
 * changed. The answers have the shape of those in testdata.
 */
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer } from 'node:net';

const SLOW_MS = 2000;

/** HTTP/1: JSON of the request; `/fail` = 500, `/reset` = the connection closes, `/slow` = later, an upgrade = 101 and an echo. */
export async function serveHttp1(port: number, ip: string): Promise<void> {
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = request.url ?? '';
      if (url.endsWith('/reset')) {
        request.socket.destroy();
        return;
      }
      const answer = (): void => {
        response.writeHead(url.endsWith('/fail') ? 500 : 200, { 'content-type': 'application/json', 'x-app': '1' });
        const { method, httpVersion: version, rawHeaders } = request;
        response.write(JSON.stringify({ method, url, version, rawHeaders, body: Buffer.concat(chunks).toString('latin1') }));
        response.end();
      };
      if (url.endsWith('/slow')) setTimeout(answer, SLOW_MS);
      else answer();
    });
  });
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => socket.destroy());
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.write(`${JSON.stringify(request.rawHeaders)}\n`);
    socket.pipe(socket);
  });
  await listening(server, port, ip);
}

/** HTTP/2 with prior knowledge: JSON of the fields; paths of `echo.Echo` are answered as gRPC. */
export async function serveHttp2(port: number, ip: string): Promise<void> {
  const server = createHttp2Server();
  server.on('stream', (stream: ServerHttp2Stream, headers, _flags, rawHeaders) => {
    stream.on('error', () => stream.destroy());
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const path = headers[':path'] ?? '';
      if (path.startsWith('/echo.Echo/')) answerGrpc(stream, path, rawHeaders);
      else {
        stream.respond({ ':status': 200, 'content-type': 'application/json' });
        stream.end(JSON.stringify({ rawHeaders, body: Buffer.concat(chunks).toString('latin1') }));
      }
    });
  });
  await listening(server, port, ip);
}

function answerGrpc(stream: ServerHttp2Stream, path: string, rawHeaders: readonly string[]): void {
  if (path === '/echo.Echo/TrailersOnly') {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '8', 'grpc-message': 'full' }, { endStream: true });
    return;
  }
  const answer = (): void => {
    if (stream.destroyed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () =>
      stream.sendTrailers(path === '/echo.Echo/Fail' ? { 'grpc-status': '13', 'grpc-message': 'broken' } : { 'grpc-status': '0' }),
    );
    const message = Buffer.from(JSON.stringify(rawHeaders));
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([prefix, message]));
  };
  if (path === '/echo.Echo/Slow') setTimeout(answer, SLOW_MS);
  else answer();
}

/** Any bytes: sent back. */
export async function serveEcho(port: number, ip: string): Promise<void> {
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  await listening(server, port, ip);
}

async function listening(server: { listen(port: number, ip: string, done: () => void): unknown }, port: number, ip: string): Promise<void> {
  await new Promise<void>((resolve) => {
    server.listen(port, ip, resolve);
  });
}

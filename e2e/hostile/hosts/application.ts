// SPDX-License-Identifier: Apache-2.0
/*
 * The applications behind the proxies. They keep a list of what reached them: a request that a hostile client hid in another one shows there
 * and nowhere else. What they read with is node's own parser, in its strict mode.
 */
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer, type Socket } from 'node:net';

/** One request as the application saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly bodyBytes: number;
}

const MAX_SEEN = 1000;
const BLOCK: Buffer = Buffer.alloc(64 * 1024, 'x');
let seen: SeenRequest[] = [];

/** What has come since the last call. */
export function takeSeen(): readonly SeenRequest[] {
  const taken = seen;
  seen = [];
  return taken;
}

function note(request: SeenRequest): void {
  if (seen.length < MAX_SEEN) seen.push(request);
}

/**
 * HTTP/1. `/large/N` answers N bytes as fast as they are taken, `/slow/MS` waits, `/early` answers before the body, `/no-read` never reads it,
 * an upgrade is granted and echoed; everything else answers when the request is complete.
 */
export async function serveHttp1(port: number, ip: string): Promise<void> {
  const server = createHttpServer((request, response) => {
    const { method = '', url = '', rawHeaders } = request;
    const [, action = '', argument = ''] = url.split('/');
    let bodyBytes = 0;
    const finished = (): void => note({ method, url, rawHeaders, bodyBytes });
    response.on('error', () => {});
    request.on('error', () => {});
    switch (action) {
      case 'no-read':
        finished();
        return;
      case 'early':
        finished();
        response.end('early');
        return;
      case 'large':
        finished();
        request.resume();
        sendLarge(response, Number(argument));
        return;
      default:
        request.on('data', (chunk: Buffer) => (bodyBytes += chunk.length));
        request.on('end', () => {
          finished();
          setTimeout(() => response.end('ok'), action === 'slow' ? Number(argument) : 0);
        });
    }
  });
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.keepAliveTimeout = 120_000;
  server.maxHeadersCount = 0;
  server.on('upgrade', (request, socket, head) => {
    note({ method: request.method ?? '', url: request.url ?? '', rawHeaders: request.rawHeaders, bodyBytes: head.length });
    socket.on('error', () => socket.destroy());
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.write(head);
    socket.pipe(socket);
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  await listening(server, port, ip);
}

function sendLarge(
  to: { write(chunk: Buffer): boolean; once(event: 'drain', run: () => void): unknown; end(): unknown },
  bytes: number,
): void {
  let left = bytes;
  const go = (): void => {
    while (left > 0) {
      const size = Math.min(left, BLOCK.length);
      left -= size;
      if (!to.write(size === BLOCK.length ? BLOCK : BLOCK.subarray(0, size))) {
        to.once('drain', go);
        return;
      }
    }
    to.end();
  };
  go();
}

/** HTTP/2 with prior knowledge; the same paths. */
export async function serveHttp2(port: number, ip: string): Promise<void> {
  const server = createHttp2Server({ settings: { maxConcurrentStreams: 10_000 } });
  server.on('session', (session) => session.on('error', () => {}));
  server.on('stream', (stream: ServerHttp2Stream, headers, _flags, rawHeaders) => {
    stream.on('error', () => stream.destroy());
    const url = headers[':path'] ?? '';
    const [, action = '', argument = ''] = url.split('/');
    let bodyBytes = 0;
    stream.on('data', (chunk: Buffer) => (bodyBytes += chunk.length));
    if (action === 'large') {
      stream.respond({ ':status': 200 });
      sendLarge(stream, Number(argument));
      return;
    }
    stream.on('end', () => {
      note({ method: headers[':method'] ?? '', url, rawHeaders, bodyBytes });
      if (stream.destroyed) return;
      stream.respond({ ':status': 200 });
      stream.end('ok');
    });
  });
  await listening(server, port, ip);
}

/** Answers each connection with `answer` (latin-1) once a request head has come, then, where asked, closes. */
export async function serveRaw(port: number, ip: string, answers: Readonly<Record<string, RawAnswer>>): Promise<void> {
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    let head = '';
    socket.on('data', (chunk: Buffer) => {
      head += chunk.toString('latin1');
      const path = /^[A-Z]+ \/(\S*) /.exec(head)?.[1];
      if (path === undefined || !head.includes('\r\n\r\n')) return;
      note({ method: head.slice(0, head.indexOf(' ')), url: `/${path}`, rawHeaders: [], bodyBytes: 0 });
      head = '';
      const answer = answers[path] ?? { text: 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok' };
      play(socket, answer);
    });
    socket.on('end', () => socket.end());
  });
  await listening(server, port, ip);
}

/** A hand-written answer. */
export interface RawAnswer {
  /** Latin-1. */
  readonly text: string;
  /** `text` is sent this often. Default 1. */
  readonly repeat?: number;
  readonly end?: 'fin' | 'rst';
}

function play(socket: Socket, answer: RawAnswer): void {
  const bytes = Buffer.from(answer.text, 'latin1');
  let left = answer.repeat ?? 1;
  const go = (): void => {
    while (left > 0) {
      left -= 1;
      if (!socket.write(bytes)) {
        socket.once('drain', go);
        return;
      }
    }
    if (answer.end === 'fin') socket.end();
    else if (answer.end === 'rst') setTimeout(() => socket.resetAndDestroy(), 20);
  };
  go();
}

/** Any bytes: sent back, each half closed in its turn. */
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

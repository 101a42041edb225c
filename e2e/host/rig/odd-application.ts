// SPDX-License-Identifier: Apache-2.0
/* Applications that do what proxies must cope with: speak first, close idle connections, answer in several heads. */
import { type Socket, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

const answers = new Map<string, number>();

function count(name: string): void {
  answers.set(name, (answers.get(name) ?? 0) + 1);
}

/** Times that something was served, by `ip:port`. */
export function served(): Record<string, number> {
  return Object.fromEntries(answers);
}

async function serve(ip: string, port: number, accept: (socket: Socket) => void): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.setEncoding('latin1');
    accept(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(port, ip, resolve);
  });
}

/** Says hello at once, then echoes. */
export async function serveBanner(ip: string, port: number): Promise<void> {
  await serve(ip, port, (socket) => {
    count(`${ip}:${port}`);
    socket.write('HELLO\n');
    socket.on('data', (text: string) => socket.write(text));
    socket.on('end', () => socket.end());
  });
}

/** Answers the first request of a connection and closes it, without a word, when the second comes. */
export async function serveOnce(ip: string, port: number): Promise<void> {
  await serve(ip, port, (socket) => {
    let requests = 0;
    socket.on('data', (text: string) => {
      if (!/^[A-Z]+ /.test(text)) return;
      requests += 1;
      if (requests > 1) {
        socket.destroy();
        return;
      }
      count(`${ip}:${port}`);
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
}

/** An early hint and the word to go on; the final answer, with trailers, only after the body has come. */
export async function serveInterim(ip: string, port: number): Promise<void> {
  await serve(ip, port, (socket) => {
    let seen = '';
    socket.on('data', (text: string) => {
      const had = seen.includes('\r\n\r\n');
      seen += text;
      if (!had && seen.includes('\r\n\r\n')) {
        socket.write('HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n');
        socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      }
      if (!seen.endsWith('the body')) return;
      seen = '';
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n');
    });
  });
}

/** One line for each connection, then the end: for counting where connections go. */
export async function serveCount(ip: string, port: number): Promise<void> {
  await serve(ip, port, (socket) => {
    socket.once('data', () => {
      count(`${ip}:${port}`);
      socket.end(`${ip}\n`);
    });
  });
}

/** TLS of an application's own, with the name that was asked for as the answer. */
export async function serveTls(ip: string, port: number, key: string, cert: string): Promise<void> {
  const server = createTlsServer({ key, cert }, (socket) => {
    count(`${ip}:${port}`);
    socket.on('error', () => socket.destroy());
    socket.end(`served ${String(socket.servername)}\n`);
  });
  await new Promise<void>((resolve) => {
    server.listen(port, ip, resolve);
  });
}

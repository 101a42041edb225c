// SPDX-License-Identifier: Apache-2.0
/*
 * Node's own HTTP/1.1 (`node:http`, strict parser) as the other opinion: gives it a byte stream over an in-memory connection
 * and says what it made of the first message.
 */
import { Buffer } from 'node:buffer';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { Duplex } from 'node:stream';

/** What somebody made of a byte stream's first message. Either `refusal` or the message is there. */
export interface Reading {
  /** Why it was refused, or that it was never complete. */
  readonly refusal: string | undefined;
  readonly startLine: string;
  /** Names in lower case. */
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
}

export function refused(refusal: string): Reading {
  return { refusal, startLine: '', fields: [], body: '', trailers: [] };
}

/** Turns of the loop that an in-memory exchange may take. */
const MAX_TURNS = 50;

/** Keeps the first reading; what Node says later is about later messages. */
class FirstReading {
  reading: Reading | undefined = undefined;
  readonly settle = (reading: Reading): void => {
    this.reading ??= reading;
  };
}

class Wire extends Duplex {
  written = '';
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk.toString('latin1');
    done();
  }
}

function newServer(settle: (reading: Reading) => void): Server {
  const server = createServer({ insecureHTTPParser: false, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 });
  const accept = (message: IncomingMessage): void => {
    collect(message, `${message.method} ${message.url} ${message.httpVersion}`, settle);
  };
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, accept);
  // No listener for `upgrade`: with one, Node hands over the connection and takes the body of such a request for tunnelled data.
  server.on('connect', (message) => settle(readingOf(message, `${message.method} ${message.url} ${message.httpVersion}`, '')));
  server.on('clientError', (error: Error & { code?: string; reason?: string }) => settle(refused(`${error.code}: ${error.reason ?? error.message}`)));
  return server;
}

/** What a Node server makes of `bytes` followed by the end of the stream. */
export async function readRequestByNode(bytes: Uint8Array): Promise<Reading> {
  const first = new FirstReading();
  const server = newServer(first.settle);
  const wire = new Wire();
  server.emit('connection', wire);
  wire.push(Buffer.from(bytes));
  wire.push(null);
  for (let turn = 0; turn < MAX_TURNS && first.reading === undefined; turn++) {
    await nextTurn();
    const answer = /^HTTP\/1\.1 (\d+)/u.exec(wire.written);
    if (answer !== null) first.settle(refused(`answered ${answer[1]}`));
  }
  wire.destroy();
  server.close();
  return first.reading ?? refused('incomplete');
}

/** What a Node client makes of `bytes`, followed by the end of the stream, as the answer to a request with `method`. */
export async function readResponseByNode(bytes: Uint8Array, method: string): Promise<Reading> {
  const first = new FirstReading();
  const { settle } = first;
  const wire = new Wire();
  const asking = request({ method, host: 'a', path: method === 'CONNECT' ? 'a:1' : '/', createConnection: () => wire as never, insecureHTTPParser: false });
  asking.on('error', (error: Error & { code?: string; reason?: string }) => settle(refused(`${error.code}: ${error.reason ?? error.message}`)));
  asking.on('response', (message) => collect(message, statusLineOf(message), settle));
  for (const event of ['upgrade', 'connect']) {
    asking.on(event, (message: IncomingMessage) => settle(readingOf(message, statusLineOf(message), '')));
  }
  asking.end();
  await nextTurn();
  wire.push(Buffer.from(bytes));
  wire.push(null);
  for (let turn = 0; turn < MAX_TURNS && first.reading === undefined; turn++) await nextTurn();
  wire.destroy();
  return first.reading ?? refused('incomplete');
}

function collect(message: IncomingMessage, startLine: string, settle: (reading: Reading) => void): void {
  const pieces: Buffer[] = [];
  message.on('data', (piece: Buffer) => pieces.push(piece));
  message.on('error', (error: Error & { code?: string; reason?: string }) => settle(refused(`${error.code}: ${error.reason ?? error.message}`)));
  message.on('end', () => {
    if (message.complete) settle(readingOf(message, startLine, Buffer.concat(pieces).toString('latin1')));
  });
}

function readingOf(message: IncomingMessage, startLine: string, body: string): Reading {
  return { refusal: undefined, startLine, fields: lowerNames(message.rawHeaders), body, trailers: lowerNames(message.rawTrailers) };
}

function statusLineOf(message: IncomingMessage): string {
  return `${message.httpVersion} ${message.statusCode} ${message.statusMessage}`;
}

export function lowerNames(fields: readonly string[]): string[] {
  return fields.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP/1 decoders. Besides cut-invariance: every request that is accepted must also satisfy a naive reading of its bytes that knows RFC 9112's
 * framing rules and nothing else, so that a laxness shows though the decoder is consistent in it.
 */
import { Buffer } from 'node:buffer';
import { H1RequestDecoder, type H1RequestHead, H1ResponseDecoder, type H1ResponseHead, type H1Sink } from '@weft/http1';
import type { Random } from '../random.ts';
import { broken, type Target } from '../target.ts';

const CHUNKED = -1;
const MAX_FIELDS = 100;

const NAMES = ['x', 'Accept', 'connection', 'Content-Length', 'Transfer-Encoding', 'host', 'trailer', 'te', 'Upgrade', 'Expect', 'cookie'];
const VALUES = [
  'y',
  '',
  'close',
  'keep-alive',
  'chunked',
  'gzip, chunked',
  'chunked, chunked',
  '5',
  '05',
  '+5',
  '5, 5',
  '9007199254740993',
  'a b',
  '100-continue',
  'websocket',
  '\t z ',
];
const ENDS = ['\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', ' \r\n'];
const SIZES = ['5', '5', '005', '00000000000000000005', '5;a=b', '5 ', '0x5', '+5', '5\t;x', 'fffffffffffff'];

function fields(random: Random, count: number): string {
  let text = '';
  for (let i = 0; i < count; i++)
    text += `${random.pick(NAMES)}${random.chance(30) ? ' ' : ''}: ${random.pick(VALUES)}${random.pick(ENDS)}`;
  return text;
}

function body(random: Random): string {
  switch (random.int(4)) {
    case 0:
      return '\r\n';
    case 1:
      return 'content-length: 5\r\n\r\nhello';
    case 2: {
      // Sound, and with many chunks: digits of one size must not count for the next.
      const chunks = Array.from({ length: 1 + random.int(30) }, () => '5\r\nhello\r\n').join('');
      return `transfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`;
    }
    default:
      return `transfer-encoding: chunked\r\n\r\n${random.pick(SIZES)}${random.pick(ENDS)}hello\r\n0\r\n${random.chance(3) ? fields(random, 2) : ''}\r\n`;
  }
}

/** Events, bodies joined. */
class Log<Head> implements H1Sink<Head> {
  readonly heads: Head[] = [];
  lines: string[] = [];
  bodyBytes = 0;
  private ends = 0;
  private endsTold = 0;
  private readonly describe: (head: Head) => string;

  constructor(describe: (head: Head) => string) {
    this.describe = describe;
  }

  onHead(head: Head): void {
    this.heads.push(head);
    this.lines.push(this.describe(head));
    this.bodyBytes = 0;
  }

  onBody(chunk: Uint8Array, start: number, end: number): void {
    if (end <= start) broken('a body event has bytes');
    this.bodyBytes += end - start;
    const text = Buffer.from(chunk.subarray(start, end)).toString('latin1');
    const last = this.lines.length - 1;
    if (last >= 0 && this.lines[last].startsWith('body ')) this.lines[last] += text;
    else this.lines.push(`body ${text}`);
  }

  /** Whether a message has ended since the last call. */
  hasEnded(): boolean {
    const hasEnded = this.ends > this.endsTold;
    this.endsTold = this.ends;
    return hasEnded;
  }

  onEnd(trailers: readonly string[] | undefined): void {
    this.ends += 1;
    this.lines.push(`end ${JSON.stringify(trailers ?? [])}`);
  }
}

function feed(decoder: H1RequestDecoder | H1ResponseDecoder, pieces: readonly Uint8Array[], next: () => boolean | 'stop'): void {
  let needsNext = false;
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length) {
      if (needsNext) {
        decoder.next();
        needsNext = false;
      }
      const taken = decoder.push(piece, at, piece.length);
      if (taken < 0) return;
      if (taken < at || taken > piece.length) broken('push answers an index inside the chunk');
      at = taken;
      const verdict = next();
      if (verdict === 'stop') return;
      if (verdict) needsNext = true;
      // Bytes of a tunnel: not the decoder's.
      else if (at < piece.length) return;
    }
  }
}

function describeRequest(head: H1RequestHead): string {
  return `head ${JSON.stringify([head.method, head.target, head.minorVersion, head.bodyBytes, head.host, head.keepAlive, head.upgrade, head.fields])}`;
}

/** Reads the first message of the stream naively and holds the decoder to it. */
function checkFirst(bytes: Buffer, head: H1RequestHead): void {
  let text = bytes.toString('latin1');
  if (text.startsWith('\r\n')) text = text.slice(2);
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) broken('a head that was accepted ends with an empty line');
  const lines = text.slice(0, end).split('\r\n');
  const names: string[] = [];
  for (const line of lines.slice(1)) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*$/.exec(line);
    if (match === null) broken('each field line is a token, a colon and a value without CR, LF or NUL');
    names.push(match[1].toLowerCase());
    const value = match[2];
    if (names.at(-1) === 'content-length' && (!/^\d+$/.test(value) || BigInt(value) !== BigInt(head.bodyBytes)))
      broken('Content-Length is what the decoder says');
    if (names.at(-1) === 'transfer-encoding' && value.toLowerCase() !== 'chunked') broken('the only transfer coding is chunked');
  }
  const count = (name: string): number => names.filter((each) => each === name).length;
  if (count('host') > 1 || count('content-length') > 1 || count('transfer-encoding') > 1)
    broken('Host, Content-Length and Transfer-Encoding come once');
  if (count('content-length') > 0 && count('transfer-encoding') > 0) broken('Content-Length and Transfer-Encoding exclude each other');
  if (count('transfer-encoding') > 0 !== (head.bodyBytes === CHUNKED)) broken('chunked is what the decoder says');
  if (names.length > MAX_FIELDS) broken('fields are at most 100');
}

/** Of an accepted chunked message: its size lines. */
function checkChunks(bytes: Buffer, bodyBytes: number): void {
  const text = bytes.toString('latin1');
  let at = text.indexOf('\r\n\r\n') + 4;
  let sum = 0;
  for (;;) {
    const match = /^([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\r\n]*)?\r\n/.exec(text.slice(at, at + 2000));
    if (match === null) broken('a chunk size is one to sixteen digits, extensions and CRLF');
    const size = Number.parseInt(match[1], 16);
    at += match[0].length;
    if (size === 0) break;
    sum += size;
    if (text.slice(at + size, at + size + 2) !== '\r\n') broken('CRLF follows a chunk');
    at += size + 2;
  }
  if (sum !== bodyBytes) broken('the body is the sum of its chunks');
}

export const HTTP1_REQUEST: Target = {
  name: 'http1-request',
  generate: (random) => {
    let text = '';
    for (let count = 1 + random.int(3); count > 0; count--) {
      const start = `${random.pick(['GET', 'POST', 'HEAD', 'CONNECT', 'X'])} ${random.pick(['/', '/a?b', '*', 'http://a/x', 'a:1'])} HTTP/1.${random.pick([1, 1, 1, 0])}\r\n`;
      text += `${start}${random.chance(10) ? '' : 'host: a\r\n'}${fields(random, random.int(3))}${body(random)}`;
    }
    return Buffer.from(text, 'latin1');
  },
  observe: (pieces) => {
    const log = new Log<H1RequestHead>(describeRequest);
    const decoder = new H1RequestDecoder(log);
    let firstBody: number | undefined;
    feed(decoder, pieces, () => {
      if (!log.hasEnded()) return false;
      firstBody ??= log.bodyBytes;
      return true;
    });
    const bytes = Buffer.concat(pieces);
    const [first] = log.heads;
    if (first !== undefined) {
      checkFirst(bytes, first);
      if (first.bodyBytes === CHUNKED && firstBody !== undefined) checkChunks(bytes, firstBody);
    }
    return `${log.lines.join('\n')}\n${decoder.error?.code ?? 'sound'}`;
  },
};

/** Messages that are sound by construction must be taken. */
export const HTTP1_SOUND: Target = {
  name: 'http1-sound',
  generate: (random) => Buffer.from([random.int(60), random.int(200)]),
  observe: (pieces) => {
    const [chunks = 0, size = 0] = Buffer.concat(pieces);
    const piece = `${(size + 1).toString(16)}\r\n${'x'.repeat(size + 1)}\r\n`;
    const log = new Log<H1RequestHead>(describeRequest);
    const decoder = new H1RequestDecoder(log);
    const bytes = Buffer.from(`POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${piece.repeat(chunks % 60)}0\r\n\r\n`);
    feed(decoder, [bytes], () => log.hasEnded());
    if (decoder.error !== undefined) broken(`a sound message is taken: ${decoder.error.code}`);
    if (log.bodyBytes !== (chunks % 60) * (size + 1)) broken('its body is whole');
    return 'sound';
  },
};

export const HTTP1_RESPONSE: Target = {
  name: 'http1-response',
  generate: (random) =>
    Buffer.from(
      `HTTP/1.${random.pick([1, 1, 0])} ${random.pick(['200 OK', '100 C', '204 N', '304 M', '101 S', '999 X', '20 O', '500'])}\r\n${fields(random, random.int(3))}${body(random)}`,
      'latin1',
    ),
  observe: (pieces) => {
    const log = new Log<H1ResponseHead>((head) => `head ${JSON.stringify([head.status, head.bodyBytes, head.keepAlive, head.fields])}`);
    const decoder = new H1ResponseDecoder(log);
    decoder.expect('GET');
    feed(decoder, pieces, () => (log.hasEnded() ? 'stop' : false));
    return `${log.lines.join('\n')}\n${decoder.error?.code ?? 'sound'}`;
  },
};

// SPDX-License-Identifier: Apache-2.0
/*
 * Laws over generated messages: what the encoders write the decoders read back; any bytes at all end in events or a coded
 * error; and how a stream was cut never shows.
 */
import { Buffer } from 'node:buffer';
import { ByteWriter } from '@weft/bytes';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeChunk, writeLastChunk, writeRequestHead, writeResponseHead } from './encoder.ts';
import { DEFAULT_H1_LIMITS } from './limits.ts';
import { H1RequestDecoder } from './request-decoder.ts';
import { H1ResponseDecoder } from './response-decoder.ts';
import { PLAIN_REQUEST, printCutIndependent, runDecoder, type Setting } from './testdata/event-log.ts';
import type { H1RequestHead, H1ResponseHead, H1Sink } from './types.ts';

const SEED = 20_261_123;
const RUNS = { numRuns: 500, seed: SEED };

const TOKEN = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/u);
const NAME = fc
  .oneof(TOKEN, fc.constantFrom('Accept', 'user-agent', 'X-Request-ID', 'l5d-dst-canonical', 'Cookie', 'tracestate'))
  .filter((name) => !/^(?:host|content-length|transfer-encoding|connection|upgrade|expect)$/iu.test(name));
const VALUE = fc
  .array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 60 })
  .map((octets) => String.fromCharCode(...octets.filter((octet) => octet !== 0x7f)).replace(/^[ \t]+|[ \t]+$/gu, ''));
const FIELDS = fc.array(fc.tuple(NAME, VALUE), { maxLength: 20 }).map((pairs) => pairs.flat());
const TARGET = fc
  .array(fc.integer({ min: 0x21, max: 0xff }), { maxLength: 60 })
  .map((octets) => `/${String.fromCharCode(...octets.filter((octet) => octet !== 0x7f && octet !== 0x23))}`);
const BODY = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });

class Message<Head> implements H1Sink<Head> {
  head: Head | undefined = undefined;
  body: number[] = [];
  trailers: readonly string[] | undefined = undefined;
  isEnded = false;
  onHead(head: Head): void {
    this.head = head;
  }
  onBody(chunk: Uint8Array, start: number, end: number): void {
    for (let i = start; i < end; i++) this.body.push(chunk[i]);
  }
  onEnd(trailers: readonly string[] | undefined): void {
    this.trailers = trailers;
    this.isEnded = true;
  }
}

function lowerNames(fields: readonly string[]): string[] {
  return fields.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
}

describe('decode after encode is the identity', () => {
  it('for chunked requests with trailers', () => {
    fc.assert(
      fc.property(TOKEN, TARGET, FIELDS, BODY, FIELDS, (method, target, fields, body, trailers) => {
        fc.pre(method !== 'CONNECT');
        const sent = ['host', 'a.example:8080', ...fields, 'transfer-encoding', 'chunked'];
        const writer = new ByteWriter();
        writeRequestHead(writer, method, target, 1, sent);
        for (const piece of body) writeChunk(writer, piece, 0, piece.length);
        writeLastChunk(writer, trailers);

        const message = new Message<H1RequestHead>();
        const decoder = new H1RequestDecoder(message);
        expect(decoder.push(writer.buffer, 0, writer.length)).toBe(writer.length);
        expect(message.head).toMatchObject({
          method,
          target,
          targetForm: 'origin',
          host: 'a.example:8080',
          bodyBytes: -1,
          keepAlive: true,
        });
        expect(message.head?.fields).toEqual(lowerNames(sent));
        expect(message.body).toEqual(body.flatMap((piece) => [...piece]));
        expect(message.trailers ?? []).toEqual(lowerNames(trailers));
        expect(message.isEnded).toBe(true);
      }),
      RUNS,
    );
  });

  it('for counted responses', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 999 }), VALUE, FIELDS, fc.uint8Array({ maxLength: 500 }), (status, reason, fields, body) => {
        fc.pre(status !== 204 && status !== 304);
        const sent = ['content-length', String(body.length), ...fields];
        const writer = new ByteWriter();
        writeResponseHead(writer, status, reason, 1, sent);
        writer.writeBytes(body, 0, body.length);

        const message = new Message<H1ResponseHead>();
        const decoder = new H1ResponseDecoder(message);
        decoder.expect('GET');
        expect(decoder.push(writer.buffer, 0, writer.length)).toBe(writer.length);
        expect(message.head).toMatchObject({ status, reason, bodyBytes: body.length, fields: lowerNames(sent) });
        expect(message.body).toEqual([...body]);
        expect(message.isEnded).toBe(true);
      }),
      RUNS,
    );
  });
});

/** Heads as one connection sends them: each made from the one before by small changes. */
const LINES = ['Host: a', 'Host: b:80', 'X-Request-Id: 1', 'x-request-id: 2', 'X-Request-Id:  2 ', 'Accept: */*', 'Connection: close', 'Connection: keep-alive', 'Content-Length: 0', 'Cookie: a=b; c=d', `X-Long: ${'z'.repeat(150)}`, `X-Long: ${'z'.repeat(149)}y`, 'Expect: 100-continue']; // prettier-ignore
const START_LINES = ['GET / HTTP/1.1', 'GET /a HTTP/1.1', 'POST / HTTP/1.1', 'GET / HTTP/1.0', 'OPTIONS * HTTP/1.1'];
const STATUS_LINES = ['HTTP/1.1 200 OK', 'HTTP/1.1 200', 'HTTP/1.1 404 Not Found', 'HTTP/1.0 200 OK', 'HTTP/1.1 304 OK'];
interface Edit {
  readonly at: number;
  readonly line: string;
  readonly act: 'replace' | 'insert' | 'remove' | 'repeat';
}
const EDIT: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat({ max: 12 }),
  line: fc.constantFrom(...LINES),
  act: fc.constantFrom('replace', 'replace', 'insert', 'remove', 'repeat'),
});

function headsOf(startLines: readonly string[], edits: readonly Edit[], lineEnds: readonly string[]): Buffer[] {
  let start = startLines[0];
  const lines = ['Host: a', 'Accept: */*', 'X-Request-Id: 1', 'User-Agent: something of some length', 'Cookie: a=b'];
  return edits.map(({ at, line, act }, i) => {
    const place = at % (lines.length + 1);
    if (place === lines.length) start = startLines[at % startLines.length];
    else if (act === 'replace') lines[place] = line;
    else if (act === 'insert') lines.splice(place, 0, line);
    else if (act === 'remove') lines.splice(place, 1);
    return Buffer.from([start, ...lines, '', ''].join(lineEnds[i % lineEnds.length]), 'latin1');
  });
}

describe('a decoder that remembers', () => {
  it('finds in each request what a fresh one finds', () => {
    fc.assert(
      fc.property(
        fc.array(EDIT, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(['\r\n'], ['\r\n', '\r\n', '\n']),
        fc.nat({ max: 300 }),
        (edits, lineEnds, cut) => {
          const message = new Message<H1RequestHead>();
          let remembering = new H1RequestDecoder(message, {}, { bareLf: true });
          for (const bytes of headsOf(START_LINES, edits, lineEnds)) {
            const fresh = new Message<H1RequestHead>();
            const decoder = new H1RequestDecoder(fresh, {}, { bareLf: true });
            decoder.push(bytes, 0, bytes.length);
            message.head = undefined;
            const first = Math.min(cut, bytes.length);
            if (remembering.push(bytes, 0, first) >= 0) remembering.push(bytes, first, bytes.length);
            expect(message.head).toEqual(fresh.head);
            expect(remembering.error).toEqual(decoder.error);
            if (remembering.error === undefined) remembering.next();
            else remembering = new H1RequestDecoder(message, {}, { bareLf: true });
          }
        },
      ),
      { numRuns: 200, seed: SEED },
    );
  });

  it('finds in each response what a fresh one finds', () => {
    const methods = ['GET', 'GET', 'HEAD', 'GET', 'CONNECT'];
    fc.assert(
      fc.property(fc.array(EDIT, { minLength: 1, maxLength: 60 }), fc.nat({ max: 300 }), (edits, cut) => {
        const message = new Message<H1ResponseHead>();
        let remembering = new H1ResponseDecoder(message);
        headsOf(STATUS_LINES, edits, ['\r\n']).forEach((bytes, i) => {
          const method = methods[i % methods.length];
          const fresh = new Message<H1ResponseHead>();
          const decoder = new H1ResponseDecoder(fresh);
          decoder.expect(method);
          decoder.push(bytes, 0, bytes.length);
          message.head = undefined;
          remembering.expect(method);
          const first = Math.min(cut, bytes.length);
          if (remembering.push(bytes, 0, first) >= 0) remembering.push(bytes, first, bytes.length);
          expect(message.head).toEqual(fresh.head);
          expect(remembering.error).toEqual(decoder.error);
          if (remembering.error !== undefined || !remembering.isIdle) remembering = new H1ResponseDecoder(message);
        });
      }),
      { numRuns: 200, seed: SEED },
    );
  });
});

describe('an encoder that remembers', () => {
  it('writes each head as if it were the first', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 11 }), fc.constantFrom('x', 'yy', 'z'.repeat(30), '', 'caf\xe9'), fc.boolean()), { maxLength: 80 }),
        (edits) => {
          // The one array is changed in place, as a careless caller would.
          const fields = [
            'host',
            'a',
            'accept',
            '*/*',
            'x-request-id',
            '1',
            'user-agent',
            'something of some length',
            'cookie',
            'a=b',
            'x',
            'y',
          ];
          const writer = new ByteWriter();
          for (const [at, value, isShared] of edits) {
            fields[at - (at % 2) + 1] = value;
            const given = isShared ? fields : [...fields];
            const lines = given.flatMap((text, i) => (i % 2 === 0 ? [`${text}: ${given[i + 1]}\r\n`] : []));
            writer.length = 0;
            writeRequestHead(writer, 'GET', '/', 1, given);
            writeResponseHead(writer, 200, undefined, 1, given);
            expect(writer.buffer.toString('latin1', 0, writer.length)).toBe(
              `GET / HTTP/1.1\r\n${lines.join('')}\r\nHTTP/1.1 200 OK\r\n${lines.join('')}\r\n`,
            );
          }
        },
      ),
      { numRuns: 200, seed: SEED },
    );
  });
});

/** Pieces that make bytes look enough like HTTP to get deep into a decoder. */
const FRAGMENTS = [
  'GET / HTTP/1.1\r\n', 'POST /x HTTP/1.1\r\n', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.0 304 Not Modified\r\n', 'HTTP/1.1 100 C\r\n\r\n', 'Host: a\r\n',
  'Content-Length: 3\r\n', 'Content-Length: 10\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n', 'X: y\r\n', ' z\r\n', '\r\n', '\r\n\r\n',
  '3\r\nabc\r\n', '0\r\n', '0\r\n\r\n', 'a;b=c\r\n', '\r', '\n', ' ', ':', '\0', '\xff', 'abc', '5',
]; // prettier-ignore
const NEARLY_HTTP = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...FRAGMENTS) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 4 }) },
    ),
    {
      maxLength: 25,
    },
  )
  .map((pieces) => Buffer.from(pieces.join(''), 'latin1'));
const ANY_BYTES = fc.oneof(NEARLY_HTTP, fc.uint8Array({ maxLength: 200 }));
const SMALL_LIMITS = { maxStartLineBytes: 60, maxHeadBytes: 90, maxFieldCount: 4, maxTrailerBytes: 20, maxChunkExtensionBytes: 5 };
const SETTING: fc.Arbitrary<Setting> = fc.record({
  kind: fc.constantFrom('request', 'response'),
  methods: fc.constantFrom(['GET', 'GET', 'GET'], ['HEAD', 'GET'], ['CONNECT']),
  limits: fc.constantFrom({}, SMALL_LIMITS),
  leniency: fc.record({ bareLf: fc.boolean() }),
  isTunnel: fc.constant(false),
  isOpen: fc.boolean(),
});

describe('any bytes', () => {
  it('end in events or a coded error, however they are cut', () => {
    fc.assert(
      fc.property(SETTING, ANY_BYTES, fc.array(fc.nat(), { maxLength: 6 }), (setting, bytes, picks) => {
        const whole = runDecoder(setting, bytes, []);
        const cuts = [...new Set(picks.map((pick) => pick % (bytes.length + 1)))].sort((a, b) => a - b);
        const cut = runDecoder(setting, bytes, cuts);
        expect(printCutIndependent(cut.events)).toBe(printCutIndependent(whole.events));
        expect(cut.error).toEqual(whole.error);
        expect(cut.error?.code ?? 'ERR_H1_').toMatch(/^ERR_H1_/u);
      }),
      { numRuns: 4000, seed: SEED },
    );
  });

  it('never make a head beyond the limits', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 0, max: 400 }),
        fc.integer({ min: 1, max: 97 }),
        (count, length, step) => {
          const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${`x: ${'y'.repeat(length)}\r\n`.repeat(count)}\r\n`);
          const cuts = Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) => (i + 1) * step).filter((cut) => cut < bytes.length);
          const { error } = runDecoder({ ...PLAIN_REQUEST, isOpen: true }, bytes, cuts);
          const isTooLarge = bytes.length > DEFAULT_H1_LIMITS.maxHeadBytes;
          const hasTooMany = count + 1 > DEFAULT_H1_LIMITS.maxFieldCount;
          expect(error?.status).toBe(isTooLarge || hasTooMany ? 431 : undefined);
        },
      ),
      { numRuns: 60, seed: SEED },
    );
  });
});

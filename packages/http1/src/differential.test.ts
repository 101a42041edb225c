// SPDX-License-Identifier: Apache-2.0
/*
 * Node's own HTTP as a second opinion, both ways: what our encoders write Node reads, what Node writes our decoders read, and
 * on thousands of messages that are valid or nearly so the two agree, save for the differences that DIFFERENCES.md lists. A
 * difference that is not listed fails, and so does a listed one that no longer exists.
 */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { createServer, request, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, createServer as createTcpServer } from 'node:net';
import { ByteWriter } from '@weft/bytes';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeChunk, writeLastChunk, writeRequestHead, writeResponseHead } from './encoder.ts';
import { readCorpus } from './testdata/corpus.ts';
import { NEAR_VALID_REQUEST, NEAR_VALID_RESPONSE } from './testdata/near-valid.ts';
import { lowerNames, readRequestByNode, readResponseByNode, type Reading } from './testdata/node-peer.ts';
import { readRequestByUs, readResponseByUs } from './testdata/our-reading.ts';

const SEED = 77;
const SAMPLE_COUNT = 60_000;

/** The difference between two readings in the words of DIFFERENCES.md; undefined where they agree. */
function differenceOf(kind: 'request' | 'response', ours: Reading, nodes: Reading): string | undefined {
  if (ours.refusal !== undefined && nodes.refusal !== undefined) return undefined;
  if (ours.refusal !== undefined) return `${kind}: Weft refuses, ${ours.refusal}`;
  if (nodes.refusal !== undefined) return `${kind}: Node refuses, ${nodes.refusal.replaceAll('`', '')}`;
  if (ours.startLine !== nodes.startLine) return `${kind}: start lines read as ${ours.startLine} and ${nodes.startLine}`;
  if (ours.body !== nodes.body) return nodes.body === '' ? `${kind}: Node reads no body` : `${kind}: bodies differ`;
  if (String(ours.trailers) !== String(nodes.trailers)) return `${kind}: trailers differ`;
  if (String(ours.fields) === String(nodes.fields)) return undefined;
  const canonical = nodes.fields.map((text, i) => (nodes.fields[i - 1] === 'content-length' ? text.replace(/^0+(?=\d)/u, '') : text));
  return String(ours.fields) === String(canonical)
    ? `${kind}: Weft hands on Content-Length without leading zeros`
    : `${kind}: fields differ`;
}

/** First column of the tables of DIFFERENCES.md. */
function listedDifferences(): string[] {
  const text = readFileSync(new URL('../DIFFERENCES.md', import.meta.url), 'utf8');
  return [...text.matchAll(/^\| `([^`]+)` /gmu)].map((row) => row[1]);
}

describe('against node:http', () => {
  it('[PROTO-07] agrees on every message, save for the listed differences', async () => {
    const found = new Map<string, string>();
    let agreedCount = 0;
    const compare = (kind: 'request' | 'response', ours: Reading, nodes: Reading, bytes: Buffer): void => {
      const difference = differenceOf(kind, ours, nodes);
      if (difference === undefined) agreedCount += 1;
      else if (!found.has(difference)) found.set(difference, bytes.toString('latin1').slice(0, 200));
    };
    const compareRequests = async (bytes: Buffer): Promise<void> =>
      compare('request', readRequestByUs(bytes), await readRequestByNode(bytes), bytes);
    const compareResponses = async (bytes: Buffer, method: string): Promise<void> =>
      compare('response', readResponseByUs(bytes, method), await readResponseByNode(bytes, method), bytes);

    for (const { setting, input } of readCorpus()) {
      if (setting.leniency.bareLf === true || Object.keys(setting.limits).length > 0) continue;
      if (setting.kind === 'request') await compareRequests(input);
      else await compareResponses(input, setting.methods[0]);
    }
    for (const bytes of fc.sample(NEAR_VALID_REQUEST, { numRuns: SAMPLE_COUNT, seed: SEED })) await compareRequests(bytes);
    for (const bytes of fc.sample(NEAR_VALID_RESPONSE, { numRuns: SAMPLE_COUNT, seed: SEED })) await compareResponses(bytes, 'GET');

    const listed = listedDifferences();
    expect([...found].filter(([difference]) => !listed.includes(difference))).toEqual([]);
    expect(listed.filter((difference) => !found.has(difference))).toEqual([]);
    expect(agreedCount).toBeGreaterThan(SAMPLE_COUNT);
  }, 120_000);
});

const TOKEN = fc.stringMatching(/^[a-z0-9-]{1,20}$/u).filter((name) => !/^(?:host|content-length|transfer-encoding|connection|upgrade|expect|trailer|te|date|keep-alive|proxy-connection)$/u.test(name)); // prettier-ignore
const VALUE = fc
  .array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 40 })
  .map((octets) => String.fromCharCode(...octets.filter((octet) => octet !== 0x7f)).trim())
  .filter((value) => !/^[\xa0]|[\xa0]$/u.test(value));
const FIELDS = fc.array(fc.tuple(TOKEN, VALUE), { maxLength: 8 }).map((pairs) => pairs.flat());
const PIECES = fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 5 });
const METHOD = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'SEARCH');

function latin1(pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces).toString('latin1');
}

describe('[PROTO-07] what we write, Node reads', () => {
  it('requests', async () => {
    await fc.assert(
      fc.asyncProperty(METHOD, FIELDS, PIECES, FIELDS, async (method, fields, pieces, trailers) => {
        const sent = ['host', 'a:80', ...fields, 'transfer-encoding', 'chunked'];
        const writer = new ByteWriter();
        writeRequestHead(writer, method, '/a?b=c', 1, sent);
        for (const piece of pieces) writeChunk(writer, piece, 0, piece.length);
        writeLastChunk(writer, trailers);
        const reading = await readRequestByNode(writer.buffer.subarray(0, writer.length));
        expect(reading).toEqual({ refusal: undefined, startLine: `${method} /a?b=c 1.1`, fields: sent, body: latin1(pieces), trailers });
      }),
      { numRuns: 300, seed: SEED },
    );
  });

  it('responses', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(200, 201, 404, 503, 999), FIELDS, PIECES, async (status, fields, pieces) => {
        const body = latin1(pieces);
        const sent = [...fields, 'content-length', String(body.length)];
        const writer = new ByteWriter();
        writeResponseHead(writer, 103, undefined, 1, ['link', '</a>']);
        writeResponseHead(writer, status, 'Some reason', 1, sent);
        writer.writeLatin1(body);
        const reading = await readResponseByNode(writer.buffer.subarray(0, writer.length), 'GET');
        expect(reading).toEqual({ refusal: undefined, startLine: `1.1 ${status} Some reason`, fields: sent, body, trailers: [] });
      }),
      { numRuns: 300, seed: SEED },
    );
  });
});

/** All bytes that Node's server sends for one request of ours. */
async function nodeServerBytes(listener: RequestListener): Promise<Buffer> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n');
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(piece as Buffer);
  server.close();
  return Buffer.concat(pieces);
}

/** All bytes that Node's client sends. */
async function nodeClientBytes(options: object, write: (sender: ReturnType<typeof request>) => void): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const server = createTcpServer((socket) => {
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      if (Buffer.concat(pieces).includes('END')) socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  await new Promise<void>((resolve, reject) => {
    const sender = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...options }, (answer) => {
      answer.resume();
      answer.on('end', resolve);
    });
    sender.on('error', reject);
    write(sender);
  });
  server.close();
  return Buffer.concat(pieces);
}

describe('[PROTO-07] what Node writes, we read', () => {
  it('a counted response', async () => {
    const bytes = await nodeServerBytes((_, answer) => {
      answer.writeHead(201, 'Made', { 'X-A': 'b', 'Content-Length': 5 });
      answer.end('hello');
    });
    expect(readResponseByUs(bytes, 'GET')).toMatchObject({ refusal: undefined, startLine: '1.1 201 Made', body: 'hello' });
  });

  it('a chunked response with early hints and trailers', async () => {
    const bytes = await nodeServerBytes((_, answer) => {
      answer.writeEarlyHints({ link: '</a>' });
      answer.writeHead(200, { Trailer: 'X-T' });
      answer.write('hel');
      answer.write('lo');
      answer.addTrailers({ 'X-T': 'y' });
      answer.end();
    });
    expect(readResponseByUs(bytes, 'GET')).toMatchObject({ refusal: undefined, body: 'hello', trailers: ['x-t', 'y'] });
  });

  it('a response without a body', async () => {
    const bytes = await nodeServerBytes((_, answer) => {
      answer.writeHead(304);
      answer.end();
    });
    expect(readResponseByUs(bytes, 'GET')).toMatchObject({ refusal: undefined, startLine: '1.1 304 Not Modified', body: '' });
  });

  it('a chunked request', async () => {
    const bytes = await nodeClientBytes({ method: 'POST', path: '/a?b', headers: { 'X-A': 'b' } }, (sender) => {
      sender.write('hello ');
      sender.end('END');
    });
    const reading = readRequestByUs(bytes);
    expect(reading).toMatchObject({ refusal: undefined, startLine: 'POST /a?b 1.1', body: 'hello END' });
    expect(reading.fields).toEqual(lowerNames(reading.fields));
  });

  it('a counted request', async () => {
    const bytes = await nodeClientBytes({ method: 'PUT', path: '/', headers: { 'Content-Length': 3 } }, (sender) => sender.end('END'));
    expect(readRequestByUs(bytes)).toMatchObject({ refusal: undefined, startLine: 'PUT / 1.1', body: 'END' });
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * What one head costs, in nanoseconds: decoding (first sight, and repeated), encoding, and a chunk. Run it on a quiet machine:
 *
 *   node --conditions=weft-source packages/http1/bench/micro.ts
 */
import { Buffer } from 'node:buffer';
import process from 'node:process';
import { ByteWriter } from '@weft/bytes';
import {
  H1RequestDecoder,
  type H1RequestHead,
  H1ResponseDecoder,
  type H1ResponseHead,
  type H1Sink,
  stripHopByHop,
  writeChunk,
  writeRequestHead,
  writeResponseHead,
} from '@weft/http1';

const ROUNDS = 15;
const ROUND_NS = 40_000_000n;
const BATCH = 1000;

class KeepLast<Head> implements H1Sink<Head> {
  head: Head | undefined = undefined;
  bodyBytes = 0;
  onHead(head: Head): void {
    this.head = head;
  }
  onBody(_chunk: Uint8Array, start: number, end: number): void {
    this.bodyBytes += end - start;
  }
  onEnd(): void {}
}

/** The best round's mean per call: on a shared machine noise only adds. */
function measure(name: string, bytes: number, call: (i: number) => void): void {
  for (let i = 0; i < 20_000; i++) call(i);
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    let calls = 0;
    const start = process.hrtime.bigint();
    let elapsed = 0n;
    while (elapsed < ROUND_NS) {
      for (let i = 0; i < BATCH; i++) call(calls++);
      elapsed = process.hrtime.bigint() - start;
    }
    rounds.push(Number(elapsed) / calls);
  }
  process.stdout.write(`${name.padEnd(44)} ${String(bytes).padStart(5)} B  ${rounds[ROUNDS >> 1].toFixed(0).padStart(6)} ns\n`);
}

const SMALL = 'GET /plaintext HTTP/1.1\r\nHost: web.default.svc.cluster.local:8080\r\nUser-Agent: wrk/4\r\n\r\n';
const TYPICAL = (id: number): string =>
  `GET /api/v1/orders/48213?expand=items HTTP/1.1\r\nHost: orders.shop.svc.cluster.local:8080\r\n` +
  `User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\n` +
  `Authorization: Bearer 0123456789abcdef0123456789abcdef0123456789abcdef\r\nX-Request-Id: 7f3c${String(id).padStart(8, '0')}\r\n` +
  `traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nX-Forwarded-For: 10.2.3.4\r\nX-Tenant: acme\r\nConnection: keep-alive\r\n\r\n`;
const RESPONSE = (second: number): string =>
  `HTTP/1.1 200 OK\r\nServer: nginx/1.29.3\r\nDate: Mon, 23 Nov 2026 13:45:${String(second % 60).padStart(2, '0')} GMT\r\n` +
  `Content-Type: application/json\r\nContent-Length: 0\r\nConnection: keep-alive\r\nETag: "6543210f-267"\r\nAccept-Ranges: bytes\r\n\r\n`;

function requestCase(name: string, heads: Buffer[]): void {
  const decoder = new H1RequestDecoder(new KeepLast<H1RequestHead>());
  measure(name, heads[0].length, (i) => {
    const bytes = heads[i % heads.length];
    if (decoder.push(bytes, 0, bytes.length) !== bytes.length) throw new Error(decoder.error?.message);
    decoder.next();
  });
}

function responseCase(name: string, heads: Buffer[]): void {
  const decoder = new H1ResponseDecoder(new KeepLast<H1ResponseHead>());
  measure(name, heads[0].length, (i) => {
    const bytes = heads[i % heads.length];
    decoder.expect('GET');
    if (decoder.push(bytes, 0, bytes.length) !== bytes.length) throw new Error(decoder.error?.message);
  });
}

const many = <T>(make: (i: number) => T): T[] => Array.from({ length: 64 }, (_, i) => make(i));

requestCase('request, 2 fields, repeated', [Buffer.from(SMALL)]);
requestCase(
  'request, 2 fields, path differs',
  many((i) => Buffer.from(SMALL.replace('plaintext', `plain${String(i).padStart(4, '0')}`))),
);
requestCase('request, 10 fields, repeated', [Buffer.from(TYPICAL(1))]);
requestCase(
  'request, 10 fields, id differs',
  many((i) => Buffer.from(TYPICAL(i))),
);
responseCase('response, 7 fields, repeated', [Buffer.from(RESPONSE(1))]);
responseCase(
  'response, 7 fields, date differs',
  many((i) => Buffer.from(RESPONSE(i))),
);

{
  const sink = new KeepLast<H1RequestHead>();
  const decoder = new H1RequestDecoder(sink);
  const bytes = Buffer.from(TYPICAL(1));
  decoder.push(bytes, 0, bytes.length);
  const head = sink.head as H1RequestHead;
  const writer = new ByteWriter();
  measure('encode request, 10 fields, repeated', bytes.length, () => {
    writer.length = 0;
    writeRequestHead(writer, head.method, head.target, 1, head.fields);
  });
  const variants = many((i) =>
    head.fields.map((text, k) => (head.fields[k - 1] === 'x-request-id' ? `7f3c${String(i).padStart(8, '0')}` : text)),
  );
  measure('encode request, 10 fields, id differs', bytes.length, (i) => {
    writer.length = 0;
    writeRequestHead(writer, head.method, head.target, 1, variants[i & 63]);
  });
  const strangers = many((i) => head.fields.map((text, k) => (k % 2 === 1 ? `${text}${String.fromCharCode(97 + (i % 26))}` : text)));
  measure('encode request, 10 fields, all differ', bytes.length, (i) => {
    writer.length = 0;
    writeRequestHead(writer, head.method, head.target, 1, strangers[i & 63]);
  });
  measure('strip hop-by-hop, 10 fields', bytes.length, () => {
    stripHopByHop(head.fields);
  });
}
{
  const sink = new KeepLast<H1ResponseHead>();
  const decoder = new H1ResponseDecoder(sink);
  const bytes = Buffer.from(RESPONSE(1));
  decoder.expect('GET');
  decoder.push(bytes, 0, bytes.length);
  const head = sink.head as H1ResponseHead;
  const writer = new ByteWriter();
  measure('encode response, 7 fields, repeated', bytes.length, () => {
    writer.length = 0;
    writeResponseHead(writer, head.status, head.reason, 1, head.fields);
  });
  const body = Buffer.alloc(1024);
  measure('encode chunk of 1 KiB', 1024, () => {
    writer.length = 0;
    writeChunk(writer, body, 0, body.length);
  });
}
{
  const decoder = new H1RequestDecoder(new KeepLast<H1RequestHead>());
  const open = Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  decoder.push(open, 0, open.length);
  const chunk = Buffer.from(`400\r\n${'x'.repeat(1024)}\r\n`);
  measure('decode chunk of 1 KiB', chunk.length, () => {
    decoder.push(chunk, 0, chunk.length);
  });
}

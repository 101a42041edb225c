// SPDX-License-Identifier: Apache-2.0
/*
 * How decoders behave as objects: identity of repeated heads, re-arming, misuse, ownership of bytes, memory. What bytes mean
 * is the corpus's to test.
 */
import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { KNOWN_NAMES } from './known-names.ts';
import { H1RequestDecoder } from './request-decoder.ts';
import { H1ResponseDecoder } from './response-decoder.ts';
import type { H1RequestHead, H1ResponseHead, H1Sink } from './types.ts';

class Collector<Head> implements H1Sink<Head> {
  readonly heads: Head[] = [];
  body = '';
  endCount = 0;
  onEnding: () => void = () => {};
  onHead(head: Head): void {
    this.heads.push(head);
  }
  onBody(chunk: Uint8Array, start: number, end: number): void {
    this.body += Buffer.from(chunk.subarray(start, end)).toString('latin1');
  }
  onEnd(): void {
    this.endCount += 1;
    this.onEnding();
  }
}

function request(decoder: H1RequestDecoder, text: string): number {
  const bytes = Buffer.from(text, 'latin1');
  return decoder.push(bytes, 0, bytes.length);
}

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\nX-Id: 1\r\n\r\n`;

describe('repeated heads', () => {
  it('hands out the same object for the same bytes', () => {
    const sink = new Collector<H1RequestHead>();
    const decoder = new H1RequestDecoder(sink);
    for (const path of ['/a', '/a', '/b', '/b']) {
      expect(request(decoder, GET(path))).toBe(GET(path).length);
      decoder.next();
    }
    const [first, second, third, fourth] = sink.heads;
    expect(second).toBe(first);
    expect(third).not.toBe(first);
    expect(third?.target).toBe('/b');
    expect(fourth).toBe(third);
  });

  it('does so again after many different ones', () => {
    const sink = new Collector<H1RequestHead>();
    const decoder = new H1RequestDecoder(sink);
    for (let i = 0; i < 100; i++) {
      request(decoder, GET(`/${i}`));
      decoder.next();
    }
    expect(sink.heads.map(({ target }) => target)).toEqual(Array.from({ length: 100 }, (_, i) => `/${i}`));
    sink.heads.length = 0;
    for (let i = 0; i < 100; i++) {
      request(decoder, GET('/same'));
      decoder.next();
    }
    expect(new Set(sink.heads).size).toBeLessThan(50);
    expect(sink.heads.at(-1)).toBe(sink.heads.at(-2));
  });

  it('is not misled by a head that came in parts', () => {
    const sink = new Collector<H1RequestHead>();
    const decoder = new H1RequestDecoder(sink);
    const text = GET('/a');
    for (const cut of [5, 20, text.length - 1]) {
      request(decoder, text.slice(0, cut));
      expect(decoder.isIdle).toBe(false);
      request(decoder, text.slice(cut));
      decoder.next();
    }
    request(decoder, text);
    expect(sink.heads).toHaveLength(4);
    for (const head of sink.heads) expect(head).toEqual(sink.heads[0]);
  });

  it('does not take the host from a text that the next head replaced', () => {
    const sink = new Collector<H1RequestHead>();
    const decoder = new H1RequestDecoder(sink);
    for (const host of ['a.example:80', 'b.example:80', 'a.example:80']) {
      request(decoder, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      decoder.next();
    }
    expect(sink.heads.map(({ host }) => host)).toEqual(['a.example:80', 'b.example:80', 'a.example:80']);
  });

  it('respects the offsets of a push', () => {
    const sink = new Collector<H1RequestHead>();
    const decoder = new H1RequestDecoder(sink);
    const bytes = Buffer.from(`junk${GET('/a')}junk`);
    for (let i = 0; i < 3; i++) {
      expect(decoder.push(bytes, 4, bytes.length - 4)).toBe(bytes.length - 4);
      decoder.next();
    }
    expect(sink.heads.every((head) => head === sink.heads[0])).toBe(true);
  });

  it('goes on after it was trimmed', () => {
    const sink = new Collector<H1RequestHead>();
    const decoder = new H1RequestDecoder(sink);
    request(decoder, GET('/a'));
    decoder.trim();
    decoder.next();
    request(decoder, GET('/a').slice(0, 10));
    decoder.trim();
    request(decoder, GET('/a').slice(10));
    expect(sink.heads[1]).not.toBe(sink.heads[0]);
    expect(sink.heads[1]).toEqual(sink.heads[0]);
  });

  it('decodes plain Uint8Arrays', () => {
    const sink = new Collector<H1RequestHead>();
    const bytes = new TextEncoder().encode(GET('/a'));
    expect(new H1RequestDecoder(sink).push(bytes, 0, bytes.length)).toBe(bytes.length);
    expect(sink.heads[0]?.fields).toEqual(['host', 'a', 'x-id', '1']);
  });
});

describe('known names', () => {
  it.each(['lower', 'upper', 'capitalised'])('are found in %s case, and near misses are not', (style) => {
    const spell = (name: string): string => {
      if (style === 'lower') return name;
      return style === 'upper' ? name.toUpperCase() : name.replace(/\b[a-z]/gu, (letter) => letter.toUpperCase());
    };
    for (const name of KNOWN_NAMES.filter((known) => !/^(?:host|content-length|transfer-encoding)$/u.test(known))) {
      const near = [name, `${name}x`, name.slice(1), name.replaceAll('-', '_'), `${name.slice(0, -1)}~`];
      const sink = new Collector<H1RequestHead>();
      request(new H1RequestDecoder(sink), `GET / HTTP/1.1\r\nHost: a\r\n${near.map((other) => `${spell(other)}: 1\r\n`).join('')}\r\n`);
      expect(sink.heads[0].fields).toEqual(['host', 'a', ...near.flatMap((other) => [other, '1'])]);
    }
  });
});

describe('stopping and going on', () => {
  it('stops behind a request until next()', () => {
    const sink = new Collector<H1RequestHead>();
    const decoder = new H1RequestDecoder(sink);
    const both = GET('/a') + GET('/b');
    expect(request(decoder, both)).toBe(GET('/a').length);
    expect(request(decoder, GET('/b'))).toBe(0);
    decoder.next();
    expect(request(decoder, GET('/b'))).toBe(GET('/b').length);
    expect(sink.heads.map(({ target }) => target)).toEqual(['/a', '/b']);
  });

  it('goes on within one push where onEnd calls next()', () => {
    const sink = new Collector<H1RequestHead>();
    const decoder = new H1RequestDecoder(sink);
    sink.onEnding = () => decoder.next();
    expect(request(decoder, GET('/a') + GET('/b') + GET('/c'))).toBe(GET('/a').length * 3);
    expect(sink.endCount).toBe(3);
  });

  it('is idle before the first byte and between messages only', () => {
    const decoder = new H1RequestDecoder(new Collector());
    expect(decoder.isIdle).toBe(true);
    request(decoder, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n');
    expect(decoder.isIdle).toBe(false);
    request(decoder, 'hi');
    expect(decoder.isIdle).toBe(true);
    decoder.next();
    expect(decoder.isIdle).toBe(true);
    request(decoder, 'G');
    expect(decoder.isIdle).toBe(false);
  });

  it('throws where next() would lose a message', () => {
    const decoder = new H1RequestDecoder(new Collector());
    request(decoder, 'GET');
    expect(() => decoder.next()).toThrow('while a message is open');
  });

  it('is dead after an error', () => {
    const decoder = new H1RequestDecoder(new Collector());
    expect(request(decoder, '\0\r\n')).toBe(-1);
    const { error } = decoder;
    expect(error?.status).toBe(400);
    expect(request(decoder, GET('/'))).toBe(-1);
    expect(decoder.pushEof()).toBe(false);
    expect(decoder.error).toBe(error);
    expect(() => decoder.next()).toThrow('while a message is open');
  });

  it('consumes nothing that was not asked for', () => {
    const sink = new Collector<H1ResponseHead>();
    const decoder = new H1ResponseDecoder(sink);
    const bytes = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    expect(decoder.push(bytes, 0, bytes.length)).toBe(0);
    decoder.expect('GET');
    expect(decoder.push(bytes, 0, bytes.length)).toBe(bytes.length);
    expect(decoder.push(bytes, 0, bytes.length)).toBe(0);
    expect(sink.endCount).toBe(1);
  });

  it('is not idle between an interim and a final response', () => {
    const decoder = new H1ResponseDecoder(new Collector());
    decoder.expect('POST');
    const interim = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');
    decoder.push(interim, 0, interim.length);
    expect(decoder.isIdle).toBe(false);
    const final = Buffer.from('HTTP/1.1 204 No Content\r\n\r\n');
    decoder.push(final, 0, final.length);
    expect(decoder.isIdle).toBe(true);
  });

  it('refuses to be armed for a response while one is open', () => {
    const decoder = new H1ResponseDecoder(new Collector());
    decoder.expect('GET');
    const bytes = Buffer.from('HTTP/1.1 200 OK\r\n\r\n');
    decoder.push(bytes, 0, bytes.length);
    expect(() => decoder.expect('GET')).toThrow('while a message is open');
  });
});

describe('[PROTO-10] [PROTO-11] tunnels', () => {
  it('hands a body over before a tunnel that was asked for behind the head', () => {
    const sink = new Collector<H1RequestHead>();
    const decoder = new H1RequestDecoder(sink);
    const head = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
    expect(request(decoder, `${head}early`)).toBe(head.length);
    expect(sink.endCount).toBe(1);
    decoder.tunnel();
    expect(request(decoder, 'early')).toBe(0);
    expect(decoder.pushEof()).toBe(true);
    expect(decoder.isIdle).toBe(false);
  });

  it('leaves all bytes behind a 101 alone', () => {
    const sink = new Collector<H1ResponseHead>();
    const decoder = new H1ResponseDecoder(sink);
    decoder.expect('GET');
    const head = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n';
    const bytes = Buffer.from(`${head}frames`);
    expect(decoder.push(bytes, 0, bytes.length)).toBe(head.length);
    expect(decoder.push(bytes, head.length, bytes.length)).toBe(head.length);
    expect(sink.endCount).toBe(0);
    expect(decoder.pushEof()).toBe(true);
  });
});

describe('memory', () => {
  it('holds no more of a slow head than its limit, byte by byte', () => {
    const decoder = new H1RequestDecoder(new Collector(), { maxHeadBytes: 4096, maxStartLineBytes: 4096 });
    const byte = Buffer.from('a');
    let taken = 0;
    request(decoder, 'GET / HTTP/1.1\r\nx: ');
    while (decoder.push(byte, 0, 1) === 1) taken += 1;
    expect(taken).toBeLessThanOrEqual(4096);
    expect(decoder.error?.code).toBe('ERR_H1_HEAD_TOO_LARGE');
  });

  it('keeps no part of an endless chunked body', () => {
    const sink = new Collector<H1RequestHead>();
    const decoder = new H1RequestDecoder(sink);
    sink.onBody = () => {};
    request(decoder, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunks = Buffer.from('1\r\nx\r\n'.repeat(1000));
    for (let i = 0; i < 1000; i++) expect(decoder.push(chunks, 0, chunks.length)).toBe(chunks.length);
    expect(decoder.error).toBeUndefined();
  });
});

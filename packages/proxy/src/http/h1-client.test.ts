// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { requestHead } from '../testing/heads.ts';
import { type MemoryStreamOptions, createStreamPair } from '../testing/memory-stream.ts';
import { RawPeer } from '../testing/raw-peer.ts';
import { RecordedResponse } from '../testing/recording-handler.ts';
import { TestLoop } from '../testing/test-loop.ts';
import { H1ClientConnection, type H1Pool } from './h1-client.ts';
import type { ProxyRequestHead } from './request-head.ts';
import { HTTP_1_0, HTTP_1_1 } from './types.ts';

function open(options: MemoryStreamOptions = {}) {
  const loop = new TestLoop();
  const [ours, theirs] = createStreamPair(loop, options);
  const log: string[] = [];
  const pool: H1Pool = {
    onReusable: (reusable) => {
      log.push('reusable');
      reusable.markReused();
    },
    onGone: () => void log.push('gone'),
  };
  const connection = new H1ClientConnection(ours, pool);
  const app = new RawPeer(theirs);
  const request = (head: ProxyRequestHead = requestHead(), end = true): RecordedResponse => {
    const response = new RecordedResponse();
    connection.request(head, end, response);
    loop.run();
    return response;
  };
  const answer = (text: string): void => {
    app.send(text);
    loop.run();
  };
  return { loop, connection, app, log, request, answer, ours };
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

describe('an HTTP/1 client connection', () => {
  it('[PROTO-23] is used again after a whole exchange', () => {
    const { request, answer, app, log } = open();
    for (let i = 0; i < 3; i++) {
      const response = request(requestHead({ path: `/${i}` }));
      expect(app.take()).toBe(`GET /${i} HTTP/1.1\r\nhost: svc.test\r\n\r\n`);
      answer(OK);
      expect([response.head?.status, response.body, response.isEnded]).toEqual([200, 'ok', true]);
    }
    expect(log).toEqual(['reusable', 'reusable', 'reusable']);
  });

  describe('[PROTO-07] writes requests', () => {
    const cases: [string, ProxyRequestHead, string][] = [
      [
        'with Host from the authority where there was none',
        requestHead({ fields: ['a', 'b'], isAuthorityInTarget: true }),
        'GET / HTTP/1.1\r\nhost: svc.test\r\na: b\r\n\r\n',
      ],
      [
        'in absolute form',
        requestHead({ isAbsoluteForm: true, path: '/x?y' }),
        'GET http://svc.test/x?y HTTP/1.1\r\nhost: svc.test\r\n\r\n',
      ],
      [
        'without authority in origin form all the same',
        requestHead({ isAbsoluteForm: true, authority: undefined, fields: [] }),
        'GET / HTTP/1.1\r\n\r\n',
      ],
      ['of HTTP/1.0', requestHead({ version: HTTP_1_0, fields: [], authority: undefined }), 'GET / HTTP/1.0\r\n\r\n'],
      [
        'of an upgrade',
        requestHead({ upgrade: 'websocket' }),
        'GET / HTTP/1.1\r\nhost: svc.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      ],
      [
        'of CONNECT',
        requestHead({ method: 'CONNECT', upgrade: 'connect', path: '', authority: 'svc:443', fields: ['host', 'svc:443'] }),
        'CONNECT svc:443 HTTP/1.1\r\nhost: svc:443\r\n\r\n',
      ],
    ];
    it.each(cases)('%s', (_name, head, expected) => {
      const { request, app } = open();
      request(head, head.upgrade === undefined);
      expect(app.take()).toBe(expected);
    });

    it('with bodies of known and unknown length, and trailers', () => {
      const { connection, app, loop, request, answer } = open();
      request(requestHead({ method: 'POST', bodyBytes: 5, fields: ['host', 'a', 'content-length', '5'] }), false);
      connection.sendBody(Buffer.from('hello'), 0, 5);
      connection.sendEnd(undefined);
      loop.run();
      expect(app.take()).toBe('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello');
      answer(OK);
      request(requestHead({ method: 'POST', bodyBytes: -1, fields: ['host', 'a'] }), false);
      connection.sendBody(Buffer.from('hello'), 1, 4);
      connection.sendEnd(['x-t', 'v']);
      loop.run();
      expect(app.take()).toBe('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nell\r\n0\r\nx-t: v\r\n\r\n');
    });
  });

  describe('[PROTO-07] reads responses', () => {
    const cases: [string, string, string, string, readonly string[] | undefined, boolean][] = [
      ['of a length', 'GET', OK, 'ok', undefined, true],
      [
        'in chunks with trailers',
        'GET',
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nt: 1\r\nconnection: x\r\n\r\n',
        'ok',
        ['t', '1'],
        true,
      ],
      ['without body to HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n', '', undefined, true],
      ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', '', undefined, true],
      ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n', '', undefined, true],
      ['of HTTP/1.0 with a length', 'GET', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok', 'ok', undefined, false],
      ['that close', 'GET', 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok', 'ok', undefined, false],
      ['with more bytes than announced', 'GET', `${OK}surplus`, 'ok', undefined, false],
    ];
    it.each(cases)('%s', (_name, method, text, body, trailers, isReusable) => {
      for (const readBytes of [1, 5, 65_536]) {
        if (readBytes !== 65_536 && text.endsWith('surplus')) continue;
        const { request, answer, log } = open({ readBytes });
        const response = request(requestHead({ method }));
        answer(text);
        expect([response.body, response.trailers, response.isEnded, response.failure]).toEqual([body, trailers, true, undefined]);
        expect(log[0]).toBe(isReusable ? 'reusable' : 'gone');
      }
    });

    it('that end with the connection', () => {
      const { request, answer, app, loop } = open();
      const response = request();
      answer('HTTP/1.1 200 OK\r\n\r\nhello');
      expect(response.isEnded).toBe(false);
      app.end();
      loop.run();
      expect([response.body, response.isEnded, response.failure]).toEqual(['hello', true, undefined]);
    });

    it('after interim ones, hop-by-hop fields left out', () => {
      const { request, answer } = open();
      const response = request();
      answer(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n`);
      answer('HTTP/1.1 200 OK\r\nconnection: x-hop, keep-alive\r\nx-hop: 1\r\nkeep-alive: 5\r\nx: y\r\ncontent-length: 0\r\n\r\n');
      expect(response.interim).toEqual([
        { status: 100, fields: [] },
        { status: 103, fields: ['link', 'a'] },
      ]);
      expect(response.head).toEqual({ version: HTTP_1_1, status: 200, fields: ['x', 'y', 'content-length', '0'], bodyBytes: 0 });
    });
  });

  describe('fails an exchange', () => {
    const cases: [string, string, string][] = [
      ['that is no HTTP', 'hello there\r\n\r\n', 'protocol'],
      ['with two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 'protocol'],
      ['with a length and chunks', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n', 'protocol'],
      ['with a tunnel nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw', 'protocol'],
      ['with endless interim responses', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(65), 'protocol'],
    ];
    it.each(cases)('%s', (_name, text, kind) => {
      const { request, answer, log } = open();
      const response = request();
      answer(text);
      expect([response.failure?.kind, response.failure?.isUnprocessed]).toEqual([kind, false]);
      expect(log).toEqual(['gone']);
    });

    it.each([
      ['before the head', ''],
      ['within the head', 'HTTP/1.1 200 OK\r\ncont'],
      ['within the body', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'],
      ['within chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe'],
    ])('whose connection closes %s, by FIN or reset', (_where, text) => {
      for (const how of ['end', 'reset'] as const) {
        const { request, answer, app, loop, log } = open();
        const response = request();
        if (text !== '') answer(text);
        app[how]();
        loop.run();
        expect([response.failure?.kind, response.failure?.isUnprocessed, response.isEnded]).toEqual(['closed', false, false]);
        expect(log).toEqual(['gone']);
      }
    });
  });

  describe('that was idle and closes in the face of a request', () => {
    function reused(head: ProxyRequestHead, early = '', body = '') {
      const { connection, request, answer, app, loop } = open();
      request();
      answer(OK);
      const response = request(head, body === '');
      if (body !== '') connection.sendBody(Buffer.from(body), 0, body.length);
      if (early !== '') answer(early);
      app.reset();
      loop.run();
      return response.failure?.isUnprocessed;
    }

    it.each([
      ['lets an idempotent request without body go elsewhere', requestHead(), '', '', true],
      ['lets DELETE go elsewhere', requestHead({ method: 'DELETE' }), '', '', true],
      ['does not repeat a POST', requestHead({ method: 'POST' }), '', '', false],
      [
        'does not repeat a request with a body',
        requestHead({ method: 'PUT', bodyBytes: 3, fields: ['content-length', '3'] }),
        '',
        'abc',
        false,
      ],
      ['does not repeat what was partly answered', requestHead(), 'HTTP/1.1 2', '', false],
    ])('%s', (_name, head, early, body, expected) => {
      expect(reused(head, early, body)).toBe(expected);
    });
  });

  it('is done with by its pool when the peer closes it idle', () => {
    const { request, answer, app, loop, log } = open();
    request();
    answer(OK);
    app.end();
    loop.run();
    expect(log).toEqual(['reusable', 'gone']);
  });

  it('is done with when bytes come unasked', () => {
    const { request, answer, log } = open();
    request();
    answer(OK);
    answer('HTTP/1.1 408 Request Timeout\r\n\r\n');
    expect(log).toEqual(['reusable', 'gone']);
  });

  it('is not used again after an answer that came before the body was sent', () => {
    const { connection, request, answer, log } = open();
    const response = request(requestHead({ method: 'POST', bodyBytes: 10, fields: ['content-length', '10'] }), false);
    connection.sendBody(Buffer.from('half'), 0, 4);
    answer('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n');
    expect([response.head?.status, response.isEnded]).toEqual([413, true]);
    expect(log).toEqual(['gone']);
  });

  it('fails one request alone when its head cannot be written', () => {
    const { request, log } = open();
    const response = request(requestHead({ fields: ['x', 'a\r\nb: c'] }));
    expect(response.failure?.kind).toBe('protocol');
    expect(log).toEqual(['gone']);
  });

  describe('holds back', () => {
    it('an application whose response nobody takes on', () => {
      const { connection, request, answer, app, ours, loop } = open();
      const response = request();
      answer('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n');
      for (let i = 0; i < 100; i++) app.send('x'.repeat(10_000));
      loop.run();
      expect(ours.isPaused).toBe(true);
      expect(response.bodyBytes).toBeLessThanOrEqual(64 * 1024 + 65_536);
      for (let rounds = 0; !response.isEnded && rounds < 100; rounds++) {
        const bytes = response.unconsumed;
        response.unconsumed = 0;
        connection.consumed(bytes);
        loop.run();
      }
      expect(response.bodyBytes).toBe(1_000_000);
    });

    it('a client whose request the application does not read', () => {
      const { connection, request, app, loop, ours } = open();
      app.stream.pauseReading();
      const response = request(requestHead({ method: 'POST', bodyBytes: -1, fields: [] }), false);
      const piece = Buffer.alloc(16_384, 'y');
      let sent = 0;
      while (connection.sendBody(piece, 0, piece.length)) {
        sent += piece.length;
        loop.run();
        expect(sent).toBeLessThan(1_000_000);
      }
      expect(ours.unsentBytes).toBeLessThan(300_000);
      app.stream.resumeReading();
      loop.run();
      expect(response.writableCalls).toBe(1);
    });
  });

  describe('[PROTO-10] as a tunnel', () => {
    function upgraded() {
      const world = open();
      const response = world.request(requestHead({ upgrade: 'websocket, other' }), false);
      world.app.take();
      world.answer('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\nraw');
      return { ...world, response };
    }

    it('keeps the protocol that the application chose', () => {
      const { response } = upgraded();
      expect(response.head?.fields).toEqual(['connection', 'upgrade', 'upgrade', 'other']);
      expect(response.body).toBe('raw');
    });

    it('closes each half on its own', () => {
      const { connection, app, loop, response, log } = upgraded();
      app.end();
      loop.run();
      expect(response.isEnded).toBe(true);
      connection.sendBody(Buffer.from('more'), 0, 4);
      loop.run();
      expect(app.take()).toBe('more');
      connection.sendEnd(undefined);
      loop.run();
      expect([app.isReadEnded, app.error, response.failure]).toEqual([true, undefined, undefined]);
      expect(log).toEqual(['gone']);
    });

    it('tells of a reset, also of one after its response half has ended', () => {
      const first = upgraded();
      first.app.reset();
      first.loop.run();
      expect(first.response.failure?.kind).toBe('closed');
      const second = upgraded();
      second.app.end();
      second.loop.run();
      second.ours.fail({ code: 'ECONNRESET', message: 'reset' });
      second.loop.run();
      expect(second.response.failure?.kind).toBe('closed');
    });

    it('passes a reset on', () => {
      const { connection, app, loop } = upgraded();
      connection.abort(8);
      loop.run();
      expect(app.error?.code).toBe('ECONNRESET');
    });
  });
});

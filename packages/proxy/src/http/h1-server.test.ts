// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type MemoryStreamOptions, createStreamPair } from '../testing/memory-stream.ts';
import { RawPeer } from '../testing/raw-peer.ts';
import { RecordingHandler } from '../testing/recording-handler.ts';
import { TEST_DATE, TestLoop } from '../testing/test-loop.ts';
import { H1ServerConnection } from './h1-server.ts';
import { HTTP_1_0, HTTP_1_1 } from './types.ts';

function open(options: MemoryStreamOptions = {}) {
  const loop = new TestLoop();
  const [client, server] = createStreamPair(loop, options);
  const handler = new RecordingHandler();
  const connection = new H1ServerConnection(server, handler, loop.clock);
  connection.start();
  const peer = new RawPeer(client);
  const send = (text: string): void => {
    peer.send(text);
    loop.run();
  };
  return { loop, peer, handler, connection, server, send };
}

const GET = 'GET /a HTTP/1.1\r\nhost: svc\r\n\r\n';
const DATE = `date: ${TEST_DATE}\r\n`;

describe('an HTTP/1 server connection', () => {
  it('[PROTO-07] keeps the connection for the next request', () => {
    const { handler, peer, send, loop } = open();
    for (const path of ['/1', '/2', '/3']) {
      send(`GET ${path} HTTP/1.1\r\nhost: svc\r\n\r\n`);
      expect(handler.last.head.path).toBe(path);
      handler.last.respond(200, [], 'ok');
      loop.run();
      expect(peer.take()).toBe(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n${DATE}\r\nok`);
    }
    expect(handler.requests).toHaveLength(3);
    expect(peer.isReadEnded).toBe(false);
  });

  it('holds the next request back until the answer to the one before is complete', () => {
    const { handler, peer, send, loop } = open();
    send('GET /1 HTTP/1.1\r\nhost: svc\r\n\r\nGET /2 HTTP/1.1\r\nhost: svc\r\n\r\nGET /3 HTTP/1.1\r\nhost: svc\r\n\r\n');
    expect(handler.requests).toHaveLength(1);
    const [first] = handler.requests;
    first?.begin(200);
    first?.send('part');
    loop.run();
    expect(handler.requests).toHaveLength(1);
    first?.stream.sendEnd(undefined);
    loop.run();
    expect(handler.requests.map((request) => request.head.path)).toEqual(['/1', '/2']);
    handler.last.respond(204);
    loop.run();
    handler.last.respond(204);
    loop.run();
    expect(peer.take().match(/HTTP\/1\.1 20[04]/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 204', 'HTTP/1.1 204']);
  });

  it('serves pipelined requests that were followed by FIN, then closes', () => {
    const { handler, peer, loop } = open();
    peer.send('GET /1 HTTP/1.1\r\nhost: svc\r\n\r\nGET /2 HTTP/1.1\r\nhost: svc\r\n\r\n');
    peer.end();
    loop.run();
    handler.last.respond(200);
    loop.run();
    expect(handler.last.head.path).toBe('/2');
    handler.last.respond(200);
    loop.run();
    expect(peer.take().match(/ 200 OK/g)).toHaveLength(2);
    expect([peer.isReadEnded, peer.isClosed, handler.isClosed]).toEqual([true, true, true]);
  });

  it('drops a cut-off pipelined request at FIN without serving it', () => {
    const { handler, peer, loop } = open();
    peer.send(`${GET}POST /2 HTTP/1.1\r\nhost: svc\r\ncontent-length: 5\r\n\r\nhe`);
    peer.end();
    loop.run();
    handler.last.respond(200);
    loop.run();
    expect(handler.requests).toHaveLength(2);
    expect(handler.last.abortCode).toBeDefined();
    expect(peer.isClosed).toBe(true);
  });

  it('answers a client that has half-closed after its request', () => {
    const { handler, peer, loop } = open();
    peer.send(GET);
    peer.end();
    loop.run();
    expect(handler.last.abortCode).toBeUndefined();
    handler.last.respond(200, [], 'late');
    loop.run();
    expect(peer.take()).toContain('late');
    expect(peer.isClosed).toBe(true);
  });

  it('aborts a request whose body is cut short', () => {
    const { handler, peer, loop } = open();
    peer.send('POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: 10\r\n\r\nhalf');
    peer.end();
    loop.run();
    expect(handler.last.abortCode).toBe(8);
    expect(handler.isClosed).toBe(true);
  });

  it('aborts the exchange when the client resets', () => {
    const { handler, peer, loop, send } = open();
    send(GET);
    peer.reset();
    loop.run();
    expect(handler.last.abortCode).toBe(8);
    expect(handler.isClosed).toBe(true);
  });

  describe('[PROTO-07] delimits responses', () => {
    const cases: [string, string, (respond: ReturnType<typeof open>['handler']['last']) => void, string][] = [
      ['of known length by it', GET, (r) => r.respond(200, [], 'abc'), `HTTP/1.1 200 OK\r\ncontent-length: 3\r\n${DATE}\r\nabc`],
      [
        'of unknown length by chunks',
        GET,
        (r) => {
          r.begin(200);
          r.send('hello');
          r.stream.sendEnd(['x-sum', '1']);
        },
        `HTTP/1.1 200 OK\r\n${DATE}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n`,
      ],
      [
        'of unknown length in HTTP/1.0 by the end of the connection',
        'GET / HTTP/1.0\r\n\r\n',
        (r) => {
          r.begin(200);
          r.send('hello');
          r.stream.sendEnd(undefined);
        },
        `HTTP/1.0 200 OK\r\n${DATE}\r\nhello`,
      ],
      ['without body by length 0', GET, (r) => r.respond(404), `HTTP/1.1 404 Not Found\r\n${DATE}content-length: 0\r\n\r\n`],
      [
        'to HEAD by nothing',
        'HEAD / HTTP/1.1\r\nhost: svc\r\n\r\n',
        (r) => r.stream.sendResponse({ version: HTTP_1_1, status: 200, fields: ['content-length', '99'], bodyBytes: 0 }, true),
        `HTTP/1.1 200 OK\r\ncontent-length: 99\r\n${DATE}\r\n`,
      ],
      [
        'to HEAD by nothing although a body comes',
        'HEAD / HTTP/1.1\r\nhost: svc\r\n\r\n',
        (r) => {
          r.begin(200);
          r.send('hello');
          r.stream.sendEnd(undefined);
        },
        `HTTP/1.1 200 OK\r\n${DATE}\r\n`,
      ],
      ['204 by nothing', GET, (r) => r.respond(204), `HTTP/1.1 204 No Content\r\n${DATE}\r\n`],
      ['304 by nothing', GET, (r) => r.respond(304, ['etag', 'x']), `HTTP/1.1 304 Not Modified\r\netag: x\r\n${DATE}\r\n`],
    ];
    it.each(cases)('%s', (_name, request, respond, expected) => {
      const { handler, peer, send, loop } = open();
      send(request);
      respond(handler.last);
      loop.run();
      expect(peer.take()).toBe(expected);
      // Except where the end of the connection is the end of the body, the next request is served.
      const isOpen = !request.includes('HTTP/1.0');
      expect(peer.isReadEnded).toBe(!isOpen);
      send(GET);
      expect(handler.requests).toHaveLength(isOpen ? 2 : 1);
    });
  });

  it('leaves a Date that the application has given', () => {
    const { handler, peer, send, loop } = open();
    send(GET);
    handler.last.respond(200, ['date', 'yesterday']);
    loop.run();
    expect(peer.take()).toBe('HTTP/1.1 200 OK\r\ndate: yesterday\r\ncontent-length: 0\r\n\r\n');
  });

  it('[PROTO-07] keeps an HTTP/1.0 connection only on request', () => {
    const { handler, peer, send, loop } = open();
    send('GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n');
    expect(handler.last.head.version).toBe(HTTP_1_0);
    handler.last.respond(200, [], 'a');
    loop.run();
    expect(peer.take()).toContain('connection: keep-alive\r\n');
    send('GET / HTTP/1.0\r\n\r\n');
    handler.last.respond(200, [], 'b');
    loop.run();
    expect(peer.take()).toBe(`HTTP/1.0 200 OK\r\ncontent-length: 1\r\n${DATE}\r\nb`);
    expect(peer.isReadEnded).toBe(true);
  });

  it('[PROTO-24] announces the end where client or proxy wants it', () => {
    const { handler, peer, send, loop } = open();
    send('GET / HTTP/1.1\r\nhost: svc\r\nconnection: close\r\n\r\n');
    handler.last.respond(200);
    loop.run();
    expect(peer.take()).toContain('connection: close\r\n');
    expect(peer.isReadEnded).toBe(true);

    const other = open();
    other.send(GET);
    other.handler.last.stream.closeAfterResponse();
    other.handler.last.respond(503);
    other.loop.run();
    expect(other.peer.take()).toContain('connection: close\r\n');
    expect(other.peer.isReadEnded).toBe(true);
  });

  describe('[PROTO-07] reads request bodies', () => {
    it('of a length, then the next request', () => {
      const { handler, send, loop } = open();
      send('POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: 5\r\n\r\nhel');
      expect(handler.last.head.bodyBytes).toBe(5);
      send('loGET /2 HTTP/1.1\r\nhost: svc\r\n\r\n');
      expect([handler.last.body, handler.last.isEnded]).toEqual(['hello', true]);
      handler.last.respond(200);
      loop.run();
      expect(handler.last.head.path).toBe('/2');
    });

    it('in chunks with trailers, hop-by-hop fields left out', () => {
      const { handler, send } = open();
      send(
        'POST / HTTP/1.1\r\nhost: svc\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nx-t: v\r\nkeep-alive: 5\r\n\r\n',
      );
      expect(handler.last.head.bodyBytes).toBe(-1);
      expect(handler.last.body).toBe('abcde');
      expect(handler.last.trailers).toEqual(['x-t', 'v']);
      expect(handler.last.head.fields).toEqual(['host', 'svc', 'trailer', 'x-t']);
    });
  });

  it('passes interim responses on, to HTTP/1.1 only', () => {
    const { handler, peer, send, loop } = open();
    send('POST / HTTP/1.1\r\nhost: svc\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n');
    handler.last.stream.sendInterim(100, []);
    handler.last.stream.sendInterim(103, ['link', '</a>']);
    loop.run();
    expect(peer.take()).toBe('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n');
    send('ok');
    handler.last.respond(200);
    loop.run();
    handler.last.stream.sendInterim(103, []);
    loop.run();
    expect(peer.take()).toContain(' 200 OK');

    const old = open();
    old.send('POST / HTTP/1.0\r\ncontent-length: 2\r\n\r\n');
    old.handler.last.stream.sendInterim(100, []);
    old.loop.run();
    expect(old.peer.take()).toBe('');
  });

  describe('an answer before the body has come', () => {
    it('is followed by the next request once the rest of the body is thrown away', () => {
      const { handler, peer, send, loop } = open();
      send('POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: 10\r\n\r\nhel');
      handler.last.respond(413);
      loop.run();
      expect(peer.take()).toContain(' 413 ');
      send(`lo12345${GET}`);
      expect(handler.requests).toHaveLength(2);
      expect(handler.last.head.path).toBe('/a');
      expect(handler.requests[0]?.body).toBe('hel');
    });

    it('ends the connection when too much would have to be thrown away', () => {
      const { handler, peer, send, loop } = open();
      send(`POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: 100000000\r\n\r\n`);
      handler.last.respond(413);
      loop.run();
      send('x'.repeat(64 * 1024));
      expect(peer.isReadEnded).toBe(false);
      send('x'.repeat(1024));
      expect(peer.isReadEnded).toBe(true);
      expect(peer.isClosed).toBe(false);
      // A client that goes on all the same is cut off.
      for (let i = 0; i < 20; i++) send('x'.repeat(64 * 1024));
      expect(peer.isClosed).toBe(true);
    });

    it('is sent whole where the connection has to close', () => {
      const { handler, peer, send, loop } = open();
      send('POST / HTTP/1.1\r\nhost: svc\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n');
      handler.last.stream.closeAfterResponse();
      handler.last.respond(403);
      loop.run();
      expect(peer.take()).toContain('connection: close\r\n');
      expect(peer.isReadEnded).toBe(true);
      send('xxxxx');
      expect(peer.isClosed).toBe(false);
      peer.end();
      loop.run();
      expect([peer.isClosed, peer.error]).toEqual([true, undefined]);
    });
  });

  it('cuts off a peer that never closes its half', () => {
    const { handler, peer, send, loop } = open();
    send('GET / HTTP/1.0\r\n\r\n');
    handler.last.respond(200);
    loop.advance(60_000);
    expect(peer.isReadEnded).toBe(true);
    expect(handler.isClosed).toBe(true);
    expect(loop.pendingTimers).toBe(0);
  });

  it('serves nothing that comes after the end', () => {
    const { handler, send, loop } = open();
    send('GET / HTTP/1.1\r\nhost: svc\r\nconnection: close\r\n\r\n');
    handler.last.respond(200);
    loop.run();
    send('POST /again HTTP/1.1\r\nhost: svc\r\ncontent-length: 0\r\n\r\n');
    expect(handler.requests).toHaveLength(1);
  });

  describe('[PROTO-10] tunnels', () => {
    const UPGRADE = 'GET /ws HTTP/1.1\r\nhost: svc\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n';

    function upgraded(early = '') {
      const world = open();
      world.send(UPGRADE + early);
      const { last } = world.handler;
      expect([last.head.upgrade, last.isEnded]).toEqual(['websocket', false]);
      last.stream.sendResponse({ version: HTTP_1_1, status: 101, fields: ['x-y', 'z'], bodyBytes: 0 }, false);
      world.loop.run();
      expect(world.peer.take()).toBe(
        `HTTP/1.1 101 Switching Protocols\r\nx-y: z\r\n${DATE}connection: upgrade\r\nupgrade: websocket\r\n\r\n`,
      );
      return { ...world, last };
    }

    it('carry bytes both ways, early ones too', () => {
      const { last, send, loop, peer } = upgraded('early');
      expect(last.body).toBe('early');
      send('GET / HTTP/1.1\r\n\r\n');
      expect(last.body).toBe('earlyGET / HTTP/1.1\r\n\r\n');
      last.send('\0raw');
      loop.run();
      expect(peer.take()).toBe('\0raw');
    });

    it('close each half on its own', () => {
      const { last, loop, peer, send, handler } = upgraded();
      last.stream.sendEnd(undefined);
      loop.run();
      expect([peer.isReadEnded, peer.isClosed]).toEqual([true, false]);
      send('still');
      expect(last.body).toBe('still');
      peer.end();
      loop.run();
      expect(last.isEnded).toBe(true);
      expect([peer.isClosed, handler.isClosed]).toEqual([true, true]);
      expect(last.abortCode).toBeUndefined();
    });

    it('let the client close first', () => {
      const { last, loop, peer } = upgraded();
      peer.end();
      loop.run();
      expect(last.isEnded).toBe(true);
      last.send('goodbye');
      last.stream.sendEnd(undefined);
      loop.run();
      expect(peer.take()).toBe('goodbye');
      expect(peer.isClosed).toBe(true);
    });

    it('pass a reset on', () => {
      const { last, loop, peer } = upgraded();
      last.stream.abort(8);
      loop.run();
      expect(peer.error?.code).toBe('ECONNRESET');
    });

    it('keep a FIN that came before the upgrade was granted', () => {
      const { handler, peer, loop } = open();
      peer.send(UPGRADE);
      peer.end();
      loop.run();
      expect(handler.last.abortCode).toBeUndefined();
      handler.last.stream.sendResponse({ version: HTTP_1_1, status: 101, fields: [], bodyBytes: 0 }, false);
      loop.run();
      expect(handler.last.isEnded).toBe(true);
      expect(peer.take()).toContain(' 101 ');
    });

    it('are left alone by a drain', () => {
      const { connection, loop, peer, last, send } = upgraded();
      connection.drain();
      loop.run();
      expect(peer.isReadEnded).toBe(false);
      send('on');
      expect(last.body).toBe('on');
    });

    it('do not open where the upgrade is refused; what came early is the next request', () => {
      const { handler, peer, send, loop } = open();
      send(UPGRADE + GET);
      handler.last.respond(400);
      loop.run();
      expect(peer.take()).toContain(' 400 ');
      expect(handler.last.head.path).toBe('/a');
    });

    it('are never offered with a body', () => {
      const { handler, send } = open();
      send('POST / HTTP/1.1\r\nhost: svc\r\nconnection: upgrade\r\nupgrade: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
      expect(handler.last.head.upgrade).toBeUndefined();
      expect([handler.last.body, handler.last.isEnded]).toEqual(['abc', true]);
    });

    it('[PROTO-11] open for CONNECT in authority form', () => {
      const { handler, peer, send, loop } = open();
      send('CONNECT svc:443 HTTP/1.1\r\nhost: svc:443\r\n\r\n');
      expect([handler.last.head.upgrade, handler.last.head.authority, handler.last.head.path]).toEqual(['connect', 'svc:443', '']);
      handler.last.stream.sendResponse({ version: HTTP_1_1, status: 200, fields: [], bodyBytes: 0 }, false);
      loop.run();
      expect(peer.take()).toBe(`HTTP/1.1 200 OK\r\n${DATE}\r\n`);
      send('\x16\x03\x01');
      expect(handler.last.body).toBe('\x16\x03\x01');
    });
  });

  it('[PROTO-16] takes no word of a client that only proxies say', () => {
    const { handler, send } = open();
    send('GET / HTTP/1.1\r\nhost: svc\r\nL5d-Orig-Proto: HTTP/1.0; absolute-form\r\nx: y\r\n\r\n');
    expect(handler.last.head.fields).toEqual(['host', 'svc', 'x', 'y']);
    expect(handler.last.head.version).toBe(HTTP_1_1);
  });

  describe('refuses what is no request', () => {
    const cases: [string, string, number][] = [
      ['a space before the colon', 'GET / HTTP/1.1\r\nhost: svc\r\nx : y\r\n\r\n', 400],
      ['two lengths', 'POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello', 400],
      ['a length and chunks', 'POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 400],
      ['an unknown coding', 'POST / HTTP/1.1\r\nhost: svc\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n', 501],
      ['two hosts', 'GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n', 400],
      ['101 fields', `GET / HTTP/1.1\r\nhost: svc\r\n${'x: 1\r\n'.repeat(100)}\r\n`, 431],
      ['CONNECT without authority', 'CONNECT /x HTTP/1.1\r\nhost: svc\r\n\r\n', 400],
      ['a bad chunk size', 'POST / HTTP/1.1\r\nhost: svc\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 400],
      ['NUL in a value', 'GET / HTTP/1.1\r\nhost: svc\r\nx: a\0b\r\n\r\n', 400],
    ];
    it.each(cases)('%s', (_name, text, status) => {
      const { handler, peer, send, loop } = open();
      send(text);
      send('more of it\r\n\r\n');
      const answer = peer.take();
      expect(answer).toMatch(
        new RegExp(`^HTTP/1\\.1 ${status} [^\\r]*\\r\\nconnection: close\\r\\ncontent-length: 0\\r\\ndate: [^\\r]*\\r\\n\\r\\n$`),
      );
      expect(peer.isReadEnded).toBe(true);
      expect(handler.peerErrors).toHaveLength(1);
      for (const request of handler.requests) expect(request.abortCode).toBe(8);
      peer.end();
      loop.run();
      expect(peer.isClosed).toBe(true);
    });

    it('a head that takes too long, however its octets dribble, and no idle connection', () => {
      const { handler, peer, send, loop } = open();
      send(GET);
      handler.last.respond(200);
      loop.advance(600_000);
      peer.take();
      send('GET /b HTTP/1.1\r\nhost');
      for (let second = 0; second < 29; second++) {
        send('x');
        loop.advance(1000);
      }
      expect(peer.isReadEnded).toBe(false);
      loop.advance(1100);
      expect(peer.take()).toMatch(/^HTTP\/1.1 408 /);
      expect([peer.isReadEnded, handler.peerErrors.length, handler.requests.length]).toEqual([true, 1, 1]);
      peer.end();
      loop.run();
      expect(loop.pendingTimers).toBe(0);
    });

    it('no head that came in time, whatever comes of it later', () => {
      const { handler, peer, send, loop } = open();
      send('POST /b HTTP/1.1\r\nhost');
      send(': a\r\ncontent-length: 5\r\n\r\n');
      loop.advance(60_000);
      send('hello');
      handler.last.respond(200);
      loop.run();
      expect(peer.take()).toMatch(/^HTTP\/1.1 200 /);
      expect(loop.pendingTimers).toBe(0);
    });

    it('100 fields pass', () => {
      const { handler, send } = open();
      send(`GET / HTTP/1.1\r\nhost: svc\r\n${'x: 1\r\n'.repeat(99)}\r\n`);
      expect(handler.requests).toHaveLength(1);
    });

    it('after the answer to a good one', () => {
      const { handler, peer, send, loop } = open();
      send(`${GET}GET / HTTP/1.1\r\nx : y\r\n\r\n`);
      handler.last.respond(200);
      loop.run();
      expect(peer.take().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']);
      expect(peer.isReadEnded).toBe(true);
    });

    it('in the middle of an answer by breaking it off', () => {
      const { handler, peer, send } = open();
      send('POST / HTTP/1.1\r\nhost: svc\r\ntransfer-encoding: chunked\r\n\r\n');
      handler.last.begin(200);
      handler.last.send('x');
      send('zz\r\n');
      expect(peer.take()).not.toContain('0\r\n\r\n');
      expect(handler.last.abortCode).toBe(8);
      expect(handler.isClosed).toBe(true);
    });
  });

  it('breaks off a response that ends with the connection by a reset, lest it look complete', () => {
    const { handler, peer, send, loop } = open();
    send('GET / HTTP/1.0\r\n\r\n');
    handler.last.begin(200);
    handler.last.send('half');
    loop.run();
    handler.last.stream.abort(8);
    loop.run();
    expect(peer.error?.code).toBe('ECONNRESET');
  });

  describe('holds back', () => {
    it('a client whose body nobody takes on, and lets it go on again', () => {
      const { handler, peer, send, server, loop } = open();
      handler.isConsuming = false;
      send('POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: 1000000\r\n\r\n');
      for (let i = 0; i < 100; i++) peer.send('x'.repeat(10_000));
      loop.run();
      expect(server.isPaused).toBe(true);
      expect(handler.last.bodyBytes).toBeLessThanOrEqual(64 * 1024 + 65_536);
      let taken = 0;
      while (!handler.last.isEnded && taken < 100) {
        taken += 1;
        handler.last.consume();
        loop.run();
      }
      expect([handler.last.bodyBytes, handler.last.isEnded]).toEqual([1_000_000, true]);
      handler.last.respond(200);
      loop.run();
      expect(peer.take()).toContain(' 200 ');
    });

    it('the application when the client does not read', () => {
      const { handler, peer, send, loop, server } = open();
      peer.isCountingOnly = true;
      send(GET);
      peer.stream.pauseReading();
      handler.last.begin(200);
      let sent = 0;
      while (handler.last.send('y'.repeat(16_384))) {
        sent += 16_384;
        loop.run();
        expect(sent).toBeLessThan(1_000_000);
      }
      expect(server.unsentBytes).toBeLessThan(300_000);
      expect(handler.last.writableCalls).toBe(0);
      peer.stream.resumeReading();
      loop.run();
      expect(handler.last.writableCalls).toBe(1);
      expect(handler.last.send('z')).toBe(true);
    });

    it('nothing of a next request for the debts of the one before', () => {
      const { handler, send, server, loop } = open();
      handler.isConsuming = false;
      send(`POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: 50000\r\n\r\n${'x'.repeat(50_000)}${GET}`);
      const [first] = handler.requests;
      handler.last.respond(200);
      loop.run();
      expect(handler.requests).toHaveLength(2);
      first?.consume();
      expect(server.isPaused).toBe(false);
    });
  });

  describe('[PROTO-24] draining', () => {
    it('closes an idle connection', () => {
      const { connection, peer, loop, send, handler } = open();
      send(GET);
      handler.last.respond(200);
      loop.run();
      connection.drain();
      loop.run();
      expect(peer.isReadEnded).toBe(true);
    });

    it('finishes the exchange in progress and says so', () => {
      const { connection, peer, loop, send, handler } = open();
      send(GET);
      connection.drain();
      loop.run();
      expect(peer.isReadEnded).toBe(false);
      handler.last.respond(200, [], 'done');
      loop.run();
      expect(peer.take()).toMatch(/connection: close\r\n\r\ndone$/);
      expect(peer.isReadEnded).toBe(true);
    });

    it('still answers a request that is on its way', () => {
      const { connection, peer, loop, send, handler } = open();
      send('GET /a HTTP/1.1\r\nho');
      connection.drain();
      loop.run();
      expect(peer.isReadEnded).toBe(false);
      send('st: svc\r\n\r\n');
      handler.last.respond(200);
      loop.run();
      expect(peer.take()).toContain('connection: close\r\n');
      expect(peer.isReadEnded).toBe(true);
    });
  });

  it('reads the same events however the bytes are split', () => {
    const text = `POST /1 HTTP/1.1\r\nhost: svc\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nt: 1\r\n\r\n${GET}HEAD /3 HTTP/1.1\r\nhost: svc\r\n\r\n`;
    const results = [1, 2, 3, 7, 50, 65_536].map((readBytes) => {
      const { handler, peer, send, loop } = open({ readBytes });
      handler.onEach = (request) => {
        const answer = (): void => loop.soon(() => request.respond(200, [], 'ok'));
        if (request.isEnded) answer();
        else request.onEnded = answer;
      };
      send(text);
      return { answer: peer.take(), seen: handler.requests.map((r) => [r.head.method, r.head.path, r.body, r.trailers]) };
    });
    for (const result of results) expect(result).toEqual(results[0]);
    expect(results[0]?.seen).toEqual([
      ['POST', '/1', 'hello', ['t', '1']],
      ['GET', '/a', '', undefined],
      ['HEAD', '/3', '', undefined],
    ]);
  });
});

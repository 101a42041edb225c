// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { goawayFrame, headersFrame, parseFrames, settingsFrame } from '@weft/http2/testing';
import { H2Peer } from '../testing/h2-peer.ts';
import { type MemoryStreamOptions, createStreamPair } from '../testing/memory-stream.ts';
import { RawPeer } from '../testing/raw-peer.ts';
import { RecordingHandler } from '../testing/recording-handler.ts';
import { TEST_DATE, TestLoop } from '../testing/test-loop.ts';
import { H2ServerConnection, type H2ServerOptions } from './h2-server.ts';
import { HTTP_1_0, HTTP_1_1, HTTP_2 } from './types.ts';

function open(options: Partial<H2ServerOptions> = {}, streamOptions: MemoryStreamOptions = {}) {
  const loop = new TestLoop();
  const [theirs, ours] = createStreamPair(loop, streamOptions);
  const handler = new RecordingHandler();
  const connection = new H2ServerConnection(ours, handler, { codec: {}, keepAlive: undefined, ...options }, loop.clock);
  connection.start();
  const client = new H2Peer(theirs, 'client', loop.clock.now);
  loop.run();
  return { loop, client, handler, connection, ours, theirs };
}

const DATE = ['date', TEST_DATE];

describe('an HTTP/2 server connection', () => {
  it('[PROTO-08] answers requests, many at once', () => {
    const { client, handler, loop } = open();
    const streams = ['/1', '/2', '/3'].map((path) => client.get(path));
    loop.run();
    expect(handler.requests.map((request) => [request.head.path, request.head.version, request.isEnded])).toEqual([
      ['/1', HTTP_2, true],
      ['/2', HTTP_2, true],
      ['/3', HTTP_2, true],
    ]);
    handler.requests[2]?.respond(204);
    handler.requests[0]?.respond(200, ['a', 'b'], 'one');
    loop.run();
    expect(streams[0]?.fields).toEqual([':status', '200', 'a', 'b', 'content-length', '3', ...DATE]);
    expect([streams[0]?.body, streams[0]?.isEnded]).toEqual(['one', true]);
    expect(streams[1]?.fields).toBeUndefined();
    expect(streams[2]?.fields).toEqual([':status', '204', ...DATE]);
  });

  it('[PROTO-08] passes bodies, trailers and interim heads', () => {
    const { client, handler, loop } = open();
    const stream = client.post('/');
    loop.run();
    handler.last.stream.sendInterim(103, ['link', 'x']);
    stream.send('hello', false);
    stream.handle?.sendTrailers(['t', '1']);
    loop.run();
    expect([handler.last.body, handler.last.trailers]).toEqual(['hello', ['t', '1']]);
    handler.last.begin(200);
    handler.last.send('out');
    handler.last.stream.sendEnd(['grpc-status', '0']);
    loop.run();
    expect(stream.interim).toEqual([[':status', '103', 'link', 'x']]);
    expect([stream.body, stream.trailers, stream.isEnded]).toEqual(['out', ['grpc-status', '0'], true]);
  });

  describe('[PROTO-09] takes requests that are HTTP/1 inside', () => {
    const cases: [string, readonly string[], Record<string, unknown>, string | undefined][] = [
      ['HTTP/1.1', ['l5d-orig-proto', 'HTTP/1.1'], { version: HTTP_1_1, isOrigProto: true, isAbsoluteForm: false }, 'HTTP/1.1'],
      ['in absolute form', ['l5d-orig-proto', 'HTTP/1.1; absolute-form'], { version: HTTP_1_1, isAbsoluteForm: true }, 'HTTP/1.1'],
      ['HTTP/1.0', ['l5d-orig-proto', 'HTTP/1.0'], { version: HTTP_1_0, isOrigProto: true }, 'HTTP/1.1'],
      ['of no known version as HTTP/2', ['l5d-orig-proto', 'HTTP/9'], { version: HTTP_2, isOrigProto: false }, undefined],
      ['not at all without the field', [], { version: HTTP_2, isOrigProto: false }, undefined],
    ];
    it.each(cases)('%s', (_name, extra, head, expected) => {
      const { client, handler, loop } = open();
      const stream = client.get('/x', ...extra, 'x', 'y');
      loop.run();
      expect(handler.last.head).toMatchObject({ ...head, fields: ['x', 'y'] });
      handler.last.respond(200);
      loop.run();
      expect(stream.field('l5d-orig-proto')).toBe(expected);
    });

    it('and keeps the version of the answer', () => {
      const { client, handler, loop } = open();
      const stream = client.get('/x', 'l5d-orig-proto', 'HTTP/1.1');
      loop.run();
      handler.last.stream.sendResponse({ version: HTTP_1_0, status: 200, fields: [], bodyBytes: 0 }, true);
      loop.run();
      expect(stream.field('l5d-orig-proto')).toBe('HTTP/1.0');
    });

    it('and takes Host for the authority where there is no other', () => {
      const { client, handler, loop } = open();
      client.request([':method', 'GET', ':scheme', 'http', ':path', '/', 'host', 'from-host', 'l5d-orig-proto', 'HTTP/1.1']);
      loop.run();
      expect(handler.last.head.authority).toBe('from-host');
      expect(handler.last.head.fields).toEqual(['host', 'from-host']);
    });
  });

  it('tells of resets with their code, and of the end of the connection', () => {
    const { client, handler, loop, theirs } = open();
    const stream = client.get('/');
    client.get('/other');
    loop.run();
    stream.handle?.reset(11);
    loop.run();
    expect(handler.requests[0]?.abortCode).toBe(11);
    theirs.destroy({ reset: true });
    loop.run();
    expect(handler.requests[1]?.abortCode).toBeDefined();
    expect(handler.isClosed).toBe(true);
  });

  it('resets a stream alone', () => {
    const { client, handler, loop } = open();
    const stream = client.get('/');
    const other = client.get('/');
    loop.run();
    handler.requests[0]?.stream.abort(7);
    handler.requests[1]?.respond(200);
    loop.run();
    expect([stream.resetCode, other.field(':status')]).toEqual([7, '200']);
  });

  describe('keeps its windows by what is taken on', () => {
    it('so that a body nobody takes on stops at the window, and everything comes in the end', () => {
      const { client, handler, loop } = open();
      handler.isConsuming = false;
      const stream = client.post('/');
      stream.send('x'.repeat(500_000), true);
      loop.run();
      expect(handler.last.bodyBytes).toBe(65_535);
      for (let rounds = 0; !handler.last.isEnded && rounds < 50; rounds++) {
        handler.last.consume();
        loop.run();
      }
      expect([handler.last.bodyBytes, handler.last.isEnded]).toEqual([500_000, true]);
    });

    it('so that a stalled stream does not starve the others', () => {
      const { client, handler, loop } = open();
      handler.isConsuming = false;
      for (let i = 0; i < 20; i++) {
        client.post(`/${i}`).send('x'.repeat(65_535), false);
      }
      loop.run();
      expect(handler.requests).toHaveLength(20);
      for (const request of handler.requests) expect(request.bodyBytes).toBe(65_535);
    });

    it('so that an answer before the body lets the rest pass', () => {
      const { client, handler, loop } = open();
      handler.isConsuming = false;
      const stream = client.post('/');
      stream.send('x'.repeat(300_000), false);
      loop.run();
      handler.isConsuming = true;
      handler.last.isConsuming = true;
      handler.last.respond(413);
      handler.last.consume();
      loop.run();
      expect(stream.field(':status')).toBe('413');
      expect(handler.last.bodyBytes).toBe(300_000);
    });
  });

  it('holds the application back when the client does not read', () => {
    const { client, handler, loop, ours } = open();
    const stream = client.get('/');
    stream.isConsuming = false;
    loop.run();
    handler.last.begin(200);
    let sent = 0;
    while (handler.last.send('y'.repeat(16_384))) {
      sent += 16_384;
      loop.run();
      expect(sent).toBeLessThan(1_000_000);
    }
    expect(ours.unsentBytes).toBeLessThan(300_000);
    stream.isConsuming = true;
    stream.consume();
    loop.run();
    expect(handler.last.writableCalls).toBeGreaterThan(0);
  });

  describe('[PROTO-24] draining', () => {
    it('tells the client, takes what crossed on the wire, and closes after the last answer', () => {
      const { client, handler, loop, connection } = open();
      const first = client.get('/1');
      loop.run();
      connection.drain();
      // On its way before the client could know.
      const crossed = client.get('/2');
      loop.run();
      expect(client.goaways.map((goaway) => goaway.code)).toEqual([0, 0]);
      expect(client.goaways[0]?.lastStreamId).toBe(0x7fff_ffff);
      expect(handler.requests).toHaveLength(2);
      handler.requests[0]?.respond(200);
      loop.run();
      expect(client.isReadEnded).toBe(false);
      handler.requests[1]?.respond(200);
      loop.run();
      expect([first.field(':status'), crossed.field(':status')]).toEqual(['200', '200']);
      expect([client.isReadEnded, handler.isClosed]).toEqual([true, true]);
    });

    it('closes an idle connection once the client has heard', () => {
      const { client, loop, connection, handler } = open();
      connection.drain();
      loop.run();
      expect([client.goaways.length, handler.isClosed]).toEqual([2, true]);
      expect(loop.pendingTimers).toBe(0);
    });

    it('does not wait for ever for a client that does not answer', () => {
      const loop = new TestLoop();
      const [theirs, ours] = createStreamPair(loop);
      const handler = new RecordingHandler();
      const connection = new H2ServerConnection(ours, handler, { codec: {}, keepAlive: undefined }, loop.clock);
      connection.start();
      const peer = new RawPeer(theirs);
      peer.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').send(settingsFrame([]));
      loop.run();
      connection.drain();
      loop.advance(4000);
      expect(peer.isReadEnded).toBe(false);
      loop.advance(2000);
      expect(peer.isReadEnded).toBe(true);
      loop.advance(20_000);
      expect(handler.isClosed).toBe(true);
    });

    it('is what an answer asks for that must close the connection', () => {
      const { client, handler, loop } = open();
      const stream = client.get('/');
      loop.run();
      handler.last.stream.closeAfterResponse();
      handler.last.respond(502);
      loop.run();
      expect([stream.field(':status'), client.goaways.length, handler.isClosed]).toEqual(['502', 2, true]);
    });
  });

  describe('[PROTO-20] with keep-alive', () => {
    const keepAlive = { intervalMs: 10_000, timeoutMs: 3000, isWhileIdle: true };

    it('pings a silent client and keeps one that answers', () => {
      const { loop, handler, client, theirs } = open({ keepAlive });
      const before = theirs.bytesRead;
      loop.advance(60_000);
      expect(handler.isClosed).toBe(false);
      // Six intervals, a PING of 17 bytes each.
      expect(theirs.bytesRead - before).toBe(6 * 17);
      client.stream.destroy();
      loop.run();
      expect(loop.pendingTimers).toBe(0);
    });

    it('cuts off a client that has vanished, within 13 seconds', () => {
      const { loop, handler, client, theirs } = open({ keepAlive });
      client.get('/');
      loop.run();
      theirs.pauseReading();
      loop.advance(12_900);
      expect(handler.isClosed).toBe(false);
      loop.advance(200);
      expect(handler.isClosed).toBe(true);
      expect(handler.last.abortCode).toBeDefined();
    });

    it('does not ping while bytes come', () => {
      const { loop, client, theirs } = open({ keepAlive });
      for (let i = 0; i < 10; i++) {
        client.codec.ping(i);
        client.stream.schedule();
        loop.advance(9000);
      }
      // Only the answers to the client's own PINGs.
      expect(theirs.bytesRead).toBeLessThan(10 * 17 + 200);
    });
  });

  it('counts what clients do wrong, and closes on them though they stay', () => {
    const loop = new TestLoop();
    const [theirs, ours] = createStreamPair(loop);
    const handler = new RecordingHandler();
    new H2ServerConnection(ours, handler, { codec: {}, keepAlive: undefined }, loop.clock).start();
    const peer = new RawPeer(theirs);
    peer.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').send(settingsFrame([]));
    peer.send(headersFrame(1, [':method', 'GET', ':scheme', 'http', ':path', 'no-slash'], { endStream: true }));
    peer.send(headersFrame(2, [':method', 'GET', ':scheme', 'http', ':path', '/'], { endStream: true }));
    loop.run();
    const types = parseFrames(Buffer.from(peer.take(), 'latin1')).map((frame) => frame.type);
    expect(types.slice(-2)).toEqual([3, 7]);
    peer.send(goawayFrame(0, 0));
    loop.advance(30_000);
    expect(handler.peerErrors).toEqual(['h2 malformed 1', 'h2 connection error 1']);
    expect(handler.isClosed).toBe(true);
  });

  it('passes requests in any split of the bytes', () => {
    for (const readBytes of [1, 9, 10, 100]) {
      const { client, handler, loop } = open({}, { readBytes });
      const stream = client.request([':method', 'POST', ':scheme', 'http', ':authority', 'a', ':path', '/p', 'x', 'y'.repeat(300)], 'body');
      loop.run();
      expect([handler.last.head.path, handler.last.body, handler.last.isEnded]).toEqual(['/p', 'body', true]);
      handler.last.respond(200, [], 'answer');
      loop.run();
      expect(stream.body).toBe('answer');
    }
  });
});

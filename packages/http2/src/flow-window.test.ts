// SPDX-License-Identifier: Apache-2.0
/*
 * Flow control as a conservation law: no credit is lost, whatever happens to the data, and none is made up.
 */
import { Buffer } from 'node:buffer';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { H2_CODES } from './codes.ts';
import { H2UsageError } from './errors.ts';
import { RecvWindow, SendWindow } from './flow-window.ts';
import { ScriptedPeer, dataFrame, headersFrame, rstStreamFrame, settingsFrame, windowUpdateFrame } from './testing/index.ts';

const POST = [':method', 'POST', ':scheme', 'http', ':authority', 'a', ':path', '/'];

describe('a receiving window', () => {
  it('conserves: advertised, unclaimed and held always add up to its size', () => {
    const step = fc.oneof(fc.record({ recv: fc.nat(70_000) }), fc.record({ release: fc.nat(70_000) }), fc.record({ shrink: fc.nat(1000) }));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200_000 }), fc.array(step, { maxLength: 100 }), (initial, steps) => {
        const window = new RecvWindow(initial);
        let size = initial;
        let peerView = initial;
        for (const next of steps) {
          let code: number = H2_CODES.NO_ERROR;
          let overran = false;
          if ('recv' in next) {
            overran = next.recv > peerView;
            code = window.recvData(next.recv);
            if (!overran) peerView -= next.recv;
          } else if ('release' in next) {
            peerView += window.release(Math.min(next.release, window.held));
          } else {
            const bytes = Math.min(next.shrink, size);
            size -= bytes;
            peerView += window.shrink(bytes) - bytes;
          }
          expect(code).toBe(overran ? H2_CODES.FLOW_CONTROL_ERROR : H2_CODES.NO_ERROR);
          expect(window.advertised).toBe(peerView);
          expect(window.advertised + window.unclaimed + window.held).toBe(size);
        }
        // Once everything is released the peer can send at least half the window again: nothing gets stuck.
        peerView += window.release(window.held);
        expect(peerView).toBeGreaterThanOrEqual(size / 2);
      }),
    );
  });

  it('refuses to take back what was never received', () => {
    const window = new RecvWindow(100);
    window.recvData(10);
    expect(() => window.release(11)).toThrow(H2UsageError);
  });
});

describe('a sending window', () => {
  it('may go negative and never above 2^31 - 1', () => {
    const window = new SendWindow(65_535);
    expect(window.add(-70_000)).toBe(H2_CODES.NO_ERROR);
    expect(window.availableBytes).toBe(-4465);
    expect(window.add(0x7fff_ffff)).toBe(H2_CODES.NO_ERROR);
    expect(window.add(4466)).toBe(H2_CODES.FLOW_CONTROL_ERROR);
    expect(window.add(4465)).toBe(H2_CODES.NO_ERROR);
  });
});

/** Increments for `streamId` in printed frames. */
function credited(lines: readonly string[], streamId: number): number {
  return lines
    .map((line) => line.split(' '))
    .filter(([type, id]) => type === 'WINDOW_UPDATE' && id === String(streamId))
    .reduce((sum, [, , increment]) => sum + Number(increment), 0);
}

describe('credit on a connection', () => {
  it('returns on receipt for the connection and on consumption for the stream', () => {
    const peer = new ScriptedPeer({ role: 'server', initialConnectionWindowBytes: 65_535 }).open();
    peer.autoConsume = false;
    const chunk = Buffer.alloc(16_384);
    peer.send(headersFrame(1, POST), dataFrame(1, chunk), dataFrame(1, chunk));
    expect(peer.recv()).toEqual(['WINDOW_UPDATE 0 32768']);
    peer.stream(1).consume(16_384);
    expect(peer.recv()).toEqual([]);
    peer.stream(1).consume(16_384);
    expect(peer.recv()).toEqual(['WINDOW_UPDATE 1 32768']);
  });

  it('of a stalled stream does not stop the others', () => {
    const peer = new ScriptedPeer({ role: 'server', initialConnectionWindowBytes: 65_535 }).open();
    const chunk = Buffer.alloc(16_000);
    peer.autoConsume = false;
    peer.send(headersFrame(1, POST), ...[1, 2, 3, 4].map(() => dataFrame(1, chunk)));
    peer.autoConsume = true;
    peer.send(headersFrame(3, POST));
    for (let i = 0; i < 50; i++) expect(peer.send(dataFrame(3, chunk))).toBe(true);
    expect(peer.sink(3).dataBytes).toBe(800_000);
  });

  it('is not sent for a stream that receives no more', () => {
    const peer = new ScriptedPeer({ role: 'server' }).open();
    peer.autoConsume = false;
    peer.send(
      headersFrame(1, POST),
      ...[1, 2].map(() => dataFrame(1, Buffer.alloc(16_384))),
      dataFrame(1, Buffer.alloc(16_384), { endStream: true }),
    );
    peer.stream(1).consume(3 * 16_384);
    expect(peer.recv()).toEqual([]);
  });

  it('shrinks with the ACK when we announce less than the initial value', () => {
    const peer = new ScriptedPeer({ role: 'server', initialStreamWindowBytes: 1000 });
    peer.takeBytes();
    peer.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settingsFrame(), headersFrame(1, POST), dataFrame(1, Buffer.alloc(5000)));
    peer.send(Buffer.from('000000040100000000', 'hex'));
    peer.takeBytes();
    // The peer sees 1000 - 5000 + 5000 (consumed) = 1000 again.
    expect(peer.send(dataFrame(1, Buffer.alloc(1000)))).toBe(true);
    expect(peer.recv().filter((line) => line.startsWith('RST'))).toEqual([]);
    peer.autoConsume = false;
    peer.send(headersFrame(3, POST), dataFrame(3, Buffer.alloc(1001)));
    expect(peer.recv()).toEqual(['RST_STREAM 3 FLOW_CONTROL_ERROR']);
  });

  it('is conserved through padding, resets either way, refusals, errors and GOAWAY', () => {
    const step = fc.record({
      stream: fc.nat(9),
      bytes: fc.nat(3000),
      padding: fc.option(fc.nat(255), { nil: undefined }),
      next: fc.constantFrom('nothing', 'nothing', 'consume', 'ownReset', 'peerReset', 'end', 'goaway'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const peer = new ScriptedPeer({ role: 'server', initialConnectionWindowBytes: 65_535, maxConcurrentStreams: 5 }).open();
        peer.autoConsume = false;
        const ids = Array.from({ length: 10 }, (_, index) => index * 2 + 1);
        for (const id of ids) peer.send(headersFrame(id, id === 7 ? ['malformed', 'x'] : POST));
        let connectionView = 65_535;
        const views = new Map(ids.map((id) => [id, 65_535]));
        const sent = new Map(ids.map((id) => [id, 0]));
        const ended = new Set<number>();
        for (const { stream, bytes, padding, next } of steps) {
          const id = stream * 2 + 1;
          const payloadBytes = bytes + (padding === undefined ? 0 : padding + 1);
          if ((views.get(id) as number) < payloadBytes || connectionView < payloadBytes || ended.has(id)) continue;
          peer.send(dataFrame(id, Buffer.alloc(bytes), { endStream: next === 'end', ...(padding === undefined ? {} : { padding }) }));
          connectionView -= payloadBytes;
          views.set(id, (views.get(id) as number) - payloadBytes);
          sent.set(id, (sent.get(id) as number) + bytes);
          const handle = peer.streams.get(id);
          const unread = (sent.get(id) as number) > 0 ? (sent.get(id) as number) : 0;
          if (next === 'consume' && handle !== undefined) {
            handle.consume(handle.isRecvClosed ? 0 : unread);
            sent.set(id, 0);
          }
          if (next === 'ownReset') handle?.reset(H2_CODES.CANCEL);
          if (next === 'peerReset') peer.send(rstStreamFrame(id, H2_CODES.CANCEL));
          if (next === 'goaway') peer.connection.goaway(H2_CODES.NO_ERROR);
          // After its own RST_STREAM or END_STREAM a peer sends nothing more.
          if (next === 'end' || next === 'peerReset') ended.add(id);
          const lines = peer.recv();
          connectionView += credited(lines, 0);
          for (const each of ids) views.set(each, (views.get(each) as number) + credited(lines, each));
          // On receipt: the peer always sees more than half of the connection's window.
          expect(connectionView).toBeGreaterThan(65_535 / 2);
          expect(connectionView).toBeLessThanOrEqual(65_535);
          for (const view of views.values()) expect(view).toBeLessThanOrEqual(65_535);
        }
        expect(peer.connection.error).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });
});

describe('sending under flow control', () => {
  it('stops at the stream window and goes on with WINDOW_UPDATE', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open([[4, 10]]);
    const stream = peer.request(POST, false);
    stream?.sendData(Buffer.alloc(25), 0, 25, true);
    expect(peer.recv()).toEqual(['HEADERS 1 :method=POST :scheme=http :authority=a :path=/', 'DATA 1 10']);
    expect(stream?.queuedBytes).toBe(15);
    peer.send(windowUpdateFrame(1, 5));
    expect(peer.recv()).toEqual(['DATA 1 5']);
    peer.send(windowUpdateFrame(1, 100));
    expect(peer.recv()).toEqual(['DATA 1 10 END_STREAM']);
  });

  it('stops at the connection window and serves streams in turn', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open([[4, 1 << 20]]);
    const chunk = Buffer.alloc(50_000);
    peer.request(POST, false)?.sendData(chunk, 0, 50_000, true);
    peer.request(POST, false)?.sendData(chunk, 0, 50_000, true);
    const first = peer.recv().filter((line) => line.startsWith('DATA'));
    expect(first).toEqual(['DATA 1 16384', 'DATA 1 16384', 'DATA 1 16384', 'DATA 1 848 END_STREAM', 'DATA 3 15535']);
    expect(peer.hasMore).toBe(false);
    peer.send(windowUpdateFrame(0, 1 << 20));
    expect(peer.recv()).toEqual(['DATA 3 16384', 'DATA 3 16384', 'DATA 3 1697 END_STREAM']);
  });

  it('goes on when SETTINGS open the window, and respects a negative one', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open([[4, 10]]);
    const stream = peer.request(POST, false);
    stream?.sendData(Buffer.alloc(30), 0, 30, false);
    peer.recv();
    peer.send(settingsFrame([[4, 4]]));
    expect(peer.recv()).toEqual(['SETTINGS ACK']);
    peer.send(windowUpdateFrame(1, 6));
    expect(peer.recv()).toEqual([]);
    peer.send(windowUpdateFrame(1, 1));
    expect(peer.recv()).toEqual(['DATA 1 1']);
    peer.send(settingsFrame([[4, 100]]));
    expect(peer.recv()).toEqual(['SETTINGS ACK', 'DATA 1 19']);
  });

  it('sends END_STREAM and trailers without any window', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open([[4, 0]]);
    const first = peer.request(POST, false);
    const second = peer.request(POST, false);
    peer.recv();
    first?.sendData(Buffer.alloc(0), 0, 0, true);
    second?.sendTrailers(['t', '1']);
    expect(peer.recv()).toEqual(['DATA 1 0 END_STREAM', 'HEADERS 3 END_STREAM t=1']);
  });

  it('puts trailers behind what waits', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open([[4, 2]]);
    const stream = peer.request(POST, false);
    stream?.sendData(Buffer.alloc(3), 0, 3, false);
    stream?.sendTrailers(['t', '1']);
    expect(stream?.isSendClosed).toBe(true);
    expect(peer.recv().slice(1)).toEqual(['DATA 1 2']);
    peer.send(windowUpdateFrame(1, 2));
    expect(peer.recv()).toEqual(['DATA 1 1', 'HEADERS 1 END_STREAM t=1']);
  });

  it('does nothing with DATA while the socket is blocked, and says when there is room again', () => {
    const limits = { streamSendMarkBytes: 1000 };
    const peer = new ScriptedPeer({ role: 'client', limits }).open();
    peer.connection.isBlocked = true;
    const stream = peer.request(POST, false);
    expect(stream?.sendData(Buffer.alloc(1000), 0, 1000, false)).toBe(true);
    expect(stream?.sendData(Buffer.alloc(1), 0, 1, false)).toBe(false);
    expect(peer.recv().slice(1)).toEqual([]);
    peer.connection.isBlocked = false;
    expect(peer.recv()).toEqual(['DATA 1 1001']);
    expect(peer.events()).toEqual(['1 writable']);
  });

  it('keeps the budgets of a turn and says that there is more', () => {
    const limits = { maxStreamBytesPerTurn: 20_000, maxConnectionBytesPerTurn: 50_000 };
    const peer = new ScriptedPeer({ role: 'client', limits }).open([[4, 1 << 20]]);
    peer.send(windowUpdateFrame(0, 1 << 20));
    const chunk = Buffer.alloc(40_000);
    for (let i = 0; i < 3; i++) peer.request(POST, false)?.sendData(chunk, 0, 40_000, true);
    const turns: string[][] = [];
    do turns.push(peer.recv().filter((line) => line.startsWith('DATA')));
    while (peer.hasMore);
    const sums = turns.map((turn) => turn.reduce((sum, line) => sum + Number(line.split(' ')[2]), 0));
    expect(sums).toEqual([50_000, 50_000, 20_000]);
    for (const turn of turns) {
      for (const id of ['1', '3', '5']) {
        const own = turn.map((line) => line.split(' ')).filter(([, stream]) => stream === id);
        expect(own.reduce((sum, [, , bytes]) => sum + Number(bytes), 0)).toBeLessThanOrEqual(20_000);
      }
    }
  });

  it('serves many streams round robin, a frame each', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open([[4, 1 << 20]]);
    peer.send(windowUpdateFrame(0, 1 << 20));
    peer.connection.isBlocked = true;
    const chunk = Buffer.alloc(40_000);
    for (let i = 0; i < 3; i++) peer.request(POST, false)?.sendData(chunk, 0, 40_000, true);
    peer.connection.isBlocked = false;
    const order = peer
      .recv()
      .filter((line) => line.startsWith('DATA'))
      .map((line) => line.split(' ')[1]);
    expect(order).toEqual(['1', '3', '5', '1', '3', '5', '1', '3', '5']);
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * The ordinary life of connections and streams, by scripts: what the peer sends, what we answer, what owners are told.
 */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { H2_CODES } from './codes.ts';
import { H2UsageError } from './errors.ts';
import {
  ScriptedPeer,
  dataFrame,
  goawayFrame,
  headersFrame,
  pingFrame,
  rstStreamFrame,
  settingsFrame,
  windowUpdateFrame,
} from './testing/index.ts';

const REQUEST = [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/'];
const EMPTY = Buffer.alloc(0);

/** Frames of a vector of captured reads: all of them, joined. */
function vectorBytes(name: string): Buffer {
  const text = readFileSync(new URL(`testdata/vectors/${name}`, import.meta.url), 'latin1');
  return Buffer.from(text.replaceAll(/^#.*$/gm, '').replaceAll(/\s/g, ''), 'hex');
}

describe('first bytes', () => {
  it('of a client equal those of the reference proxy', () => {
    const captured = vectorBytes('h2-client-first-bytes.hex');
    const preface = captured.indexOf('PRI * HTTP/2.0');
    const ours = new ScriptedPeer({ role: 'client' }).takeBytes();
    expect(ours.toString('hex')).toBe(captured.subarray(preface, preface + ours.length).toString('hex'));
    expect(ours).toHaveLength(24 + 27 + 13);
  });

  it('of a server equal those of the reference proxy', () => {
    const captured = vectorBytes('h2-server-first-bytes.hex');
    const ours = new ScriptedPeer({ role: 'server' }).takeBytes();
    expect(ours.toString('hex')).toBe(captured.subarray(0, ours.length).toString('hex'));
    expect(ours).toHaveLength(27 + 13);
  });

  it('carry whatever else was configured', () => {
    const peer = new ScriptedPeer({ role: 'server', maxConcurrentStreams: 100, initialStreamWindowBytes: 1 << 20, maxFrameBytes: 32_768 });
    expect(peer.recv()).toEqual(['SETTINGS 000300000064000400100000000500008000000600004000', 'WINDOW_UPDATE 0 983041']);
  });
});

describe('a server', () => {
  it('takes a request and answers with data and trailers', () => {
    const peer = new ScriptedPeer({ role: 'server' }).open();
    expect(peer.send(headersFrame(1, REQUEST, { endStream: true }))).toBe(true);
    expect(peer.events()).toEqual(['1 request :method=GET :scheme=http :authority=a :path=/ END']);
    const stream = peer.stream(1);
    stream.sendHeaders([':status', '200', 'x', 'y'], false);
    expect(stream.sendData(Buffer.from('hello'), 0, 5, false)).toBe(true);
    expect(peer.connection.activeStreams).toBe(1);
    stream.sendTrailers(['grpc-status', '0']);
    expect(peer.recv()).toEqual(['HEADERS 1 :status=200 x=y', 'DATA 1 5', 'HEADERS 1 END_STREAM grpc-status=0']);
    expect(peer.connection.activeStreams).toBe(0);
    expect(stream.isSendClosed && stream.isRecvClosed).toBe(true);
  });

  it('sends interim heads before the final one', () => {
    const peer = new ScriptedPeer({ role: 'server' }).open();
    peer.send(headersFrame(1, REQUEST, { endStream: true }));
    peer.stream(1).sendHeaders([':status', '103', 'link', 'x'], false);
    peer.stream(1).sendHeaders([':status', '204'], true);
    expect(peer.recv()).toEqual(['HEADERS 1 :status=103 link=x', 'HEADERS 1 END_STREAM :status=204']);
  });

  it('puts END_STREAM on the frame just written where it can', () => {
    const peer = new ScriptedPeer({ role: 'server' }).open();
    peer.send(headersFrame(1, REQUEST, { endStream: true }), headersFrame(3, REQUEST, { endStream: true }));
    peer.stream(1).sendHeaders([':status', '200'], false);
    peer.stream(1).sendData(Buffer.from('abc'), 0, 3, false);
    peer.stream(1).sendData(EMPTY, 0, 0, true);
    peer.stream(3).sendHeaders([':status', '200'], false);
    peer.stream(3).sendData(EMPTY, 0, 0, true);
    expect(peer.recv()).toEqual(['HEADERS 1 :status=200', 'DATA 1 3 END_STREAM', 'HEADERS 3 END_STREAM :status=200']);
  });

  it('does not touch a frame that left with an earlier turn', () => {
    const peer = new ScriptedPeer({ role: 'server' }).open();
    peer.send(headersFrame(1, REQUEST, { endStream: true }));
    peer.stream(1).sendHeaders([':status', '200'], false);
    peer.stream(1).sendData(Buffer.from('abc'), 0, 3, false);
    expect(peer.recv()).toEqual(['HEADERS 1 :status=200', 'DATA 1 3']);
    peer.stream(1).sendData(EMPTY, 0, 0, true);
    expect(peer.recv()).toEqual(['DATA 1 0 END_STREAM']);
  });

  it('shuts down in two steps, the second on the ACK of its PING', () => {
    const peer = new ScriptedPeer({ role: 'server' }).open();
    peer.send(headersFrame(1, REQUEST, { endStream: true }));
    peer.connection.shutdown();
    expect(peer.recv()).toEqual(['GOAWAY 2147483647 NO_ERROR', 'PING 0b7ba2f08b9bfe54']);
    expect(peer.connection.isDraining).toBe(true);
    peer.send(headersFrame(3, REQUEST, { endStream: true }), pingFrame('0b7ba2f08b9bfe54', true));
    expect(peer.recv()).toEqual(['GOAWAY 3 NO_ERROR']);
    peer.events();
    peer.send(headersFrame(5, REQUEST, { endStream: false }), dataFrame(5, 'x'), rstStreamFrame(5, 0));
    expect(peer.events()).toEqual([]);
    peer.stream(3).sendHeaders([':status', '200'], true);
    peer.stream(1).sendHeaders([':status', '200'], true);
    expect(peer.recv()).toEqual(['HEADERS 3 END_STREAM :status=200', 'HEADERS 1 END_STREAM :status=200']);
    expect(peer.connection.activeStreams).toBe(0);
  });
});

describe('a client', () => {
  it('sends requests and tells each stream what came', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    const post = peer.request([':method', 'POST', ...REQUEST.slice(2)], false);
    post?.sendData(Buffer.from('ping'), 0, 4, true);
    peer.request(REQUEST, true);
    expect(peer.recv()).toEqual([
      'HEADERS 1 :method=POST :scheme=http :authority=a :path=/',
      'DATA 1 4 END_STREAM',
      'HEADERS 3 END_STREAM :method=GET :scheme=http :authority=a :path=/',
    ]);
    peer.send(
      headersFrame(3, [':status', '103', 'link', 'x']),
      headersFrame(3, [':status', '200', 'content-length', '3']),
      headersFrame(1, [':status', '204'], { endStream: true }),
      dataFrame(3, 'abc', { padding: 2 }),
      headersFrame(3, ['t', '1'], { endStream: true }),
    );
    expect(peer.events()).toEqual([
      '3 interim :status=103 link=x',
      '3 headers :status=200 content-length=3',
      '1 headers :status=204 END',
      '3 data 3',
      '3 trailers t=1',
    ]);
    expect(peer.connection.activeStreams).toBe(0);
  });

  it('opens no more streams than the peer allows', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open([[3, 1]]);
    expect(peer.connection.peerMaxConcurrentStreams).toBe(1);
    expect(peer.request(REQUEST, true)?.id).toBe(1);
    expect(peer.connection.canRequest).toBe(false);
    expect(peer.request(REQUEST, true)).toBeUndefined();
    peer.send(headersFrame(1, [':status', '200'], { endStream: true }));
    expect(peer.request(REQUEST, true)?.id).toBe(3);
    peer.send(settingsFrame([[3, 2]]));
    expect(peer.connection.canRequest).toBe(true);
  });

  it('learns from GOAWAY which requests were never looked at', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    peer.request(REQUEST, true);
    peer.request(REQUEST, true);
    peer.send(goawayFrame(1, H2_CODES.NO_ERROR));
    expect(peer.events()).toEqual(['3 reset REFUSED_STREAM by connection', 'goaway 1 NO_ERROR']);
    expect(peer.request(REQUEST, true)).toBeUndefined();
    expect(peer.connection.isDraining).toBe(true);
    peer.send(headersFrame(1, [':status', '200'], { endStream: true }));
    expect(peer.events()).toEqual(['1 headers :status=200 END']);
    expect(peer.connection.activeStreams).toBe(0);
  });

  it('gets its PING back', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    peer.connection.ping(2 ** 40 + 7);
    expect(peer.recv()).toEqual(['PING 0000010000000007']);
    peer.send(pingFrame('0000010000000007', true), pingFrame('00000000000000ff'));
    expect(peer.events()).toEqual([`pong ${2 ** 40 + 7}`]);
    expect(peer.recv()).toEqual(['PING 00000000000000ff ACK']);
  });
});

describe('resets', () => {
  it('by the owner drop what waits and silence the stream', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open([[4, 0]]);
    const stream = peer.request([':method', 'POST', ...REQUEST.slice(2)], false);
    stream?.sendData(Buffer.from('waits'), 0, 5, true);
    expect(stream?.queuedBytes).toBe(5);
    peer.recv();
    stream?.reset(H2_CODES.CANCEL);
    expect(peer.recv()).toEqual(['RST_STREAM 1 CANCEL']);
    expect(stream?.queuedBytes).toBe(0);
    expect(stream?.sendData(Buffer.from('x'), 0, 1, true)).toBe(true);
    peer.send(headersFrame(1, [':status', '200']), dataFrame(1, 'late'), windowUpdateFrame(1, 10));
    expect(peer.events()).toEqual([]);
    expect(peer.recv()).toEqual([]);
    expect(peer.connection.activeStreams).toBe(0);
  });

  it('by the peer carry its code', () => {
    const peer = new ScriptedPeer({ role: 'server' }).open();
    peer.send(headersFrame(1, REQUEST), rstStreamFrame(1, H2_CODES.CANCEL));
    expect(peer.events()).toEqual(['1 request :method=GET :scheme=http :authority=a :path=/', '1 reset CANCEL by peer']);
    peer.stream(1).sendHeaders([':status', '200'], true);
    expect(peer.recv()).toEqual([]);
  });

  it('of the connection reach every stream', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    peer.request(REQUEST, true);
    peer.request(REQUEST, true);
    peer.connection.close();
    expect(peer.events()).toEqual(['1 reset INTERNAL_ERROR by connection', '3 reset INTERNAL_ERROR by connection']);
    expect(peer.connection.isClosed).toBe(true);
    expect(peer.connection.activeStreams).toBe(0);
  });
});

describe('field lists that cannot be sent', () => {
  const BAD = ['x-before', 'indexed', 'x-bad', 'a\r\nb: c'];

  it('throw, and another head can be sent instead', () => {
    const peer = new ScriptedPeer({ role: 'server' }).open();
    peer.send(headersFrame(1, REQUEST, { endStream: true }), headersFrame(3, REQUEST, { endStream: true }));
    const stream = peer.stream(1);
    peer.stream(3).sendHeaders([':status', '200', 'x-first', 'one'], true);
    expect(() => stream.sendHeaders([':status', '200', ...BAD], true)).toThrow(H2UsageError);
    expect(() => stream.sendHeaders([':status', '200', 'connection', 'close'], true)).toThrow(H2UsageError);
    stream.sendHeaders([':status', '500', 'x-before', 'indexed', 'x-first', 'one'], false);
    expect(() => stream.sendTrailers(BAD)).toThrow(H2UsageError);
    stream.sendTrailers(['x-before', 'indexed']);
    // The peer's table still agrees with ours: its decoder reads all of this.
    expect(peer.recv()).toEqual([
      'HEADERS 3 END_STREAM :status=200 x-first=one',
      'HEADERS 1 :status=500 x-before=indexed x-first=one',
      'HEADERS 1 END_STREAM x-before=indexed',
    ]);
    expect(peer.connection.isClosed).toBe(false);
  });

  it('of requests use up no stream', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    expect(() => peer.request([...REQUEST, ...BAD], true)).toThrow(H2UsageError);
    expect(peer.connection.activeStreams).toBe(0);
    expect(peer.request([...REQUEST, 'x-before', 'indexed'], true)?.id).toBe(1);
    expect(peer.recv()).toEqual(['HEADERS 1 END_STREAM :method=GET :scheme=http :authority=a :path=/ x-before=indexed']);
  });

  it('as trailers that wait reset their stream alone', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open([[4, 2]]);
    const streams = [1, 3].map(() => peer.request([':method', 'POST', ...REQUEST.slice(2)], false));
    for (const stream of streams) stream?.sendData(Buffer.from('abc'), 0, 3, false);
    streams[0]?.sendTrailers(BAD);
    streams[1]?.sendTrailers(['good', '1']);
    peer.recv();
    peer.send(windowUpdateFrame(1, 1), windowUpdateFrame(3, 1));
    expect(peer.recv()).toEqual(['DATA 1 1', 'RST_STREAM 1 INTERNAL_ERROR', 'DATA 3 1', 'HEADERS 3 END_STREAM good=1']);
    expect(peer.events()).toEqual(['1 reset INTERNAL_ERROR by local']);
  });
});

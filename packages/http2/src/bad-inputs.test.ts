// SPDX-License-Identifier: Apache-2.0
/*
 * What hostile or broken peers send to a server: each gets its stated answer (RFC 9113), with bounded memory and time, and
 * other streams go on. Known attacks are named after the incidents that taught them.
 */
import { Buffer } from 'node:buffer';
import type { FieldList } from '@weft/bytes';
import { describe, expect, it } from 'vitest';
import { H2_CODES, h2CodeName } from './codes.ts';
import {
  CONNECTION_ERRORS,
  MALFORMED_REQUESTS,
  ODD_REQUESTS,
  STREAM_ERRORS,
  ScriptedPeer,
  blockFrame,
  continuationFrame,
  dataFrame,
  fieldBlock,
  frame,
  goawayFrame,
  headersFrame,
  literal,
  pingFrame,
  priorityFrame,
  rstStreamFrame,
  settingsAckFrame,
  settingsFrame,
  windowUpdateFrame,
} from './testing/index.ts';

const GET = [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/'];
const POST = [':method', 'POST', ...GET.slice(2)];
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const END = { endStream: true };

function server(options: ConstructorParameters<typeof ScriptedPeer>[0] = { role: 'server' }): ScriptedPeer {
  return new ScriptedPeer(options).open();
}

/** Sends frames that end the connection; returns the code in our GOAWAY, once everything else is as it has to be. */
function connectionErrorOf(peer: ScriptedPeer, ...frames: readonly Uint8Array[]): string | undefined {
  expect(peer.send(...frames)).toBe(false);
  const code = /^GOAWAY \d+ (\w+)$/.exec(peer.recv().at(-1) ?? '')?.[1];
  expect(h2CodeName(peer.connection.error?.code ?? -1)).toBe(code);
  expect(peer.connection.isClosed).toBe(true);
  expect(peer.connection.activeStreams).toBe(0);
  expect(peer.send(pingFrame('0000000000000000'))).toBe(false);
  return code;
}

describe('connection errors', () => {
  it.each(CONNECTION_ERRORS)('%s: %s', (_, code, frames) => {
    expect(connectionErrorOf(server(), ...frames)).toBe(code);
  });

  it('no client preface', () => {
    expect(connectionErrorOf(new ScriptedPeer({ role: 'server' }), Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toBe('PROTOCOL_ERROR');
  });

  it.each([
    ['HEADERS', headersFrame(1, GET)],
    ['DATA', dataFrame(1, 'x')],
    ['SETTINGS ACK', settingsAckFrame()],
    ['an unknown type', frame(77, 0, 0)],
  ])('the first frame is %s', (_, first) => {
    expect(connectionErrorOf(new ScriptedPeer({ role: 'server' }), PREFACE, first)).toBe('PROTOCOL_ERROR');
  });

  it('HEADERS on a stream that ended', () => {
    const peer = server();
    peer.send(headersFrame(1, GET, END));
    peer.stream(1).sendHeaders([':status', '200'], true);
    expect(connectionErrorOf(peer, headersFrame(1, GET, END))).toBe('STREAM_CLOSED');
  });

  it('more data than the connection window', () => {
    const peer = server({ role: 'server', initialConnectionWindowBytes: 65_535, initialStreamWindowBytes: 1 << 20 });
    peer.send(headersFrame(1, POST));
    const quarter = Buffer.alloc(16_384);
    // Credit returns at half the window, so only what is in one chunk and beyond it can overrun.
    const strict = server({ role: 'server', initialConnectionWindowBytes: 65_535, maxFrameBytes: 1 << 20 });
    expect(connectionErrorOf(strict, headersFrame(1, POST), dataFrame(1, Buffer.alloc(65_536)))).toBe('FLOW_CONTROL_ERROR');
    expect(peer.send(dataFrame(1, quarter), dataFrame(1, quarter), dataFrame(1, quarter), dataFrame(1, quarter))).toBe(true);
  });

  it('tell every stream, once', () => {
    const peer = server();
    peer.send(headersFrame(1, POST), headersFrame(3, POST));
    peer.events();
    expect(connectionErrorOf(peer, windowUpdateFrame(0, 0))).toBe('PROTOCOL_ERROR');
    expect(peer.events()).toEqual(['1 reset PROTOCOL_ERROR by connection', '3 reset PROTOCOL_ERROR by connection']);
    peer.connection.close();
    expect(peer.events()).toEqual([]);
  });
});

describe('stream errors', () => {
  it.each(STREAM_ERRORS)('%s: %s', (_, code, frames) => {
    const peer = server();
    peer.send(headersFrame(1, POST), headersFrame(3, POST));
    peer.events();
    expect(peer.send(...frames)).toBe(true);
    expect(peer.recv()).toEqual([`RST_STREAM 1 ${code}`]);
    expect(peer.events()).toEqual([`1 reset ${code} by local`]);
    // The neighbour lives, and the dead one stays silent.
    peer.send(dataFrame(1, 'late'), dataFrame(3, 'x', END));
    expect(peer.events()).toEqual(['3 data 1 END']);
    expect(peer.connection.counters.localResets).toBe(1);
  });

  it('DATA after END_STREAM', () => {
    const peer = server();
    peer.send(headersFrame(1, GET, END), dataFrame(1, 'x'));
    expect(peer.recv()).toEqual(['RST_STREAM 1 STREAM_CLOSED']);
    expect(peer.events().at(-1)).toBe('1 reset STREAM_CLOSED by local');
  });

  it('HEADERS after END_STREAM', () => {
    const peer = server();
    peer.send(headersFrame(1, GET, END), headersFrame(1, ['t', '1'], END));
    expect(peer.recv()).toEqual(['RST_STREAM 1 STREAM_CLOSED']);
  });

  it('DATA on a stream that ended both ways', () => {
    const peer = server();
    peer.send(headersFrame(1, GET, END));
    peer.stream(1).sendHeaders([':status', '200'], true);
    peer.recv();
    expect(peer.send(dataFrame(1, 'x'))).toBe(true);
    expect(peer.recv()).toEqual(['RST_STREAM 1 STREAM_CLOSED']);
  });

  it('more data than the stream window', () => {
    const peer = server({ role: 'server', initialStreamWindowBytes: 65_535 });
    peer.autoConsume = false;
    const chunk = Buffer.alloc(16_384);
    peer.send(headersFrame(1, POST), ...Array.from({ length: 4 }, () => dataFrame(1, chunk)));
    expect(peer.recv().filter((line) => line.startsWith('RST'))).toEqual(['RST_STREAM 1 FLOW_CONTROL_ERROR']);
    expect(peer.sink(1).dataBytes).toBe(3 * 16_384);
  });
});

describe('malformed requests are reset and never shown to the owner', () => {
  it.each(MALFORMED_REQUESTS)('%s', (_, fields) => {
    const peer = server();
    // Twice: the second time by way of whatever was remembered of the first.
    for (const id of [1, 3]) {
      expect(peer.send(headersFrame(id, fields))).toBe(true);
      expect(peer.recv()).toEqual([`RST_STREAM ${id} PROTOCOL_ERROR`]);
    }
    expect(peer.events()).toEqual([]);
    expect(peer.connection.counters.malformedMessages).toBe(2);
    peer.send(dataFrame(1, 'late'), headersFrame(1, ['t', '1'], END), headersFrame(5, GET, END));
    expect(peer.events()).toHaveLength(1);
  });

  it.each(ODD_REQUESTS)('while this is fine: %s', (_, fields) => {
    const peer = server();
    peer.send(headersFrame(1, fields, END));
    expect(peer.recv()).toEqual([]);
    expect(peer.events()).toHaveLength(1);
  });
});

describe('content-length and DATA', () => {
  it.each<[string, Uint8Array[]]>([
    ['END_STREAM on HEADERS that promise data', [headersFrame(1, [...POST, 'content-length', '1'], END)]],
    ['less data', [headersFrame(1, [...POST, 'content-length', '5']), dataFrame(1, 'abcd', END)]],
    ['more data', [headersFrame(1, [...POST, 'content-length', '5']), dataFrame(1, 'abc'), dataFrame(1, 'def')]],
    [
      'less data before trailers',
      [headersFrame(1, [...POST, 'content-length', '5']), dataFrame(1, 'abcd'), headersFrame(1, ['t', '1'], END)],
    ],
    ['padding does not count', [headersFrame(1, [...POST, 'content-length', '5']), dataFrame(1, 'abcd', { endStream: true, padding: 1 })]],
  ])('disagree: %s', (_, frames) => {
    const peer = server();
    peer.send(...frames);
    expect(peer.recv()).toEqual(['RST_STREAM 1 PROTOCOL_ERROR']);
    expect(peer.events().every((line) => !line.includes('END'))).toBe(true);
  });

  it.each<[string, FieldList, string, FieldList, string[]]>([
    ['HEAD', [':method', 'HEAD', ...GET.slice(2)], '200', ['content-length', '10'], ['END']],
    ['304', GET, '304', ['content-length', '10'], ['END']],
    ['204', GET, '204', [], ['END']],
  ])('a response without content may promise any: %s', (_, request, status, fields) => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    peer.request(request, true);
    peer.send(headersFrame(1, [':status', status, ...fields], END));
    expect(peer.events()).toEqual([`1 headers :status=${status}${fields.length > 0 ? ' content-length=10' : ''} END`]);
  });

  it('a response to HEAD must not have data', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    peer.request([':method', 'HEAD', ...GET.slice(2)], true);
    peer.send(headersFrame(1, [':status', '200', 'content-length', '3']), dataFrame(1, 'abc', END));
    expect(peer.events().at(-1)).toBe('1 reset PROTOCOL_ERROR by local');
  });
});

describe('malformed responses', () => {
  it.each<[string, Uint8Array[]]>([
    ['no :status', [headersFrame(1, ['x', 'y'])]],
    [':status twice', [headersFrame(1, [':status', '200', ':status', '200'])]],
    [':status of two digits', [headersFrame(1, [':status', '20'])]],
    [':status 600', [headersFrame(1, [':status', '600'])]],
    ['101', [headersFrame(1, [':status', '101'])]],
    ['a pseudo-field of requests', [headersFrame(1, [':status', '200', ':path', '/'])]],
    ['an interim head with END_STREAM', [headersFrame(1, [':status', '100'], END)]],
    ['data before a head', [dataFrame(1, 'x')]],
    ['data after an interim head', [headersFrame(1, [':status', '103']), dataFrame(1, 'x')]],
    ['a second head', [headersFrame(1, [':status', '200']), headersFrame(1, [':status', '200'], END)]],
    ['less data than promised', [headersFrame(1, [':status', '200', 'content-length', '2'], END)]],
    ['CR LF in a value', [headersFrame(1, [':status', '200', 'a', 'b\r\nc: d'])]],
    ['connection', [headersFrame(1, [':status', '200', 'connection', 'close'])]],
  ])('%s', (_, frames) => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    peer.request(GET, true);
    peer.recv();
    expect(peer.send(...frames)).toBe(true);
    expect(peer.recv()).toEqual(['RST_STREAM 1 PROTOCOL_ERROR']);
    expect(peer.events().at(-1)).toBe('1 reset PROTOCOL_ERROR by local');
  });

  it('over the size limit', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    peer.request(GET, true);
    peer.recv();
    peer.send(headersFrame(1, [':status', '200', 'a', 'x'.repeat(16_340)]));
    expect(peer.recv()).toEqual(['RST_STREAM 1 ENHANCE_YOUR_CALM']);
  });

  it.each<[string, string, Uint8Array]>([
    ['HEADERS on a stream we did not open', 'PROTOCOL_ERROR', headersFrame(3, [':status', '200'])],
    ['HEADERS on an even stream', 'PROTOCOL_ERROR', headersFrame(2, [':status', '200'])],
    ['PUSH_PROMISE', 'PROTOCOL_ERROR', frame(5, 4, 1, Buffer.from([0, 0, 0, 2, 0x82]))],
    ['ENABLE_PUSH from a server', 'PROTOCOL_ERROR', settingsFrame([[2, 1]])],
  ])('connection error: %s: %s', (_, code, bytes) => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    peer.request(GET, true);
    expect(connectionErrorOf(peer, bytes)).toBe(code);
  });
});

describe('floods', () => {
  it('rapid reset (CVE-2023-44487): too many streams reset by the client end the connection', () => {
    const peer = server({ role: 'server', limits: { maxPeerResets: 100 } });
    let id = 1;
    for (; id < 400 && peer.send(headersFrame(id, GET, END), rstStreamFrame(id, H2_CODES.CANCEL)); id += 2);
    expect(id).toBe(201);
    expect(peer.recv()).toEqual(['GOAWAY 201 ENHANCE_YOUR_CALM']);
    expect(peer.connection.counters).toMatchObject({ peerResets: 101, floods: 1 });
  });

  it('resets spread over time are no flood', () => {
    const peer = server({ role: 'server', limits: { maxPeerResets: 10, resetWindowMs: 1000 } });
    for (let id = 1; id < 400; id += 2) {
      peer.nowMs += 200;
      expect(peer.send(headersFrame(id, GET, END), rstStreamFrame(id, H2_CODES.CANCEL))).toBe(true);
    }
  });

  it.each<[string, (id: number) => Uint8Array[]]>([
    ['WINDOW_UPDATE by zero', (id) => [headersFrame(id, GET, END), windowUpdateFrame(id, 0)]],
    ['window overflow', (id) => [headersFrame(id, GET, END), windowUpdateFrame(id, 0x7fff_ffff)]],
    ['DATA after END_STREAM', (id) => [headersFrame(id, GET, END), dataFrame(id, 'x')]],
    ['HEADERS after END_STREAM', (id) => [headersFrame(id, GET, END), headersFrame(id, GET, END)]],
    ['PRIORITY of a wrong size', (id) => [headersFrame(id, GET, END), frame(2, 0, id, Buffer.alloc(1))]],
    ['content-length mismatch', (id) => [headersFrame(id, [...POST, 'content-length', '1']), dataFrame(id, 'xx')]],
    ['malformed requests', (id) => [headersFrame(id, ['x', 'y'], END)]],
  ])('MadeYouReset (CVE-2025-8671): being made to reset too many streams ends the connection: %s', (_, attack) => {
    const peer = server({ role: 'server', limits: { maxLocalResets: 50 } });
    let id = 1;
    for (; id < 400 && peer.send(...attack(id)); id += 2);
    expect(id).toBe(101);
    expect(peer.recv().at(-1)).toBe('GOAWAY 101 ENHANCE_YOUR_CALM');
    expect(peer.connection.counters).toMatchObject({ localResets: 51, floods: 1 });
  });

  it.each<[string, Uint8Array]>([
    ['empty', Buffer.alloc(0)],
    ['full', fieldBlock(['x', 'y'.repeat(1000)])],
  ])('CONTINUATION flood (CVE-2024-27316 and others): frames that are %s', (_, block) => {
    const peer = server();
    expect(peer.send(headersFrame(1, GET, { endHeaders: false }))).toBe(true);
    let count = 0;
    for (; count < 100 && peer.send(continuationFrame(1, block, false)); count++);
    expect(count).toBe(8);
    expect(peer.recv()).toEqual(['GOAWAY 0 ENHANCE_YOUR_CALM']);
  });

  it('a header bomb of tiny indexed fields is counted, not kept (CVE-2026-47774)', () => {
    const peer = server();
    // 16,000 fields of one octet each, twice the list limit 40 times over.
    const bomb = Buffer.concat([fieldBlock(GET), Buffer.alloc(16_000, 0x90)]);
    expect(peer.send(blockFrame(1, bomb, END))).toBe(true);
    expect(peer.recv()).toEqual(['HEADERS 1 END_STREAM :status=431 content-length=0']);
    expect(peer.events()).toEqual([]);
    expect(peer.connection.counters.oversizedSections).toBe(1);
  });

  it('a bomb of one large table entry (CVE-2016-6581) is stopped by the list size', () => {
    const peer = server();
    const entry = Buffer.concat([Buffer.from([0x40]), literal('big'), literal('v'.repeat(4000))]);
    expect(peer.send(blockFrame(1, Buffer.concat([fieldBlock(GET), entry, Buffer.alloc(10_000, 0xbe)]), END))).toBe(true);
    expect(peer.recv()).toEqual(['HEADERS 1 END_STREAM :status=431 content-length=0']);
  });

  it('more fields than allowed answer 431, cookie crumbs included', () => {
    const peer = server({ role: 'server', maxHeaderListBytes: 1 << 20, limits: { maxFieldCount: 50 } });
    const crumbs = Array.from({ length: 47 }, (_, i) => ['cookie', `c${i}=1`]).flat();
    peer.send(headersFrame(1, [...GET, ...crumbs.slice(2)], END), headersFrame(3, [...GET, ...crumbs], END));
    expect(peer.recv()).toEqual(['HEADERS 3 END_STREAM :status=431 content-length=0']);
    expect(peer.connection.activeStreams).toBe(1);
  });

  it('a head over the limit with a body to come gets 431 and RST_STREAM, and the body is ignored', () => {
    const peer = server();
    peer.send(headersFrame(1, [...POST, 'cookie', 'c'.repeat(16_300)]), dataFrame(1, 'body'), dataFrame(1, 'more', END));
    expect(peer.recv()).toEqual(['HEADERS 1 END_STREAM :status=431 content-length=0', 'RST_STREAM 1 NO_ERROR']);
    expect(peer.events()).toEqual([]);
    peer.send(headersFrame(3, GET, END));
    expect(peer.events()).toHaveLength(1);
  });

  it('one field of many frames gets 431 without being held', () => {
    const peer = server();
    const block = fieldBlock([...GET, 'cookie', 'c'.repeat(60_000)]);
    peer.send(
      blockFrame(1, block.subarray(0, 16_000), { endStream: true, endHeaders: false }),
      continuationFrame(1, block.subarray(16_000, 32_000), false),
      continuationFrame(1, block.subarray(32_000, 48_000), false),
      continuationFrame(1, block.subarray(48_000), true),
    );
    expect(peer.recv()).toEqual(['HEADERS 1 END_STREAM :status=431 content-length=0']);
    peer.send(headersFrame(3, GET, END));
    expect(peer.events()).toHaveLength(1);
  });

  it.each<[string, Uint8Array, number]>([
    ['PING', pingFrame('0000000000000001'), 1],
    ['PING ACK', pingFrame('0000000000000001', true), 1],
    ['SETTINGS', settingsFrame(), 50],
    ['SETTINGS ACK', settingsAckFrame(), 1],
    ['PRIORITY', priorityFrame(1), 1],
    ['unknown types', frame(200, 0, 0, Buffer.alloc(3)), 1],
    ['RST_STREAM on closed streams', rstStreamFrame(1, 0), 1],
  ])('of %s end the connection', (_, bytes, weight) => {
    const peer = server({ role: 'server', limits: { maxControlFrames: 1000 } });
    peer.send(headersFrame(1, GET, END));
    peer.stream(1).sendHeaders([':status', '200'], true);
    let count = 0;
    for (; count < 5000 && peer.send(bytes); count++) peer.takeBytes();
    // The handshake took a share of the allowance.
    expect(count).toBeGreaterThanOrEqual((1000 - 51) / weight - 1);
    expect(count).toBeLessThanOrEqual(1000 / weight);
    expect(peer.connection.error?.code).toBe(H2_CODES.ENHANCE_YOUR_CALM);
  });

  it('answers that the peer does not read are bounded', () => {
    const peer = server();
    peer.connection.isBlocked = true;
    let count = 0;
    for (; count < 100_000 && peer.send(pingFrame('0000000000000001')); count++) peer.connection.flush();
    expect(peer.takeBytes().length).toBeLessThan(66_000);
    expect(peer.connection.error?.code).toBe(H2_CODES.ENHANCE_YOUR_CALM);
  });

  it('of empty DATA frames end the connection, padded or not', () => {
    for (const options of [{}, { padding: 0 }, { padding: 255 }]) {
      const peer = server();
      peer.send(headersFrame(1, POST));
      let count = 0;
      for (; count < 1000 && peer.send(dataFrame(1, '', options)); count++);
      expect(count).toBe(100);
      expect(peer.recv().at(-1)).toBe('GOAWAY 1 ENHANCE_YOUR_CALM');
    }
  });

  it('empty DATA between full ones is no flood', () => {
    const peer = server();
    peer.send(headersFrame(1, POST));
    for (let i = 0; i < 1000; i++) expect(peer.send(dataFrame(1, ''), dataFrame(1, 'x'))).toBe(true);
  });

  it('of interim heads end the stream', () => {
    const peer = new ScriptedPeer({ role: 'client', limits: { maxInterimHeads: 10 } }).open();
    peer.request(GET, true);
    peer.recv();
    for (let i = 0; i < 20; i++) expect(peer.send(headersFrame(1, [':status', '103']))).toBe(true);
    expect(peer.recv()).toEqual(['RST_STREAM 1 ENHANCE_YOUR_CALM']);
    expect(peer.events()).toHaveLength(11);
  });

  it('of small DATA frames end the connection', () => {
    const peer = server({ role: 'server', limits: { maxSmallDataFrames: 1000 } });
    peer.send(headersFrame(1, POST));
    let count = 0;
    for (; count < 5000 && peer.send(dataFrame(1, 'x')); count++);
    expect(count).toBe(1000);
    expect(peer.recv().at(-1)).toBe('GOAWAY 1 ENHANCE_YOUR_CALM');
  });
});

describe('limits of streams', () => {
  it('a stream above the announced maximum is refused, and later ones are served', () => {
    const peer = server({ role: 'server', maxConcurrentStreams: 2 });
    peer.send(headersFrame(1, GET, END), headersFrame(3, GET, END), headersFrame(5, POST), dataFrame(5, 'x', END));
    expect(peer.recv()).toEqual(['RST_STREAM 5 REFUSED_STREAM']);
    expect(peer.events()).toHaveLength(2);
    peer.stream(1).sendHeaders([':status', '200'], true);
    peer.recv();
    peer.send(headersFrame(7, GET, END));
    expect(peer.recv()).toEqual([]);
    expect(peer.connection.counters.refusedStreams).toBe(1);
  });

  it('a maximum holds also where none is announced', () => {
    const peer = server({ role: 'server', limits: { maxConcurrentStreams: 1 } });
    peer.send(headersFrame(1, GET, END), headersFrame(3, GET, END));
    expect(peer.recv()).toEqual(['RST_STREAM 3 REFUSED_STREAM']);
  });

  it('heads held by open streams are bounded together (CVE-2026-47774)', () => {
    const peer = server({ role: 'server', limits: { maxOpenHeadBytes: 10_000 } });
    const fields = [...GET, 'x', 'y'.repeat(3000)];
    for (let id = 1; id < 20; id += 2) peer.send(headersFrame(id, fields, END));
    expect(peer.connection.activeStreams).toBe(4);
    expect(peer.recv()[0]).toBe('RST_STREAM 9 REFUSED_STREAM');
    for (const id of [1, 3]) peer.stream(id).sendHeaders([':status', '200'], true);
    peer.recv();
    peer.send(headersFrame(21, fields, END));
    expect(peer.recv()).toEqual([]);
  });

  it('before the SETTINGS of a server, a client opens no more than a hundred', () => {
    const peer = new ScriptedPeer({ role: 'client' });
    while (peer.request(GET, true) !== undefined);
    expect(peer.connection.activeStreams).toBe(100);
    peer.send(settingsFrame());
    expect(peer.connection.canRequest).toBe(true);
  });

  it('a client that cancelled very many streams ignores what still comes on any of them', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open();
    for (let i = 0; i < 5000; i++) peer.request(GET, true)?.reset(H2_CODES.CANCEL);
    peer.recv();
    for (const id of [1, 3, 4999, 9999]) {
      expect(peer.send(headersFrame(id, [':status', '200']), dataFrame(id, 'x'), rstStreamFrame(id, 0), windowUpdateFrame(id, 1))).toBe(
        true,
      );
    }
    expect(peer.recv()).toEqual([]);
    expect(peer.events()).toEqual([]);
  });

  it('a reset stream makes room at once', () => {
    const peer = server({ role: 'server', maxConcurrentStreams: 1 });
    peer.send(headersFrame(1, POST), rstStreamFrame(1, 8), headersFrame(3, POST));
    expect(peer.recv()).toEqual([]);
    expect(peer.connection.activeStreams).toBe(1);
  });

  it('identifiers run out without wrapping', () => {
    const peer = server();
    expect(peer.send(headersFrame(0x7fff_ffff, GET, END))).toBe(true);
    expect(connectionErrorOf(peer, headersFrame(1, GET, END))).toBe('PROTOCOL_ERROR');
  });
});

describe('streams that are over', () => {
  it('zombie HEADERS on a stream we reset never reach its owner (CVE-2026-26311)', () => {
    const peer = server();
    peer.send(headersFrame(1, POST));
    peer.stream(1).reset(H2_CODES.CANCEL);
    peer.events();
    expect(peer.send(headersFrame(1, ['t', '1'], END), headersFrame(1, GET), dataFrame(1, 'x'))).toBe(true);
    expect(peer.events()).toEqual([]);
    expect(peer.recv()).toEqual(['RST_STREAM 1 CANCEL']);
  });

  it('their field blocks still count for the compression state', () => {
    const peer = server();
    peer.send(headersFrame(1, POST));
    peer.stream(1).reset(H2_CODES.CANCEL);
    peer.send(blockFrame(1, Buffer.concat([Buffer.from([0x40]), literal('k'), literal('v')]), END));
    peer.events();
    peer.send(blockFrame(3, Buffer.concat([fieldBlock(GET), Buffer.from([0xbe])]), END));
    expect(peer.events()).toEqual(['3 request :method=GET :scheme=http :authority=a :path=/ k=v END']);
  });

  it('RST_STREAM after END_STREAM reaches the owner while the response is under way, and nobody afterwards', () => {
    const peer = server();
    peer.send(headersFrame(1, GET, END), rstStreamFrame(1, H2_CODES.CANCEL), rstStreamFrame(1, H2_CODES.CANCEL));
    expect(peer.events().slice(1)).toEqual(['1 reset CANCEL by peer']);
    expect(peer.connection.activeStreams).toBe(0);
  });

  it('RST_STREAM with GOAWAY leaves nothing behind (CVE-2023-35945)', () => {
    const peer = new ScriptedPeer({ role: 'client' }).open([[4, 0]]);
    for (let i = 0; i < 10; i++) peer.request(POST, false)?.sendData(Buffer.alloc(1000), 0, 1000, true);
    peer.send(rstStreamFrame(1, 8), goawayFrame(5, 0), rstStreamFrame(3, 8), rstStreamFrame(7, 8), goawayFrame(0, 0));
    expect(peer.connection.activeStreams).toBe(0);
    expect(peer.events().filter((line) => line.includes('reset'))).toHaveLength(10);
  });

  it('closing very many streams does not take time by their square (CVE-2021-32778)', () => {
    // Were any step linear in the number of streams, these billions of steps would outlast the test's time.
    const count = 100_000;
    const peer = new ScriptedPeer({ role: 'client' }).open([[4, 0]]);
    const chunk = Buffer.alloc(10);
    for (let i = 0; i < count; i++) peer.request(POST, false)?.sendData(chunk, 0, 10, true);
    peer.send(settingsFrame([[4, 5]]));
    peer.recv();
    for (let id = 1; id < count; id += 4) peer.stream(id).reset(H2_CODES.CANCEL);
    for (let id = 3; id < count; id += 4) peer.send(rstStreamFrame(id, H2_CODES.CANCEL));
    peer.send(goawayFrame(count, 0));
    peer.connection.close();
    expect(peer.connection.activeStreams).toBe(0);
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * What a broken or hostile client may send, as data: for the tests of this package, for comparing it with other servers, and
 * for whoever puts it behind a socket. Each begins after preface and SETTINGS.
 */
import { Buffer } from 'node:buffer';
import type { FieldList } from '@weft/bytes';
import {
  blockFrame,
  continuationFrame,
  dataFrame,
  frame,
  headersFrame,
  priorityFrame,
  rstStreamFrame,
  settingsFrame,
  windowUpdateFrame,
} from './frames.ts';

const GET = [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/'];
const POST = [':method', 'POST', ...GET.slice(2)];
const END = { endStream: true };

/** Name, RFC 9113 §7 code of the connection error they cause, frames. */
export const CONNECTION_ERRORS: readonly (readonly [string, string, readonly Uint8Array[]])[] = [
  ['a frame longer than announced', 'FRAME_SIZE_ERROR', [frame(0, 0, 1, Buffer.alloc(0), 16_385)]],
  ['HEADERS on stream 0', 'PROTOCOL_ERROR', [headersFrame(0, GET)]],
  ['DATA on stream 0', 'PROTOCOL_ERROR', [dataFrame(0, 'x')]],
  ['DATA on an idle stream', 'PROTOCOL_ERROR', [dataFrame(1, 'x')]],
  ['RST_STREAM on an idle stream', 'PROTOCOL_ERROR', [rstStreamFrame(1, 0)]],
  ['RST_STREAM on stream 0', 'PROTOCOL_ERROR', [rstStreamFrame(0, 0)]],
  ['WINDOW_UPDATE on an idle stream', 'PROTOCOL_ERROR', [windowUpdateFrame(1, 1)]],
  ['WINDOW_UPDATE by zero on the connection', 'PROTOCOL_ERROR', [windowUpdateFrame(0, 0)]],
  ['the connection window overflowing', 'FLOW_CONTROL_ERROR', [windowUpdateFrame(0, 0x7fff_ffff)]],
  ['WINDOW_UPDATE of a wrong size', 'FRAME_SIZE_ERROR', [frame(8, 0, 0, Buffer.alloc(5))]],
  ['RST_STREAM of a wrong size', 'FRAME_SIZE_ERROR', [headersFrame(1, POST), frame(3, 0, 1, Buffer.alloc(3))]],
  ['PING of a wrong size', 'FRAME_SIZE_ERROR', [frame(6, 0, 0, Buffer.alloc(7))]],
  ['PING on a stream', 'PROTOCOL_ERROR', [frame(6, 0, 1, Buffer.alloc(8))]],
  ['SETTINGS of a wrong size', 'FRAME_SIZE_ERROR', [frame(4, 0, 0, Buffer.alloc(5))]],
  ['SETTINGS on a stream', 'PROTOCOL_ERROR', [frame(4, 0, 1)]],
  ['SETTINGS ACK with a payload', 'FRAME_SIZE_ERROR', [frame(4, 1, 0, Buffer.alloc(6))]],
  ['ENABLE_PUSH of 2', 'PROTOCOL_ERROR', [settingsFrame([[2, 2]])]],
  ['an initial window above 2^31 - 1', 'FLOW_CONTROL_ERROR', [settingsFrame([[4, 0x8000_0000]])]],
  ['a maximum frame size too small', 'PROTOCOL_ERROR', [settingsFrame([[5, 16_383]])]],
  ['a maximum frame size too large', 'PROTOCOL_ERROR', [settingsFrame([[5, 0x100_0000]])]],
  [
    'an initial window that makes a stream overflow',
    'FLOW_CONTROL_ERROR',
    [headersFrame(1, POST), windowUpdateFrame(1, 0x7fff_0000), settingsFrame([[4, 0x7fff_ffff]])],
  ],
  ['GOAWAY on a stream', 'PROTOCOL_ERROR', [frame(7, 0, 1, Buffer.alloc(8))]],
  ['GOAWAY of a wrong size', 'FRAME_SIZE_ERROR', [frame(7, 0, 0, Buffer.alloc(7))]],
  ['PRIORITY on stream 0', 'PROTOCOL_ERROR', [priorityFrame(0)]],
  ['PUSH_PROMISE', 'PROTOCOL_ERROR', [frame(5, 4, 1, Buffer.from([0, 0, 0, 2]))]],
  ['CONTINUATION without HEADERS', 'PROTOCOL_ERROR', [continuationFrame(1, Buffer.alloc(1), true)]],
  ['CONTINUATION on stream 0', 'PROTOCOL_ERROR', [continuationFrame(0, Buffer.alloc(1), true)]],
  ['a frame inside a field block', 'PROTOCOL_ERROR', [headersFrame(1, GET, { endHeaders: false }), dataFrame(1, 'x')]],
  ['an unknown frame inside a field block', 'PROTOCOL_ERROR', [headersFrame(1, GET, { endHeaders: false }), frame(99, 0, 1)]],
  [
    'CONTINUATION of another stream',
    'PROTOCOL_ERROR',
    [headersFrame(1, GET, { endHeaders: false }), continuationFrame(3, Buffer.alloc(0), true)],
  ],
  ['an even stream', 'PROTOCOL_ERROR', [headersFrame(2, GET, END)]],
  ['a stream below the last one', 'PROTOCOL_ERROR', [headersFrame(5, GET, END), headersFrame(3, GET, END)]],
  ['a field block that cannot be decoded', 'COMPRESSION_ERROR', [blockFrame(1, Buffer.from([0xff]), END)]],
  ['padding of HEADERS beyond the frame', 'PROTOCOL_ERROR', [frame(1, 0x0d, 1, Buffer.from([9, 0x82]))]],
  ['padded HEADERS without pad length', 'FRAME_SIZE_ERROR', [frame(1, 0x0d, 1)]],
  ['HEADERS too short for their priority', 'FRAME_SIZE_ERROR', [frame(1, 0x25, 1, Buffer.alloc(4))]],
  ['padding of DATA as long as the frame', 'PROTOCOL_ERROR', [headersFrame(1, POST), frame(0, 8, 1, Buffer.from([2, 0]))]],
  ['padded DATA without pad length', 'FRAME_SIZE_ERROR', [headersFrame(1, POST), frame(0, 8, 1)]],
];

/** The same for stream errors: sent after the head of a POST on stream 1, which they end. */
export const STREAM_ERRORS: readonly (readonly [string, string, readonly Uint8Array[]])[] = [
  ['WINDOW_UPDATE by zero', 'PROTOCOL_ERROR', [windowUpdateFrame(1, 0)]],
  ['the stream window overflowing', 'FLOW_CONTROL_ERROR', [windowUpdateFrame(1, 0x7fff_ffff)]],
  ['PRIORITY of a wrong size', 'FRAME_SIZE_ERROR', [frame(2, 0, 1, Buffer.alloc(4))]],
  ['trailers without END_STREAM', 'PROTOCOL_ERROR', [headersFrame(1, ['t', '1'])]],
  ['trailers with a pseudo-field', 'PROTOCOL_ERROR', [headersFrame(1, [':path', '/'], END)]],
  ['trailers with content-length', 'PROTOCOL_ERROR', [headersFrame(1, ['content-length', '0'], END)]],
  ['trailers with host', 'PROTOCOL_ERROR', [headersFrame(1, ['host', 'b'], END)]],
  ['trailers with an upper-case name', 'PROTOCOL_ERROR', [headersFrame(1, ['T', '1'], END)]],
  ['trailers over the size limit', 'ENHANCE_YOUR_CALM', [headersFrame(1, ['t', 'x'.repeat(16_352)], END)]],
];

/** Requests that are malformed (RFC 9113 §8.1.1): a stream error PROTOCOL_ERROR. */
export const MALFORMED_REQUESTS: readonly (readonly [string, FieldList])[] = [
  ['no fields', []],
  ['no :method', GET.slice(2)],
  ['no :scheme', [':method', 'GET', ':path', '/']],
  ['no :path', [':method', 'GET', ':scheme', 'http']],
  [':method twice', [':method', 'GET', ...GET]],
  [':path twice', [...GET, ':path', '/b']],
  ['a pseudo-field after a field', [':method', 'GET', 'x', 'y', ':scheme', 'http', ':path', '/']],
  ['a pseudo-field of responses', [...GET, ':status', '200']],
  ['an unknown pseudo-field', [...GET, ':other', 'x']],
  [':protocol, which was not offered', [...GET, ':protocol', 'websocket']],
  ['an empty :path', [':method', 'GET', ':scheme', 'http', ':path', '']],
  ['a :path without slash', [':method', 'GET', ':scheme', 'http', ':path', 'a']],
  ['an absolute :path', [':method', 'GET', ':scheme', 'http', ':path', 'http://a/']],
  ['* for a method other than OPTIONS', [':method', 'GET', ':scheme', 'http', ':path', '*']],
  ['a fragment in :path', [':method', 'GET', ':scheme', 'http', ':path', '/a#b']],
  ['a space in :path', [':method', 'GET', ':scheme', 'http', ':path', '/a b']],
  ['CR LF in :path', [':method', 'GET', ':scheme', 'http', ':path', '/ HTTP/1.1\r\nx: y']],
  ['a space in :method', [':method', 'GET /', ':scheme', 'http', ':path', '/']],
  ['an empty :method', [':method', '', ':scheme', 'http', ':path', '/']],
  ['a bad :scheme', [':method', 'GET', ':scheme', 'ht tp', ':path', '/']],
  ['an empty :authority', [':method', 'GET', ':scheme', 'http', ':authority', '', ':path', '/']],
  ['userinfo in :authority', [':method', 'GET', ':scheme', 'http', ':authority', 'u@a', ':path', '/']],
  ['a path in :authority', [':method', 'GET', ':scheme', 'http', ':authority', 'a/b', ':path', '/']],
  ['host twice', [...GET, 'host', 'a', 'host', 'b']],
  ['CONNECT with :path', [':method', 'CONNECT', ':authority', 'a:1', ':path', '/']],
  ['CONNECT with :scheme', [':method', 'CONNECT', ':authority', 'a:1', ':scheme', 'http']],
  ['CONNECT without :authority', [':method', 'CONNECT']],
  ['an upper-case name', [...GET, 'X-Up', '1']],
  ['an empty name', [...GET, '', '1']],
  ['a space in a name', [...GET, 'a b', '1']],
  ['a colon in a name', [...GET, 'a:b', '1']],
  ['CR in a name', [...GET, 'a\rb', '1']],
  ['a high octet in a name', [...GET, 'a\xffb', '1']],
  ['CR LF in a value', [...GET, 'a', 'b\r\nc: d']],
  ['LF in a value', [...GET, 'a', 'b\nc']],
  ['NUL in a value', [...GET, 'a', 'b\0c']],
  ['DEL in a value', [...GET, 'a', 'b\x7fc']],
  ['connection', [...GET, 'connection', 'close']],
  ['keep-alive', [...GET, 'keep-alive', '5']],
  ['proxy-connection', [...GET, 'proxy-connection', 'close']],
  ['transfer-encoding', [...GET, 'transfer-encoding', 'chunked']],
  ['upgrade', [...GET, 'upgrade', 'h2c']],
  ['te other than trailers', [...GET, 'te', 'trailers, gzip']],
  ['content-length that is no number', [...GET, 'content-length', '+5']],
  ['content-length as a list', [...GET, 'content-length', '5, 5']],
  ['an empty content-length', [...GET, 'content-length', '']],
  ['a negative content-length', [...GET, 'content-length', '-1']],
  ['content-length beyond 2^53', [...GET, 'content-length', '9007199254740993']],
  ['content-length beyond 2^64', [...GET, 'content-length', '18446744073709551616']],
  ['content-length twice', [...GET, 'content-length', '5', 'content-length', '5']],
];

/** Requests that look odd and have to pass. */
export const ODD_REQUESTS: readonly (readonly [string, FieldList])[] = [
  ['no :authority but host', [':method', 'GET', ':scheme', 'http', ':path', '/', 'host', 'a']],
  ['neither :authority nor host', [':method', 'GET', ':scheme', 'http', ':path', '/']],
  ['OPTIONS *', [':method', 'OPTIONS', ':scheme', 'http', ':authority', 'a', ':path', '*']],
  ['CONNECT', [':method', 'CONNECT', ':authority', 'a:443']],
  ['te: trailers', [...GET, 'te', 'trailers']],
  ['a tab and high octets in a value', [...GET, 'a', 'b\tc\xff']],
  ['whitespace around a value', [...GET, 'a', ' b ']],
  ['a path of odd characters', [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/%2e%2e//;a=\\|"{}?\xe9']],
  ['an IPv6 authority', [':method', 'GET', ':scheme', 'http', ':authority', '[::1]:80', ':path', '/']],
];

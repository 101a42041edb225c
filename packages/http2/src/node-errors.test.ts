// SPDX-License-Identifier: Apache-2.0
/*
 * How a server of ours and one of `node:http2` (nghttp2) answer the same bad input. Where they differ, DIFFERENCES.md says why,
 * and this test holds that list to be exact: a difference not listed fails, and so does one listed that is none.
 */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import * as http2 from 'node:http2';
import { connect } from 'node:net';
import type { FieldList } from '@weft/bytes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { portOf } from '../interop/socket-driver.ts';
import { h2CodeName } from './codes.ts';
import { FRAME_GOAWAY, FRAME_HEADERS, FRAME_RST_STREAM, readUint32 } from './frame/frame-header.ts';
import {
  CONNECTION_ERRORS,
  type FrameRecord,
  MALFORMED_REQUESTS,
  ODD_REQUESTS,
  STREAM_ERRORS,
  ScriptedPeer,
  headersFrame,
  parseFrames,
  settingsAckFrame,
  settingsFrame,
} from './testing/index.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const POST = [':method', 'POST', ':scheme', 'http', ':authority', 'a', ':path', '/'];
/** A good request behind the bad input: its answer says that the connection lives. */
const PROBE_STREAM = 101;
const PROBE = headersFrame(PROBE_STREAM, [':method', 'GET', ...POST.slice(2)], { endStream: true });

/** The first thing that a server said about stream 1 or the connection, once the probe was answered or the connection over. */
function outcomeOf(frames: readonly FrameRecord[]): string | undefined {
  for (const { type, streamId, payload } of frames) {
    if (type === FRAME_RST_STREAM && streamId === 1) return `RST_STREAM ${h2CodeName(readUint32(payload, 0))}`;
    if (type === FRAME_GOAWAY) return `GOAWAY ${h2CodeName(readUint32(payload, 4))}`;
    if (type === FRAME_HEADERS && streamId === PROBE_STREAM) return 'accepted';
  }
  return undefined;
}

function ourOutcome(input: readonly Uint8Array[]): string {
  const peer = new ScriptedPeer({ role: 'server' });
  const answer = (id: number): void => peer.streams.get(id)?.sendHeaders([':status', '200'], true);
  if (peer.send(PREFACE, settingsFrame(), settingsAckFrame(), ...input)) {
    peer.send(PROBE);
    answer(PROBE_STREAM);
  }
  peer.connection.flush();
  return outcomeOf(parseFrames(peer.takeBytes())) ?? 'nothing';
}

let server: http2.Http2Server;

beforeAll(async () => {
  server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on('error', () => {});
    if (stream.id === PROBE_STREAM || headers['x-answer'] !== undefined) stream.respond({ ':status': 200 }, { endStream: true });
  });
  server.on('sessionError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(() => server.close());

async function nodeOutcome(input: readonly Uint8Array[]): Promise<string> {
  const socket = connect(portOf(server), '127.0.0.1');
  let received = Buffer.alloc(0);
  const outcome = await new Promise<string>((resolve) => {
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, Buffer.from(chunk)]);
      const whole = wholeFrames(received);
      const said = outcomeOf(whole);
      if (said !== undefined) resolve(said);
    });
    socket.on('error', () => resolve('closed'));
    socket.on('close', () => resolve('closed'));
    socket.write(Buffer.concat([PREFACE, settingsFrame(), settingsAckFrame(), ...input, PROBE]));
  });
  socket.destroy();
  return outcome;
}

/** The frames in `bytes` that are complete. */
function wholeFrames(bytes: Buffer): FrameRecord[] {
  let end = 0;
  while (end + 9 <= bytes.length && end + 9 + bytes.readUIntBE(end, 3) <= bytes.length) end += 9 + bytes.readUIntBE(end, 3);
  return parseFrames(bytes.subarray(0, end));
}

const CASES: readonly (readonly [string, readonly Uint8Array[]])[] = [
  ...CONNECTION_ERRORS.map(([name, , frames]) => [`connection: ${name}`, frames] as const),
  ...STREAM_ERRORS.map(([name, , frames]) => [`stream: ${name}`, [headersFrame(1, POST), ...frames]] as const),
  ...MALFORMED_REQUESTS.map(([name, fields]) => [`request: ${name}`, [requestOf(fields)]] as const),
  ...ODD_REQUESTS.map(([name, fields]) => [`odd: ${name}`, [requestOf(fields)]] as const),
];

function requestOf(fields: FieldList): Buffer {
  return headersFrame(1, fields, { endStream: !fields.includes('content-length') });
}

/** Rows `| case | ours | node | why |` of DIFFERENCES.md. */
const LISTED: ReadonlyMap<string, string> = new Map(
  readFileSync(new URL('../DIFFERENCES.md', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => /^\| (connection|stream|request|odd): /.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, name, ours, node]) => [name as string, `${ours} / ${node}`]),
);

describe('bad input', () => {
  it.each(CASES)('%s', async (name, frames) => {
    const ours = ourOutcome(frames);
    const node = await nodeOutcome(frames);
    const found = ours === node ? undefined : `${ours} / ${node}`;
    expect(found).toBe(LISTED.get(name));
  });

  it('and the list of differences names no case that is not tested', () => {
    const names = new Set(CASES.map(([name]) => name));
    expect([...LISTED.keys()].filter((name) => !names.has(name))).toEqual([]);
  });
});

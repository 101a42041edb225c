// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { netCounters } from '@weft/net';
import { MetricRegistry } from '@weft/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { ControlFamilies } from '../metrics/control-metrics.ts';
import type { Clock } from '../runtime.ts';
import { REAL_CLOCK } from '../testing/mesh-pair.ts';
import {
  GRPC_CANCELLED,
  GRPC_INTERNAL,
  GRPC_NOT_FOUND,
  GRPC_OK,
  GRPC_UNAVAILABLE,
  GRPC_UNKNOWN,
  type GrpcCall,
  GrpcChannel,
} from './grpc-client.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

type OnStream = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

/** A gRPC server as node:http2 has it, and its sessions. */
async function serve(onStream: OnStream, port = 0) {
  const server = http2.createServer();
  const sessions: http2.ServerHttp2Session[] = [];
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on('error', () => {});
    onStream(stream, headers);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    for (const session of sessions) session.destroy();
    server.close();
  };
  closing.push(close);
  return { port: (server.address() as AddressInfo).port, sessions, close };
}

function channelTo(
  port: number,
  options: { clock?: Clock; resolve?: () => number; addresses?: readonly { ip: string; port: number }[] } = {},
) {
  const registry = new MetricRegistry();
  const address = { host: '127.0.0.1', port, identity: undefined };
  const channel = new GrpcChannel({
    address,
    identity: { name: 'x', serverName: 'x', tls: undefined },
    clock: options.clock ?? REAL_CLOCK,
    backoff: { minMs: 20, maxMs: 100, jitterRatio: 0 },
    connectTimeoutMs: 1000,
    keepAliveMs: undefined,
    userTimeoutMs: undefined,
    metrics: new ControlFamilies(registry).channel(address, 'destination', 30_000),
    resolve: (onResolved) => onResolved(options.addresses ?? [{ ip: '127.0.0.1', port: options.resolve?.() ?? port }]),
    log: { debug: () => {}, warn: () => {} },
  });
  closing.push(() => channel.close());
  return { channel, registry };
}

interface Result {
  readonly messages: string[];
  status: number | undefined;
  text: string;
  readonly call: GrpcCall;
}

function call(channel: GrpcChannel, request = 'hi'): Result {
  const result: { -readonly [Key in keyof Result]: Result[Key] } = {
    messages: [],
    status: undefined,
    text: '',
    call: { cancel: () => {} },
  };
  result.call = channel.call('/pkg.Service/Method', Buffer.from(request), {
    onMessage: (message) => void result.messages.push(Buffer.from(message).toString('latin1')),
    onEnd: (status, text) => {
      result.status = status;
      result.text = text;
    },
  });
  return result;
}

const framed = (text: string, flag = 0): Buffer => {
  const body = Buffer.from(text, 'latin1');
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
};

/** Answers with these bytes, in these pieces, then a status. */
function answer(stream: http2.ServerHttp2Stream, pieces: readonly Buffer[], trailers?: http2.OutgoingHttpHeaders): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: trailers !== undefined });
  if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  for (const piece of pieces) stream.write(piece);
  stream.end();
}

const ended = async (result: Result): Promise<number> => {
  await expect.poll(() => result.status).toBeDefined();
  return result.status as number;
};

describe('a channel to the control plane', () => {
  it('makes calls as gRPC asks for, and reads the answer', async () => {
    let seen: http2.IncomingHttpHeaders = {};
    let body = '';
    const { port } = await serve((stream, headers) => {
      seen = headers;
      stream.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
      stream.on('end', () => answer(stream, [framed('one')], { 'grpc-status': '0' }));
    });
    const { channel, registry } = channelTo(port);
    const result = call(channel, 'hello');
    expect(await ended(result)).toBe(GRPC_OK);
    expect(result.messages).toEqual(['one']);
    expect(seen).toMatchObject({
      ':method': 'POST',
      ':scheme': 'http',
      ':path': '/pkg.Service/Method',
      ':authority': `127.0.0.1:${port}`,
      te: 'trailers',
      'content-type': 'application/grpc',
    });
    expect(body).toBe(framed('hello').toString('latin1'));
    expect(registry.render()).toMatch(
      /control_response_total\{addr="127.0.0.1:\d+",tls="no_identity",no_tls_reason="loopback",status_code="200",classification="success",grpc_status="0",error=""\} 1/,
    );
  });

  it('reads messages however they are cut and joined', async () => {
    const all = Buffer.concat([framed('a'), framed(''), framed('b'.repeat(100_000)), framed('c')]);
    for (const size of [1, 4, 5, 6, 9000, all.length]) {
      if (size === 1 && all.length > 1000) continue;
      const pieces: Buffer[] = [];
      for (let at = 0; at < all.length; at += size) pieces.push(all.subarray(at, at + size));
      if (pieces.length > 30_000) continue;
      const { port } = await serve((stream) => answer(stream, pieces, { 'grpc-status': '0' }));
      const result = call(channelTo(port).channel);
      expect(await ended(result)).toBe(GRPC_OK);
      expect(result.messages.map((message) => message.length)).toEqual([1, 0, 100_000, 1]);
    }
  });

  it('reads a message of megabytes without joining it again and again', async () => {
    const big = framed('x'.repeat(8_000_000));
    const { port } = await serve((stream) => answer(stream, [big], { 'grpc-status': '0' }));
    const result = call(channelTo(port).channel);
    expect(await ended(result)).toBe(GRPC_OK);
    expect(result.messages[0]).toHaveLength(8_000_000);
  });

  it.each<[string, OnStream, number, string]>([
    ['trailers', (stream) => answer(stream, [], { 'grpc-status': '5', 'grpc-message': 'not%20here' }), GRPC_NOT_FOUND, 'not here'],
    [
      'a head alone',
      (stream) =>
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5', 'grpc-message': '100%' },
          { endStream: true },
        ),
      GRPC_NOT_FOUND,
      '100%',
    ],
    ['no status', (stream) => answer(stream, [framed('x')]), GRPC_UNKNOWN, 'stream ended without status'],
    ['a status that is no number', (stream) => answer(stream, [], { 'grpc-status': 'x' }), GRPC_UNKNOWN, ''],
    ['HTTP 503', (stream) => stream.respond({ ':status': 503 }, { endStream: true }), GRPC_UNKNOWN, 'HTTP status 503'],
    ['a reset', (stream) => stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM), GRPC_UNAVAILABLE, 'stream was reset (HTTP/2 code 11)'],
    ['CANCEL', (stream) => stream.close(http2.constants.NGHTTP2_CANCEL), GRPC_CANCELLED, 'stream was reset (HTTP/2 code 8)'],
    ['a compressed message', (stream) => answer(stream, [framed('x', 1)], { 'grpc-status': '0' }), GRPC_INTERNAL, 'message is compressed'],
    [
      'a message beyond 16 MiB',
      (stream) => {
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(16 * 1024 * 1024 + 1, 1);
        answer(stream, [prefix], { 'grpc-status': '0' });
      },
      GRPC_INTERNAL,
      'message is too large',
    ],
  ])('takes %s for the end of a call', async (_name, onStream, status, text) => {
    const { port } = await serve(onStream);
    const result = call(channelTo(port).channel);
    expect(await ended(result)).toBe(status);
    expect(result.text).toBe(text);
  });

  it('keeps many streams on one connection', async () => {
    const streams: http2.ServerHttp2Stream[] = [];
    const { port, sessions } = await serve((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      streams.push(stream);
    });
    const { channel } = channelTo(port);
    const results = Array.from({ length: 50 }, () => call(channel));
    await expect.poll(() => streams.length).toBe(50);
    for (const stream of streams) stream.write(framed('update'));
    await expect.poll(() => results.every((result) => result.messages.length === 1)).toBe(true);
    expect(sessions).toHaveLength(1);
    expect(channel.isReachable).toBe(true);
  });

  it('ends calls that are cancelled, at both ends and for good', async () => {
    let closedCode = 0;
    const { port } = await serve((stream) => {
      stream.respond({ ':status': 200 });
      stream.write(framed('x'));
      stream.on('close', () => (closedCode = stream.rstCode));
    });
    const result = call(channelTo(port).channel);
    await expect.poll(() => result.messages.length).toBe(1);
    result.call.cancel();
    result.call.cancel();
    await expect.poll(() => closedCode).toBe(http2.constants.NGHTTP2_CANCEL);
    expect(result.status).toBeUndefined();
  });

  it('moves new calls elsewhere after GOAWAY and lets the old ones finish', async () => {
    const streams: http2.ServerHttp2Stream[] = [];
    const { port, sessions } = await serve((stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      streams.push(stream);
    });
    const { channel } = channelTo(port);
    const first = call(channel);
    await expect.poll(() => streams.length).toBe(1);
    sessions[0]?.goaway(0);
    await expect.poll(() => channel.isReachable).toBe(false);
    const second = call(channel);
    await expect.poll(() => streams.length).toBe(2);
    expect(sessions).toHaveLength(2);
    streams[0]?.end(framed('old'));
    streams[1]?.end(framed('new'));
    expect([await ended(first), await ended(second)]).toEqual([GRPC_OK, GRPC_OK]);
    expect([first.messages, second.messages]).toEqual([['old'], ['new']]);
    // Nothing keeps the old connection.
    await expect.poll(() => netCounters.openStreams).toBe(1);
  });

  it('tells calls of a lost connection, and connects again for the next', async () => {
    const { port, sessions } = await serve((stream) => {
      stream.respond({ ':status': 200 });
      stream.write(framed('x'));
    });
    const { channel } = channelTo(port);
    const first = call(channel);
    await expect.poll(() => first.messages.length).toBe(1);
    sessions[0]?.destroy();
    expect(await ended(first)).toBe(GRPC_UNAVAILABLE);
    await expect.poll(() => channel.isReachable).toBe(false);
    const second = call(channel);
    await expect.poll(() => second.messages.length).toBe(1);
    expect(sessions).toHaveLength(2);
  });

  it('waits with calls while nothing listens, dialling with back-off and in turn', async () => {
    const up = await serve((stream) => answer(stream, [framed('x')], { 'grpc-status': '0' }));
    const dead = await serve(() => {});
    dead.close();
    let dials = 0;
    // The first address that is resolved is dead for three tries.
    const { channel } = channelTo(up.port, { resolve: () => (dials++ < 3 ? dead.port : up.port) });
    const results = Array.from({ length: 20 }, () => call(channel));
    for (const result of results) expect(await ended(result)).toBe(GRPC_OK);
    expect(dials).toBe(4);
  });

  it('fails calls that wait longer than half a minute', async () => {
    let nowMs = 0;
    const timers: { at: number; run: () => void }[] = [];
    const clock: Clock = {
      ...REAL_CLOCK,
      now: () => nowMs,
      after: (ms, run) => {
        const timer = { at: nowMs + ms, run };
        timers.push(timer);
        return () => void timers.splice(timers.indexOf(timer), 1);
      },
    };
    const dead = await serve(() => {});
    dead.close();
    const { channel } = channelTo(dead.port, { clock });
    const result = call(channel);
    nowMs = 30_001;
    for (const timer of timers.filter((entry) => entry.at <= nowMs)) timer.run();
    expect(await ended(result)).toBe(GRPC_UNAVAILABLE);
    expect(result.text).toBe('service in fail-fast');
  });

  it('[LB-22] turns to another address where one does not answer, and lets go of the stuck one', async () => {
    const stuck = await serve(() => {});
    const good = await serve((stream) => answer(stream, [framed('x')], { 'grpc-status': '0' }));
    let nowMs = 0;
    const clock: Clock = { ...REAL_CLOCK, now: () => nowMs, random: () => 0 };
    const addresses = [stuck, good].map(({ port }) => ({ ip: '127.0.0.1', port }));
    const { channel } = channelTo(stuck.port, { clock, addresses });
    const waiting = call(channel);
    await expect.poll(() => stuck.sessions.length).toBe(1);
    // Not as long as the connection is new.
    channel.suspect();
    expect(channel.isReachable).toBe(true);
    nowMs = 3000;
    channel.suspect();
    waiting.call.cancel();
    const next = call(channel);
    expect(await ended(next)).toBe(GRPC_OK);
    await expect.poll(() => stuck.sessions[0]?.destroyed).toBe(true);
  });

  it('[LB-22] begins with different addresses in different proxies', async () => {
    const servers = [await serve(() => {}), await serve(() => {})];
    const addresses = servers.map(({ port }) => ({ ip: '127.0.0.1', port }));
    for (const random of [0, 1 / 65_536]) call(channelTo(1, { clock: { ...REAL_CLOCK, random: () => random }, addresses }).channel);
    await expect.poll(() => servers.map(({ sessions }) => sessions.length)).toEqual([1, 1]);
  });

  it('ends waiting calls when it is closed', async () => {
    const dead = await serve(() => {});
    dead.close();
    const { channel } = channelTo(dead.port);
    const result = call(channel);
    channel.close();
    expect(await ended(result)).toBe(GRPC_UNAVAILABLE);
  });
});

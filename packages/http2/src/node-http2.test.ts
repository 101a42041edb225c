// SPDX-License-Identifier: Apache-2.0
/*
 * Our codec and `node:http2` with each other, both ways, over loopback: the same messages have to arrive, whichever end is ours.
 */
import { Buffer } from 'node:buffer';
import * as http2 from 'node:http2';
import type { FieldList } from '@weft/bytes';
import { fieldValue } from '@weft/bytes';
import { afterEach, describe, expect, it } from 'vitest';
import { H2_CODES } from './codes.ts';
import { RecordingStreamSink } from './testing/index.ts';
import type { H2Code, H2ConnectionSink, H2StreamHandle, H2StreamSink } from './types.ts';
import { type Driven, dial, listen, portOf } from '../interop/socket-driver.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A body that tells its positions. */
function bodyOf(bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) body[i] = (i * 7 + (i >> 9)) & 0xff;
  return body;
}

/** Waits until `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

class QuietConnectionSink implements H2ConnectionSink {
  readonly pongs: number[] = [];
  readonly goaways: string[] = [];
  onRequest(): H2StreamSink {
    throw new Error('no requests expected');
  }
  onSettings(): void {}
  onGoaway(lastStreamId: number, code: H2Code): void {
    this.goaways.push(`${lastStreamId} ${code}`);
  }
  onPong(opaque: number): void {
    this.pongs.push(opaque);
  }
  onOutput(): void {}
}

/** Writes a body as its stream takes it. */
class Pump {
  private readonly body: Uint8Array;
  private readonly step: number;
  private readonly finish: (stream: H2StreamHandle) => void;
  private at = 0;

  constructor(body: Uint8Array, step: number, finish: (stream: H2StreamHandle) => void) {
    this.body = body;
    this.step = step;
    this.finish = finish;
  }

  run(stream: H2StreamHandle): void {
    while (this.at < this.body.length) {
      const end = Math.min(this.at + this.step, this.body.length);
      const isWritable = stream.sendData(this.body, this.at, end, false);
      this.at = end;
      if (!isWritable) return;
    }
    if (!stream.isSendClosed) this.finish(stream);
  }
}

/** A client's stream: pumps its body, consumes and records what comes. */
class Exchange extends RecordingStreamSink {
  stream: H2StreamHandle | undefined = undefined;
  head: Readonly<FieldList> = [];
  trailers: Readonly<FieldList> = [];
  isDone = false;
  resetBy = '';
  pump: Pump | undefined = undefined;

  constructor() {
    super('', []);
  }

  override onHeaders(fields: Readonly<FieldList>, endStream: boolean): void {
    this.head = fields;
    if (endStream) this.isDone = true;
  }
  override onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    super.onData(chunk, start, end, endStream);
    this.stream?.consume(end - start);
    if (endStream) this.isDone = true;
  }
  override onTrailers(fields: Readonly<FieldList>): void {
    this.trailers = fields;
    this.isDone = true;
  }
  override onReset(code: H2Code, by: string): void {
    this.resetBy = `${code} ${by}`;
    this.isDone = true;
  }
  override onWritable(): void {
    if (this.stream !== undefined) this.pump?.run(this.stream);
  }
}

const SIZES = [0, 1, 1000, 16_384, 16_385, 65_535, 65_536, 200_000, 3_000_000];

/** Padding as node offers it. */
const PADDINGS: readonly (readonly [string, number])[] = [
  ['no', http2.constants.PADDING_STRATEGY_NONE],
  ['maximal', http2.constants.PADDING_STRATEGY_MAX],
  // Its name is missing from node's type declarations.
  ['aligned', 1],
];

describe('our client and a node server', () => {
  async function nodeServer(
    options: http2.ServerOptions,
    onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  ): Promise<{ port: number; sessions: http2.ServerHttp2Session[]; server: http2.Http2Server }> {
    const server = http2.createServer(options);
    const sessions: http2.ServerHttp2Session[] = [];
    server.on('session', (session) => {
      sessions.push(session);
      session.on('error', () => {});
    });
    server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      stream.on('error', () => {});
      onStream(stream, headers);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    return { port: portOf(server), sessions, server };
  }

  async function ourClient(port: number, sink: H2ConnectionSink = new QuietConnectionSink()): Promise<Driven> {
    const driven = await dial(port, {}, sink);
    closers.push(() => driven.socket.destroy());
    return driven;
  }

  function send({ connection }: Driven, fields: FieldList, body: Uint8Array | undefined, step: number, trailers?: FieldList): Exchange {
    const exchange = new Exchange();
    const head = [':method', body === undefined ? 'GET' : 'POST', ':scheme', 'http', ':authority', 'node.example', ...fields];
    const stream = connection.request(head, body === undefined, exchange);
    if (stream === undefined) throw new Error('no stream');
    exchange.stream = stream;
    if (body !== undefined) {
      exchange.pump = new Pump(body, step, (done) => {
        if (trailers === undefined) done.sendData(body, 0, 0, true);
        else done.sendTrailers(trailers);
      });
      exchange.pump.run(stream);
    }
    return exchange;
  }

  function echo(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
    const request: http2.IncomingHttpHeaders = {};
    stream.on('trailers', (fields: http2.IncomingHttpHeaders) => Object.assign(request, fields));
    stream.respond({ ':status': 200, 'x-path': headers[':path'] }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-got': request['x-sent'] ?? 'none' }));
    stream.pipe(stream);
  }

  it.each(PADDINGS)('echo bodies of all sizes, with %s padding', async (_, paddingStrategy) => {
    const { port } = await nodeServer({ paddingStrategy }, echo);
    const driven = await ourClient(port);
    const exchanges = SIZES.map((size, i) =>
      send(driven, [':path', `/${size}`], bodyOf(size), [1000, 16_384, 100_000][i % 3] as number, ['x-sent', `t${i}`]),
    );
    await until(() => exchanges.every((exchange) => exchange.isDone));
    for (const [i, exchange] of exchanges.entries()) {
      expect(exchange.resetBy).toBe('');
      expect(fieldValue(exchange.head, ':status')).toBe('200');
      expect(fieldValue(exchange.head, 'x-path')).toBe(`/${SIZES[i]}`);
      expect(Buffer.concat(exchange.chunks).equals(bodyOf(SIZES[i] as number))).toBe(true);
      expect(exchange.trailers).toEqual(['x-got', `t${i}`]);
    }
    expect(driven.connection.activeStreams).toBe(0);
  });

  it.each([
    ['small windows', { initialWindowSize: 1000 }],
    ['large frames', { maxFrameSize: 1 << 20, initialWindowSize: 1 << 20 }],
    ['no header table', { headerTableSize: 0 }],
    ['a small header table', { headerTableSize: 100 }],
  ])('under settings of the server: %s', async (_, settings) => {
    const { port } = await nodeServer({ settings }, echo);
    const driven = await ourClient(port);
    const exchanges = Array.from({ length: 20 }, (_unused, i) =>
      send(driven, [':path', `/${i}`, 'x-a', 'b'.repeat(i * 20)], bodyOf(30_000), 5000),
    );
    await until(() => exchanges.every((exchange) => exchange.isDone));
    expect(exchanges.map((exchange) => `${exchange.resetBy}${exchange.dataBytes}`)).toEqual(exchanges.map(() => '30000'));
  });

  it('through a change of settings in the middle', async () => {
    const { port, sessions } = await nodeServer({ settings: { initialWindowSize: 100_000 } }, echo);
    const driven = await ourClient(port);
    const exchange = send(driven, [':path', '/'], bodyOf(3_000_000), 16_384);
    await until(() => exchange.dataBytes > 200_000);
    sessions[0]?.settings({ initialWindowSize: 500, headerTableSize: 0 });
    await until(() => exchange.dataBytes > 1_000_000);
    sessions[0]?.settings({ initialWindowSize: 1 << 20, headerTableSize: 4096, maxConcurrentStreams: 1 });
    await until(() => exchange.isDone);
    expect(Buffer.concat(exchange.chunks).equals(bodyOf(3_000_000))).toBe(true);
    expect(driven.connection.peerMaxConcurrentStreams).toBe(1);
    const next = send(driven, [':path', '/next'], undefined, 0);
    expect(driven.connection.canRequest).toBe(false);
    await until(() => next.isDone);
  });

  it('hundreds of requests at a time', async () => {
    const { port } = await nodeServer({ settings: { maxConcurrentStreams: 500 } }, (stream, headers) => {
      stream.respond({ ':status': 200 });
      stream.end(String(headers[':path']));
    });
    const driven = await ourClient(port);
    await until(() => driven.connection.peerMaxConcurrentStreams === 500);
    const exchanges = Array.from({ length: 400 }, (_, i) => send(driven, [':path', `/${i}`], undefined, 0));
    await until(() => exchanges.every((exchange) => exchange.isDone));
    expect(exchanges.map((exchange) => exchange.text)).toEqual(exchanges.map((_, i) => `/${i}`));
  });

  it('HEAD, 204 and 304, interim heads, long fields and octets beyond ASCII', async () => {
    const { port } = await nodeServer({}, (stream, headers) => {
      if (headers[':path'] === '/long') {
        stream.additionalHeaders({ ':status': 103, link: '</a>' });
        stream.respond({ ':status': 200, 'x-echo': headers['x-long'], 'x-latin': headers['x-latin'] }, { endStream: true });
      } else {
        stream.respond({ ':status': Number(headers['x-status']), 'content-length': 5 }, { endStream: true });
      }
    });
    const driven = await ourClient(port);
    const long = send(driven, [':path', '/long', 'x-long', 'l'.repeat(9000), 'x-latin', 'caf\xe9\xff'], undefined, 0);
    const interims: string[] = [];
    long.onInterim = (fields) => interims.push(fields.join('='));
    const head = new Exchange();
    head.stream = driven.connection.request(
      [':method', 'HEAD', ':scheme', 'http', ':authority', 'x', ':path', '/', 'x-status', '200'],
      true,
      head,
    );
    const notModified = send(driven, [':path', '/', 'x-status', '304'], undefined, 0);
    await until(() => long.isDone && head.isDone && notModified.isDone);
    expect(interims[0]).toMatch(/^:status=103=link=<\/a>/);
    expect(fieldValue(long.head, 'x-echo')).toBe('l'.repeat(9000));
    expect(fieldValue(long.head, 'x-latin')).toBe('caf\xe9\xff');
    expect([head.resetBy, fieldValue(head.head, 'content-length')]).toEqual(['', '5']);
    expect([notModified.resetBy, fieldValue(notModified.head, ':status')]).toEqual(['', '304']);
  });

  it('field blocks of several frames both ways', async () => {
    const { port } = await nodeServer(
      { maxSendHeaderBlockLength: 1 << 20, settings: { maxHeaderListSize: 1 << 20 } },
      (stream, headers) => {
        stream.respond({ ':status': 200, 'x-back': headers['x-0'], 'x-more': headers['x-0'] }, { endStream: true });
      },
    );
    const driven = await dial(port, { maxHeaderListBytes: 1 << 20 }, new QuietConnectionSink());
    closers.push(() => driven.socket.destroy());
    const exchange = send(driven, [':path', '/', 'x-0', 'z'.repeat(25_000), 'x-1', 'y'.repeat(15_000)], undefined, 0);
    await until(() => exchange.isDone);
    expect([exchange.resetBy, fieldValue(exchange.head, 'x-back')?.length]).toEqual(['', 25_000]);
  });

  it('resets from either side keep their code', async () => {
    const closed: string[] = [];
    const { port } = await nodeServer({}, (stream, headers) => {
      stream.on('close', () => closed.push(`${headers[':path']} ${stream.rstCode}`));
      stream.respond({ ':status': 200 });
      stream.write('some');
      if (headers[':path'] === '/theirs') stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
    const driven = await ourClient(port);
    const theirs = send(driven, [':path', '/theirs'], bodyOf(100_000), 1000);
    const ours = send(driven, [':path', '/ours'], bodyOf(10), 10);
    await until(() => theirs.isDone && ours.dataBytes > 0);
    ours.stream?.reset(H2_CODES.CANCEL);
    await until(() => closed.length === 2);
    expect(theirs.resetBy).toBe(`${H2_CODES.ENHANCE_YOUR_CALM} peer`);
    expect(closed.toSorted()).toEqual([`/ours ${H2_CODES.CANCEL}`, `/theirs ${H2_CODES.ENHANCE_YOUR_CALM}`]);
  });

  it('PING both ways, and GOAWAY while requests are under way', async () => {
    const { port, sessions } = await nodeServer({}, (stream) => {
      setTimeout(() => {
        stream.respond({ ':status': 200 });
        stream.end('late');
      }, 20);
    });
    const sink = new QuietConnectionSink();
    const driven = await ourClient(port, sink);
    const exchange = send(driven, [':path', '/'], undefined, 0);
    driven.connection.ping(12_345);
    await until(() => sessions.length === 1 && sink.pongs.length === 1);
    expect(sink.pongs).toEqual([12_345]);
    const answered = await new Promise<string>((resolve, reject) => {
      sessions[0]?.ping(Buffer.from('weftweft'), (error, _ms, payload) => (error === null ? resolve(String(payload)) : reject(error)));
    });
    expect(answered).toBe('weftweft');
    sessions[0]?.close();
    await until(() => exchange.isDone && sink.goaways.length > 0);
    expect([exchange.resetBy, exchange.text]).toEqual(['', 'late']);
    expect(driven.connection.canRequest).toBe(false);
  });
});

describe('a node client and our server', () => {
  /** Echoes each request, with trailers that repeat the request's. */
  class EchoSink implements H2ConnectionSink {
    readonly resets: string[] = [];
    readonly pongs: number[] = [];
    readonly streams: H2StreamHandle[] = [];

    onRequest(stream: H2StreamHandle, fields: Readonly<FieldList>, endStream: boolean): H2StreamSink {
      this.streams.push(stream);
      const path = fieldValue(fields, ':path') as string;
      if (path === '/reset') stream.reset(H2_CODES.ENHANCE_YOUR_CALM);
      if (path === '/interim') stream.sendHeaders([':status', '103', 'link', 'x'], false);
      stream.sendHeaders(
        [':status', '200', 'x-path', path, 'x-long', fieldValue(fields, 'x-long') ?? '', 'x-latin', fieldValue(fields, 'x-latin') ?? ''],
        false,
      );
      if (endStream) stream.sendTrailers(['x-got', 'none']);
      let waiting = 0;
      return {
        onHeaders: () => {},
        onInterim: () => {},
        onData: (chunk, start, end, isEnd) => {
          if (path === '/kept') return;
          // Credit returns as the echo leaves, so that the whole body is never held.
          if (stream.sendData(chunk, start, end, isEnd)) stream.consume(end - start);
          else waiting += end - start;
        },
        onTrailers: (trailers) => stream.sendTrailers(['x-got', trailers[1] ?? '']),
        onReset: (code, by) => this.resets.push(`${path} ${code} ${by}`),
        onWritable: () => {
          stream.consume(waiting);
          waiting = 0;
        },
      };
    }
    onSettings(): void {}
    onGoaway(): void {}
    onPong(opaque: number): void {
      this.pongs.push(opaque);
    }
    onOutput(): void {}
  }

  async function ourServer(options: Parameters<typeof listen>[0] = {}): Promise<{ port: number; sink: EchoSink; driven: Driven[] }> {
    const sink = new EchoSink();
    const { server, port, driven } = await listen(options, () => sink);
    closers.push(() => {
      for (const { socket } of driven) socket.destroy();
      server.close();
    });
    return { port, sink, driven };
  }

  async function nodeClient(port: number, options: http2.SecureClientSessionOptions = {}): Promise<http2.ClientHttp2Session> {
    const session = http2.connect(`http://127.0.0.1:${port}`, options);
    session.on('error', () => {});
    closers.push(() => session.destroy());
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    return session;
  }

  interface Answer {
    head: http2.IncomingHttpHeaders;
    body: Buffer;
    trailers: http2.IncomingHttpHeaders;
    interim: http2.IncomingHttpHeaders[];
    code: number;
  }

  async function fetch(
    session: http2.ClientHttp2Session,
    headers: http2.OutgoingHttpHeaders,
    body?: Buffer,
    trailers?: http2.OutgoingHttpHeaders,
  ): Promise<Answer> {
    const stream = session.request(headers, {
      endStream: body === undefined,
      ...(trailers === undefined ? {} : { waitForTrailers: true }),
    });
    const answer: Answer = { head: {}, body: Buffer.alloc(0), trailers: {}, interim: [], code: 0 };
    const chunks: Buffer[] = [];
    stream.on('error', () => {});
    stream.on('headers', (fields: http2.IncomingHttpHeaders) => answer.interim.push(fields));
    stream.on('response', (fields) => Object.assign(answer.head, fields));
    stream.on('trailers', (fields: http2.IncomingHttpHeaders) => Object.assign(answer.trailers, fields));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
    if (body !== undefined) stream.end(body);
    await new Promise((resolve) => stream.once('close', resolve));
    answer.body = Buffer.concat(chunks);
    answer.code = stream.rstCode;
    return answer;
  }

  it.each(PADDINGS)('echo bodies of all sizes, with %s padding', async (_, paddingStrategy) => {
    const { port, driven } = await ourServer();
    const session = await nodeClient(port, { paddingStrategy });
    const answers = await Promise.all(
      SIZES.map((size, i) => fetch(session, { ':method': 'POST', ':path': `/${size}` }, bodyOf(size), { 'x-sent': `t${i}` })),
    );
    for (const [i, answer] of answers.entries()) {
      expect(answer.code).toBe(0);
      expect(answer.head[':status']).toBe(200);
      expect(answer.head['x-path']).toBe(`/${SIZES[i]}`);
      expect(answer.body.equals(bodyOf(SIZES[i] as number))).toBe(true);
      expect(answer.trailers['x-got']).toBe(`t${i}`);
    }
    await until(() => driven[0]?.connection.activeStreams === 0);
    expect(driven[0]?.connection.counters.localResets).toBe(0);
  });

  it.each([
    ['small windows', { initialWindowSize: 1000 }],
    ['large frames', { maxFrameSize: 1 << 20, initialWindowSize: 1 << 20 }],
    ['no header table', { headerTableSize: 0 }],
  ])('under settings of the client: %s', async (_, settings) => {
    const { port } = await ourServer();
    const session = await nodeClient(port, { settings });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_unused, i) =>
        fetch(session, { ':method': 'POST', ':path': `/${i}`, 'x-long': 'l'.repeat(i * 50) }, bodyOf(30_000)),
      ),
    );
    expect(answers.map((answer) => `${answer.code} ${answer.body.length} ${String(answer.head['x-long']).length}`)).toEqual(
      answers.map((_unused, i) => `0 30000 ${i * 50}`),
    );
  });

  it('interim heads, long fields, octets beyond ASCII', async () => {
    const { port } = await ourServer();
    const session = await nodeClient(port);
    const answer = await fetch(session, { ':path': '/interim', 'x-long': 'l'.repeat(9000), 'x-latin': 'caf\xe9\xff' });
    expect(answer.interim.map((fields) => fields[':status'])).toEqual([103]);
    expect(answer.head['x-long']).toBe('l'.repeat(9000));
    expect(answer.head['x-latin']).toBe('caf\xe9\xff');
  });

  it('431 for a head over the limit, and the connection goes on', async () => {
    const { port } = await ourServer({ maxHeaderListBytes: 8000 });
    const session = await nodeClient(port);
    const answer = await fetch(session, { ':path': '/', 'x-long': 'l'.repeat(8000) });
    expect(answer.head[':status']).toBe(431);
    expect((await fetch(session, { ':path': '/' })).head[':status']).toBe(200);
  });

  it('resets from either side keep their code', async () => {
    const { port, sink } = await ourServer();
    const session = await nodeClient(port);
    expect((await fetch(session, { ':path': '/reset' })).code).toBe(H2_CODES.ENHANCE_YOUR_CALM);
    const stream = session.request({ ':method': 'POST', ':path': '/kept' });
    stream.on('error', () => {});
    await new Promise((resolve) => stream.once('response', resolve));
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await until(() => sink.resets.length > 0);
    expect(sink.resets).toEqual([`/kept ${H2_CODES.CANCEL} peer`]);
  });

  it('PING both ways, and a shutdown that loses nothing', async () => {
    const { port, sink, driven } = await ourServer();
    const session = await nodeClient(port);
    driven[0]?.connection.ping(7);
    await until(() => sink.pongs.length === 1);
    const stream = session.request({ ':method': 'POST', ':path': '/slow' });
    await new Promise((resolve) => stream.once('response', resolve));
    driven[0]?.connection.shutdown();
    driven[0]?.socket.emit('drain');
    await new Promise((resolve) => session.once('goaway', resolve));
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.end('finished');
    await new Promise((resolve) => stream.once('close', resolve));
    expect(Buffer.concat(chunks).toString()).toBe('finished');
    expect(driven[0]?.connection.isDraining).toBe(true);
  });

  it('no more streams at a time than announced', async () => {
    const { port, driven } = await ourServer({ maxConcurrentStreams: 3 });
    const session = await nodeClient(port);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => fetch(session, { ':method': 'POST', ':path': `/${i}` }, bodyOf(2000))),
    );
    expect(answers.every((answer) => answer.code === 0 && answer.body.length === 2000)).toBe(true);
    expect(driven[0]?.connection.counters.refusedStreams).toBe(0);
  });
});

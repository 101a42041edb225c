// SPDX-License-Identifier: Apache-2.0
import { connect } from 'node:http2';

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import { destination, identity } from '@weft/proto';
import { afterEach, describe, expect, it } from 'vitest';

import {
  createGrpcServerMetrics,
  EncodedMessage,
  GRPC_CODES,
  GrpcServer,
  GrpcStatusError,
  type GrpcServerOptions,
  type MetricFactory,
  type ServerStream,
  type ServiceHandlers,
} from './index.ts';

type DestinationStream = ServerStream<typeof destination.UpdateSchema>;
type GetHandler = (request: destination.GetDestination, stream: DestinationStream) => void | Promise<void>;
type Handlers = ServiceHandlers<(typeof destination.Destination)['method']>;

const GET = '/io.linkerd.proxy.destination.Destination/Get';
const CERTIFY = '/io.linkerd.proxy.identity.Identity/Certify';

const running: { server: GrpcServer; client: Client }[] = [];

afterEach(async () => {
  for (const { server, client } of running.splice(0)) {
    client.close();
    await server.shutdown(100);
  }
});

async function start(get: GetHandler, options: GrpcServerOptions = {}): Promise<{ server: GrpcServer; client: Client; port: number }> {
  const server = new GrpcServer(options);
  const handlers: Handlers = { get, getProfile: (_, stream) => stream.end() };
  server.register(destination.Destination, handlers);
  const port = await server.listen('127.0.0.1:0');
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  running.push({ server, client });
  return { server, client, port };
}

function get(client: Client, path: string, metadata: Record<string, string> = {}): ClientReadableStream<destination.Update> {
  const headers = new Metadata();
  for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
  return client.makeServerStreamRequest(
    GET,
    (request: destination.GetDestination) => Buffer.from(toBinary(destination.GetDestinationSchema, request)),
    (bytes) => fromBinary(destination.UpdateSchema, bytes),
    create(destination.GetDestinationSchema, { path }),
    headers,
  );
}

interface Outcome {
  readonly labels: string[];
  readonly code: number;
  readonly details: string;
}

/** Reads a stream to its end. */
function outcome(stream: ClientReadableStream<destination.Update>): Promise<Outcome> {
  const labels: string[] = [];
  return new Promise((resolve) => {
    stream.on('data', (update: destination.Update) => {
      if (update.update.case === 'add') labels.push(update.update.value.metricLabels['n'] ?? '');
    });
    stream.on('error', (error: ServiceError) => resolve({ labels, code: error.code, details: error.details }));
    stream.on('end', () => resolve({ labels, code: 0, details: '' }));
  });
}

function update(n: string): destination.Update {
  return create(destination.UpdateSchema, { update: { case: 'add', value: { metricLabels: { n } } } });
}

function recordingFactory(): { factory: MetricFactory; series: Map<string, number> } {
  const series = new Map<string, number>();
  const add = (name: string, labels: Record<string, string>, value: number): void => {
    const key = `${name}{${Object.values(labels).join(',')}}`;
    series.set(key, (series.get(key) ?? 0) + value);
  };
  const counter = (name: string): { inc(labels: Record<string, string>, value?: number): void } => ({
    inc: (labels, value = 1) => add(name, labels, value),
  });
  const factory: MetricFactory = {
    counter,
    gauge: (name) => ({ ...counter(name), dec: () => undefined, set: () => undefined, remove: () => undefined }),
    histogram: (name) => ({ observe: (labels) => add(`${name}_count`, labels, 1) }),
  };
  return { factory, series };
}

describe('GrpcServer', () => {
  it('streams messages, encoded ones as they stand, and ends with OK', async () => {
    const { client } = await start((request, stream) => {
      stream.send(update(request.path));
      stream.send(new EncodedMessage(toBinary(destination.UpdateSchema, update('encoded'))));
      stream.end();
    });
    expect(await outcome(get(client, 'first'))).toEqual({ labels: ['first', 'encoded'], code: 0, details: '' });
  });

  it('gives handlers the metadata, the peer and the method', async () => {
    const { client } = await start((_, stream) => {
      stream.send(update([stream.metadata('weft-capabilities'), stream.metadata('absent'), stream.method].join('|')));
      stream.send(update(stream.peer.replace(/\d+$/, 'port')));
      stream.end();
    });
    const { labels } = await outcome(get(client, '', { 'weft-capabilities': 'a,b' }));
    expect(labels).toEqual([`a,b||${GET.slice(1)}`, '127.0.0.1:port']);
  });

  it('answers with the status that a handler throws, with any text', async () => {
    const texts = ['Invalid authority: x', '"quoted" \\ %20 \n', 'ü – 名', ''];
    const { client } = await start((request) => {
      throw new GrpcStatusError(GRPC_CODES.INVALID_ARGUMENT, texts[Number(request.path)] ?? '');
    });
    for (const [index, details] of texts.entries()) {
      expect(await outcome(get(client, `${index}`))).toEqual({ labels: [], code: GRPC_CODES.INVALID_ARGUMENT, details });
    }
  });

  it('cuts endless status texts and repairs lone surrogates', async () => {
    const { client } = await start((request, stream) =>
      stream.error(GRPC_CODES.UNKNOWN, request.path === 'long' ? 'x'.repeat(1e6) : 'a\uD800b'),
    );
    expect((await outcome(get(client, 'long'))).details).toBe('x'.repeat(1024));
    expect((await outcome(get(client, 'surrogate'))).details).toBe('a\uFFFDb');
  });

  it('hides unexpected exceptions from clients and reports them', async () => {
    const reported: unknown[] = [];
    const { client } = await start(
      async () => {
        await Promise.resolve();
        throw new TypeError('secret at /app/file.ts:1');
      },
      { onInternalError: (error) => reported.push(error) },
    );
    expect(await outcome(get(client, 'x'))).toEqual({ labels: [], code: GRPC_CODES.INTERNAL, details: 'internal error' });
    expect(reported).toEqual([new TypeError('secret at /app/file.ts:1')]);
  });

  it('tells the handler once that the client has left', async () => {
    let onOpen: (stream: DestinationStream) => void = () => undefined;
    const opened = new Promise<DestinationStream>((resolve) => (onOpen = resolve));
    const { client, server } = await start((_, stream) => {
      stream.send(update('1'));
      onOpen(stream);
    });
    const call = get(client, 'x');
    const finished = outcome(call);
    const stream = await opened;
    let cancellations = 0;
    const cancelled = new Promise<void>((resolve) => {
      stream.onCancel(() => {
        cancellations += 1;
        resolve();
      });
    });
    call.once('data', () => call.cancel());
    await cancelled;
    expect((await finished).code).toBe(GRPC_CODES.CANCELLED);
    expect([stream.isOpen, stream.send(update('2')), server.streamCount, cancellations]).toEqual([false, false, 0, 1]);
    stream.onCancel(() => (cancellations += 1));
    expect(cancellations).toBe(2);
  });

  it('[LB-21] ends a stream whose queue overflows with OK and without the rest', async () => {
    let onOpen: (stream: DestinationStream) => void = () => undefined;
    const opened = new Promise<DestinationStream>((resolve) => (onOpen = resolve));
    const { port } = await start((_, stream) => onOpen(stream), { limits: { streamQueueCapacity: 3 } });
    // A client that opens no flow-control window: the first message cannot leave.
    const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
    const call = session.request({ ':method': 'POST', ':path': GET, 'content-type': 'application/grpc', te: 'trailers' });
    call.end(Buffer.alloc(5));
    const stream = await opened;
    const taken = Array.from({ length: 8 }, (_, index) => stream.send(update(`${index}`)));
    expect(taken).toEqual([true, true, true, true, false, false, false, false]);
    expect([stream.isOverflowed, stream.isOpen]).toEqual([true, false]);
    const trailers = new Promise<unknown>((resolve) => {
      call.on('trailers', (fields) => resolve(fields['grpc-status']));
    });
    const bytes: Buffer[] = [];
    call.on('data', (chunk: Buffer) => bytes.push(chunk));
    session.settings({ initialWindowSize: 65_535 });
    expect(await trailers).toBe('0');
    expect(fromBinary(destination.UpdateSchema, Buffer.concat(bytes).subarray(5))).toEqual(update('0'));
    session.close();
  });

  it('ends open streams with OK on shutdown and refuses new ones', async () => {
    let count = 0;
    const { client, server } = await start((_, stream) => {
      count += 1;
      stream.send(update('1'));
    });
    const calls = [get(client, 'a'), get(client, 'b')];
    const ends = calls.map((call) => outcome(call));
    await Promise.all(calls.map((call) => new Promise((resolve) => call.once('data', resolve))));
    const shutdown = server.shutdown(5_000);
    expect(await Promise.all(ends)).toEqual([
      { labels: ['1'], code: 0, details: '' },
      { labels: ['1'], code: 0, details: '' },
    ]);
    await shutdown;
    expect((await outcome(get(client, 'c'))).code).toBe(GRPC_CODES.UNAVAILABLE);
    expect(count).toBe(2);
  });

  it('refuses requests above the limit and requests that are no message', async () => {
    const { client, port } = await start((_, stream) => stream.end(), { limits: { maxRequestBytes: 100 } });
    expect((await outcome(get(client, 'x'.repeat(200)))).code).toBe(GRPC_CODES.RESOURCE_EXHAUSTED);
    const raw = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const call = raw.makeServerStreamRequest(
      GET,
      () => Buffer.from([0xff, 0xff]),
      (bytes) => fromBinary(destination.UpdateSchema, bytes),
      {},
    );
    const result = await outcome(call);
    expect([result.code, result.details]).toEqual([GRPC_CODES.INTERNAL, 'Error deserializing request']);
    raw.close();
  });

  it('answers unary calls with messages and statuses', async () => {
    const server = new GrpcServer();
    server.register(identity.Identity, {
      certify: async (request) => {
        await Promise.resolve();
        if (request.identity === '') throw new GrpcStatusError(GRPC_CODES.FAILED_PRECONDITION, 'no identity');
        if (request.identity === 'bug') throw new Error('secret');
        return create(identity.CertifyResponseSchema, { leafCertificate: Buffer.from(request.identity) });
      },
    });
    const client = new Client(`127.0.0.1:${await server.listen('127.0.0.1:0')}`, credentials.createInsecure());
    running.push({ server, client });
    const certify = (name: string): Promise<string> =>
      new Promise((resolve) => {
        client.makeUnaryRequest(
          CERTIFY,
          (request: identity.CertifyRequest) => Buffer.from(toBinary(identity.CertifyRequestSchema, request)),
          (bytes) => fromBinary(identity.CertifyResponseSchema, bytes),
          create(identity.CertifyRequestSchema, { identity: name }),
          (error, response) =>
            resolve(error === null ? Buffer.from(response?.leafCertificate ?? []).toString() : `${error.code} ${error.details}`),
        );
      });
    expect(await certify('web')).toBe('web');
    expect(await certify('')).toBe('9 no identity');
    expect(await certify('bug')).toBe('13 internal error');
  });

  it('counts calls, messages, codes and durations', async () => {
    const { factory, series } = recordingFactory();
    const { client } = await start(
      (request, stream) => {
        if (request.path === 'bad') throw new GrpcStatusError(GRPC_CODES.NOT_FOUND, 'no');
        stream.send(update('1'));
        stream.send(update('2'));
        stream.end();
      },
      { metrics: createGrpcServerMetrics(factory), now: () => 0 },
    );
    await outcome(get(client, 'good'));
    await outcome(get(client, 'bad'));
    const method = 'server_stream,io.linkerd.proxy.destination.Destination,Get';
    await expect.poll(() => series.get(`grpc_server_handling_seconds_count{${method}}`)).toBe(2);
    expect(Object.fromEntries(series)).toEqual({
      [`grpc_server_started_total{${method}}`]: 2,
      [`grpc_server_msg_received_total{${method}}`]: 2,
      [`grpc_server_msg_sent_total{${method}}`]: 2,
      [`grpc_server_handled_total{${method},OK}`]: 1,
      [`grpc_server_handled_total{${method},NotFound}`]: 1,
      [`grpc_server_handling_seconds_count{${method}}`]: 2,
    });
  });

  it('leaves no stream behind when clients reset at once', async () => {
    let opened = 0;
    const { port, server } = await start(() => {
      opened += 1;
    });
    const session = connect(`http://127.0.0.1:${port}`);
    for (let round = 0; round < 20; round += 1) {
      const calls = Array.from({ length: 10 }, () => {
        const call = session.request({ ':method': 'POST', ':path': GET, 'content-type': 'application/grpc', te: 'trailers' });
        call.on('error', () => undefined);
        call.end(Buffer.alloc(5));
        return call;
      });
      await new Promise((resolve) => setImmediate(resolve));
      for (const call of calls) call.close(8);
    }
    await expect.poll(() => opened).toBeGreaterThan(0);
    await expect.poll(() => server.streamCount).toBe(0);
    session.close();
  });
});

// SPDX-License-Identifier: Apache-2.0
/* The destination service behind a real gRPC server, asked by a grpc-js client on loopback. */
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import { GrpcServer } from '@weft/grpc-server';
import { destination } from '@weft/proto';
import { createMemorySource, type LocalSource, type ResourceInput, type ResourceSource } from '@weft/resources';
import { promMetricFactory, PromRegistry } from '@weft/telemetry/prom';
import { afterEach, describe, expect, it } from 'vitest';

import { createDestinationService, type DestinationOptions, type DestinationService } from './index.ts';
import { statusOf } from './testdata/discovery.ts';
import { pod, service, slice } from './testdata/objects.ts';
import { RecordingStream } from './testdata/recording-stream.ts';

const METHODS = '/io.linkerd.proxy.destination.Destination/';
const WEB = 'web.ns.svc.cluster.local:80';

interface Harness {
  readonly source: LocalSource;
  readonly discovery: DestinationService;
  readonly server: GrpcServer;
  readonly client: Client;
  readonly registry: PromRegistry;
  readonly port: number;
}

const running: Harness[] = [];

afterEach(async () => {
  for (const { client, server, discovery } of running.splice(0)) {
    client.close();
    await server.shutdown(100);
    discovery.close();
  }
});

async function start(objects: readonly ResourceInput[], streamQueueCapacity = 100): Promise<Harness> {
  const source = createMemorySource({ objects });
  const registry = new PromRegistry();
  const discovery = createDestinationService({ source, metrics: promMetricFactory(registry) });
  const server = new GrpcServer({ limits: { streamQueueCapacity } });
  server.register(destination.Destination, discovery.handlers);
  const port = await server.listen('127.0.0.1:0');
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const harness = { source, discovery, server, client, registry, port };
  running.push(harness);
  return harness;
}

/** One stream: messages in order, and its end. */
class Reader<Message> {
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
  private readonly call: ClientReadableStream<Message>;
  private readonly messages: Message[] = [];
  private wake: () => void = () => undefined;

  constructor(call: ClientReadableStream<Message>) {
    this.call = call;
    call.on('data', (message: Message) => {
      this.messages.push(message);
      this.wake();
    });
    this.ended = new Promise((resolve) => {
      call.on('error', ({ code, details }: ServiceError) => resolve({ code, details }));
      call.on('end', () => resolve({ code: 0, details: '' }));
    });
  }

  /** The next message, waiting for it. */
  async next(): Promise<Message> {
    for (;;) {
      const message = this.messages.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  cancel(): void {
    this.call.cancel();
  }
}

function get(client: Client, path: string): Reader<destination.Update> {
  return new Reader(
    client.makeServerStreamRequest(
      `${METHODS}Get`,
      (request: destination.GetDestination) => Buffer.from(toBinary(destination.GetDestinationSchema, request)),
      (bytes) => fromBinary(destination.UpdateSchema, bytes),
      create(destination.GetDestinationSchema, { path }),
    ),
  );
}

function getProfile(client: Client, path: string): Reader<destination.DestinationProfile> {
  return new Reader(
    client.makeServerStreamRequest(
      `${METHODS}GetProfile`,
      (request: destination.GetDestination) => Buffer.from(toBinary(destination.GetDestinationSchema, request)),
      (bytes) => fromBinary(destination.DestinationProfileSchema, bytes),
      create(destination.GetDestinationSchema, { path }),
    ),
  );
}

/** A client that opens no flow-control window, so that nothing reaches it. */
function stalledCall(port: number, method: string, path: string): { session: ClientHttp2Session; call: ClientHttp2Stream } {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  const call = session.request({ ':method': 'POST', ':path': `${METHODS}${method}`, 'content-type': 'application/grpc', te: 'trailers' });
  const message = toBinary(destination.GetDestinationSchema, create(destination.GetDestinationSchema, { path }));
  const frame = Buffer.alloc(5 + message.byteLength);
  frame.writeUInt32BE(message.byteLength, 1);
  frame.set(message, 5);
  call.end(frame);
  return { session, call };
}

const OBJECTS = [service('web', { clusterIP: '10.96.0.1' }), pod('a'), slice('web', 'x', [{ pod: 'a' }])];

describe('the destination service over gRPC', () => {
  it('[LB-03] [LB-05] streams endpoints and their changes', async () => {
    const { client, source } = await start(OBJECTS);
    const stream = get(client, WEB);
    expect(await stream.next()).toMatchObject({
      update: { case: 'add', value: { addrs: [{ addr: { port: 8080 } }], metricLabels: { service: 'web' } } },
    });
    source.store.seed(pod('b', { ip: '10.0.0.2' }));
    source.store.seed(slice('web', 'x', [{ pod: 'b', ip: '10.0.0.2' }]));
    expect(await stream.next()).toMatchObject({ update: { case: 'add', value: { addrs: [{ metricLabels: { pod: 'b' } }] } } });
    expect(await stream.next()).toMatchObject({ update: { case: 'remove', value: { addrs: [{ port: 8080 }] } } });
  });

  it('[LB-04] streams profiles and their changes', async () => {
    const { client, source } = await start(OBJECTS);
    const stream = getProfile(client, '10.96.0.1:80');
    expect(await stream.next()).toMatchObject({ fullyQualifiedName: 'web.ns.svc.cluster.local', opaqueProtocol: false });
    source.store.seed(service('web', { clusterIP: '10.96.0.1' }, { 'config.linkerd.io/opaque-ports': '80' }));
    expect(await stream.next()).toMatchObject({ opaqueProtocol: true });
    const endpoint = getProfile(client, '10.0.0.1:8080');
    expect(await endpoint.next()).toMatchObject({ endpoint: { metricLabels: { pod: 'a' } } });
  });

  it('[LB-03] [LB-04] ends calls with the reference\u2019s statuses', async () => {
    const { client } = await start(OBJECTS);
    expect(await get(client, '10.0.0.1:80').ended).toEqual({ code: 3, details: 'IP queries not supported by Get API: host=10.0.0.1' });
    expect(await get(client, 'nope.ns.svc.cluster.local').ended).toEqual({ code: 5, details: 'Service nope.ns not found' });
    expect(await getProfile(client, 'nope.ns.svc.cluster.local').ended).toEqual({ code: 2, details: 'service "nope" not found' });
    const text = 'invalid authority: "web:\\n%\\"": "invalid port \\n%\\": strconv.Atoi: parsing \\"\\\\n%\\\\\\"\\": invalid syntax"';
    expect(await getProfile(client, 'web:\n%"').ended).toEqual({ code: 3, details: text });
  });

  it('[LB-21] ends the stream of a client that does not read, with OK, and counts it', async () => {
    const { source, registry, port, server } = await start(OBJECTS, 3);
    const { session, call } = stalledCall(port, 'Get', WEB);
    await expect
      .poll(async () => registry.metrics())
      .toContain('endpoints_subscribers{cluster="local",namespace="ns",service="web",port="80",hostname="",nodename=""} 1');
    for (let round = 0; round < 10; round += 1) {
      source.store.seed(slice('web', 'x', [{ ip: `192.0.2.${round}` }]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await registry.metrics()).toContain('endpoint_updates_queue_overflow{service="web.ns.svc.cluster.local:80"} 1');
    const status = new Promise((resolve) => {
      call.on('trailers', (fields) => resolve(fields['grpc-status']));
    });
    call.resume();
    session.settings({ initialWindowSize: 1 << 20 });
    expect(await status).toBe('0');
    await expect.poll(() => server.streamCount).toBe(0);
    expect(await registry.metrics()).not.toContain('endpoints_subscribers{');
    session.close();
  });

  it('[LB-21] does so for profiles too', async () => {
    const { source, registry, port } = await start(OBJECTS, 2);
    const calls = [stalledCall(port, 'GetProfile', '10.96.0.1:80'), stalledCall(port, 'GetProfile', '10.0.0.1:8080')];
    await expect.poll(async () => registry.metrics()).toContain('workload_subscribers{ip="10.0.0.1",port="8080"} 1');
    await expect.poll(async () => registry.metrics()).toContain('profile_subscribers{namespace="ns",profile="web.ns.svc.cluster.local"} 1');
    for (let round = 0; round < 8; round += 1) {
      source.store.seed(service('web', { clusterIP: '10.96.0.1' }, { 'config.linkerd.io/opaque-ports': round % 2 === 0 ? '80' : '' }));
      source.store.seed(pod('a', { annotations: { 'config.linkerd.io/opaque-ports': round % 2 === 0 ? '8080' : '' } }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const page = await registry.metrics();
    expect(page).toContain('profile_updates_queue_overflow{fqn="web.ns.svc.cluster.local",port="80"} 1');
    expect(page).toContain('endpoint_profile_updates_queue_overflow 1');
    for (const { session } of calls) session.destroy();
  });

  it('[LB-03] ends streams with OK on shutdown', async () => {
    const { client, server } = await start(OBJECTS);
    const [endpoints, profile] = [get(client, WEB), getProfile(client, WEB)];
    await Promise.all([endpoints.next(), profile.next()]);
    await server.shutdown(5_000);
    expect(await Promise.all([endpoints.ended, profile.ended])).toEqual([
      { code: 0, details: '' },
      { code: 0, details: '' },
    ]);
  });

  it('[LB-03] forgets streams that clients cancel', async () => {
    const { client, registry, server } = await start(OBJECTS);
    const streams = [...Array.from({ length: 20 }, () => get(client, WEB)), ...Array.from({ length: 3 }, () => getProfile(client, WEB))];
    await Promise.all(streams.map((stream) => stream.next()));
    expect(await registry.metrics()).toMatch(/endpoints_subscribers\{.*\} 20\n/);
    expect(await registry.metrics()).toContain('service_subscribers{namespace="ns",name="web"} 3');
    for (const stream of streams) stream.cancel();
    await Promise.all(streams.map((stream) => stream.ended));
    await expect.poll(() => server.streamCount).toBe(0);
    expect(await registry.metrics()).not.toMatch(/(endpoints|profile|service)_subscribers\{/);
  });

  it('[LB-03] counts what its caches hold', async () => {
    const { discovery, registry } = await start(OBJECTS);
    await discovery.ready;
    const page = await registry.metrics();
    expect(page).toContain('services_cache_size{cluster="local"} 1');
    expect(page).toContain('pods_cache_size{cluster="local"} 1');
    expect(page).toContain('endpointslices_cache_size{cluster="local"} 1');
  });
});

describe('a source that cannot serve (yet)', () => {
  const startOn = (source: ResourceSource, options: Partial<DestinationOptions> = {}): DestinationService =>
    createDestinationService({ source, options });

  it('[LB-05] is refused where EndpointSlices are missing', async () => {
    const source = createMemorySource();
    const without: ResourceSource = { ...source, supports: (kind) => Promise.resolve(kind.kind !== 'EndpointSlice') };
    await expect(startOn(without).ready).rejects.toThrow('endpointslices are not served');
    await expect(startOn(without, { usesEndpointSlices: false }).ready).resolves.toBeUndefined();
  });

  it('[LB-04] is good without the custom kinds', async () => {
    const source = createMemorySource();
    const without: ResourceSource = { ...source, supports: (kind) => Promise.resolve(!kind.group.includes('linkerd.io')) };
    await expect(startOn(without).ready).resolves.toBeUndefined();
  });

  it('[LB-03] makes calls wait for the caches', async () => {
    const source = createMemorySource({ objects: OBJECTS });
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
    const late: ResourceSource = { ...source, supports: (kind) => gate.then(() => source.supports(kind)) };
    const discovery = startOn(late);
    const stream = new RecordingStream(destination.UpdateSchema);
    const call = discovery.handlers.get(create(destination.GetDestinationSchema, { path: WEB }), stream);
    await new Promise((resolve) => setImmediate(resolve));
    expect([discovery.isReady, stream.messages.length]).toEqual([false, 0]);
    openGate();
    await call;
    expect([discovery.isReady, stream.messages.length]).toEqual([true, 1]);
    discovery.close();
  });

  it('[LB-03] is given up where it never delivers', async () => {
    const source = createMemorySource();
    const silent: ResourceSource = { ...source, watch: () => ({ close: () => undefined }) };
    const discovery = startOn(silent, { syncTimeoutMs: 5 });
    await expect(discovery.ready).rejects.toThrow('caches have not synced within 5 ms');
    const call = discovery.handlers.get(
      create(destination.GetDestinationSchema, { path: WEB }),
      new RecordingStream(destination.UpdateSchema),
    );
    expect(await statusOf(Promise.resolve(call))).toBe('14 caches have not synced');
    discovery.close();
  });
});

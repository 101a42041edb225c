// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { type MessageInitShape, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { listen } from '@weft/net';
import { ObserveRequestSchema, type TapEvent, TapEventSchema, TapEvent_ProxyDirection } from '@weft/proto/tap';
import { MetricRegistry } from '@weft/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { GrpcChannel } from '../control/grpc-client.ts';
import { ControlFamilies } from '../metrics/control-metrics.ts';
import { Observation } from '../observe/observation.ts';
import { CLIENT_ID, MeshPair, REAL_CLOCK, SERVER_ID, identityFor } from '../testing/mesh-pair.ts';
import { balanceBackend, endpointOf, inboundPolicyOf, outboundPolicyOf, targetOf } from '../testing/policies.ts';
import { tapCodec } from './tap-codec.ts';
import type { TapRegistry } from './tap-registry.ts';
import { TapServer, createTapRegistry } from './tap-server.ts';

const TAP_ID = 'tap.linkerd-viz.serviceaccount.identity.linkerd.cluster.local';
const EVERYTHING = { match: { match: { case: 'all', value: {} } } } as const;
const WITH_HEADERS = {
  extract: { extract: { case: 'http', value: { extract: { case: 'headers', value: {} } } } },
} as const;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

interface TappedMesh {
  readonly pair: MeshPair;
  readonly inboundTap: TapRegistry;
  readonly inboundPort: number;
  readonly outboundTap: TapRegistry;
  readonly outboundPort: number;
}

/** An application behind two proxies, each with a tap port. */
async function tappedMesh(answer: http.RequestListener): Promise<TappedMesh> {
  return tappedMeshOf(http.createServer(answer));
}

async function tappedMeshOf(app: Server): Promise<TappedMesh> {
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  closing.push(() => app.close());
  const appPort = (app.address() as AddressInfo).port;
  const metrics = new MetricRegistry();
  const inboundTap = createTapRegistry(metrics, REAL_CLOCK, tapCodec);
  const outboundTap = createTapRegistry(metrics, REAL_CLOCK, tapCodec);
  const pair = await MeshPair.open({
    observe: { inbound: new Observation(inboundTap, undefined), outbound: new Observation(outboundTap, undefined) },
  });
  closing.push(() => pair.close());
  const endpoint = endpointOf(appPort, {
    ip: '127.0.0.1',
    tls: { identity: SERVER_ID, serverName: SERVER_ID },
    protocolHint: 'h2',
    opaqueTransportPort: pair.inboundPort,
    labels: { deployment: 'server', namespace: 'shop' },
  });
  pair.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('svc.test:80')] }])));
  pair.discovery.setEndpoints('svc.test:80', [endpoint]);
  pair.discovery.port(appPort).set(inboundPolicyOf('detect'));
  const serve = async (registry: TapRegistry, name: string): Promise<number> => {
    const server = new TapServer({ clientName: TAP_ID, identity: identityFor(name), clock: REAL_CLOCK, codec: tapCodec, registry });
    const listener = await listen({
      host: '127.0.0.1',
      port: 0,
      originalDestination: false,
      onConnection: (stream) => server.accept(stream),
      onError: () => {},
    });
    closing.push(() => listener.close());
    return listener.address.port;
  };
  return {
    pair,
    inboundTap,
    inboundPort: await serve(inboundTap, SERVER_ID),
    outboundTap,
    outboundPort: await serve(outboundTap, CLIENT_ID),
  };
}

interface Observed {
  readonly events: TapEvent[];
  readonly ended: Promise<{ status: number; message: string }>;
  cancel(): void;
}

/** Calls Observe as `clientName`, or in plaintext. */
function observe(
  port: number,
  serverName: string,
  clientName: string | undefined,
  request: MessageInitShape<typeof ObserveRequestSchema>,
): Observed {
  const channel = new GrpcChannel({
    address: { host: '127.0.0.1', port, identity: clientName === undefined ? undefined : serverName },
    identity: identityFor(clientName ?? CLIENT_ID),
    clock: REAL_CLOCK,
    backoff: { minMs: 10, maxMs: 10, jitterRatio: 0 },
    connectTimeoutMs: 1000,
    keepAliveMs: undefined,
    userTimeoutMs: undefined,
    metrics: new ControlFamilies(new MetricRegistry()).channel({ host: '127.0.0.1', port, identity: undefined }, 'tap', 1000),
    resolve: (onResolved) => onResolved([{ ip: '127.0.0.1', port }]),
    log: { debug: () => {}, warn: () => {} },
  });
  closing.push(() => channel.close());
  const events: TapEvent[] = [];
  const { promise, resolve } = Promise.withResolvers<{ status: number; message: string }>();
  const message = toBinary(ObserveRequestSchema, create(ObserveRequestSchema, request));
  const call = channel.call('/io.linkerd.proxy.tap.Tap/Observe', message, {
    onMessage: (bytes) => void events.push(fromBinary(TapEventSchema, bytes)),
    onEnd: (status, text) => resolve({ status, message: text }),
  });
  return { events, ended: promise, cancel: () => call.cancel() };
}

async function ask(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = http.get({ host: '127.0.0.1', port, path, agent: false, headers: { host: 'svc.test' } }, (response) => {
      response.resume();
      response.on('close', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const OK_ANSWER: http.RequestListener = (_request, response) => {
  response.setHeader('x-app', '1');
  response.end('hello');
};

describe('a tap', () => {
  it('[VIZ-08] shows both ends of requests to the one client that may see them, then ends at its limit', async () => {
    const mesh = await tappedMesh(OK_ANSWER);
    const inbound = observe(mesh.inboundPort, SERVER_ID, TAP_ID, { limit: 2, ...EVERYTHING, ...WITH_HEADERS });
    const outbound = observe(mesh.outboundPort, CLIENT_ID, TAP_ID, { limit: 1, ...EVERYTHING });
    await until(() => mesh.inboundTap.isActive && mesh.outboundTap.isActive);
    for (let i = 0; i < 3; i++) expect(await ask(mesh.pair.outboundPort, `/p?${i}`)).toBe(200);
    expect(await inbound.ended).toEqual({ status: 0, message: '' });
    expect(await outbound.ended).toEqual({ status: 0, message: '' });
    expect(mesh.inboundTap.isActive).toBe(false);
    expect(mesh.inboundTap.size).toBe(0);

    expect(inbound.events.map(({ event }) => event.value?.event.case)).toEqual([
      'requestInit',
      'responseInit',
      'responseEnd',
      'requestInit',
      'responseInit',
      'responseEnd',
    ]);
    const [request, response, end, second] = inbound.events.map((event) => ({ event, http: event.event.value?.event }));
    expect(request?.event.proxyDirection).toBe(TapEvent_ProxyDirection.INBOUND);
    expect(request?.event.sourceMeta?.labels).toEqual({ tls: 'true', client_id: CLIENT_ID });
    expect(request?.event.destinationMeta?.labels).toMatchObject({
      tls: 'loopback',
      srv_kind: 'server',
      route_kind: 'default',
      authz_kind: expect.any(String),
    });
    expect(request?.event.destination?.ip?.ip).toEqual({ case: 'ipv4', value: 0x7f000001 });
    if (request?.http?.case !== 'requestInit' || second?.http?.case !== 'requestInit') throw new Error('no request');
    expect(request.http.value).toMatchObject({ authority: 'svc.test', path: '/p?0', method: { type: { case: 'registered', value: 0 } } });
    expect(request.http.value.headers?.headers.slice(0, 4).map(({ name, value }) => `${name}=${Buffer.from(value).toString()}`)).toEqual([
      ':method=GET',
      ':scheme=http',
      ':authority=svc.test',
      ':path=/p?0',
    ]);
    expect(second.http.value.id).toEqual({ ...request.http.value.id, stream: 1n });
    if (response?.http?.case !== 'responseInit' || end?.http?.case !== 'responseEnd') throw new Error('no response');
    expect(response.http.value.httpStatus).toBe(200);
    expect(response.http.value.headers?.headers[0]).toMatchObject({ name: ':status' });
    expect(end.http.value).toMatchObject({ responseBytes: 5n, eos: { end: { case: undefined } } });

    expect(outbound.events).toHaveLength(3);
    const [sent] = outbound.events;
    expect(sent?.proxyDirection).toBe(TapEvent_ProxyDirection.OUTBOUND);
    expect(sent?.sourceMeta?.labels).toEqual({ tls: 'loopback' });
    expect(sent?.destinationMeta?.labels).toEqual({ deployment: 'server', namespace: 'shop', tls: 'true', server_id: SERVER_ID });
    if (sent?.event.value?.event.case !== 'requestInit') throw new Error('no request');
    expect(sent.event.value.event.value.headers).toBeUndefined();
  });

  it('[VIZ-08] is refused to every other identity', async () => {
    const mesh = await tappedMesh(OK_ANSWER);
    const other = observe(mesh.inboundPort, SERVER_ID, CLIENT_ID, { limit: 1, ...EVERYTHING });
    expect(await other.ended).toEqual({ status: 16, message: 'Unauthorized client' });
    expect(mesh.inboundTap.isActive).toBe(false);
  });

  it('[VIZ-08] is served in plaintext over loopback', async () => {
    const mesh = await tappedMesh(OK_ANSWER);
    const local = observe(mesh.inboundPort, SERVER_ID, undefined, { limit: 1, ...EVERYTHING });
    await until(() => mesh.inboundTap.isActive);
    expect(await ask(mesh.pair.outboundPort, '/')).toBe(200);
    expect((await local.ended).status).toBe(0);
    expect(local.events).toHaveLength(3);
  });

  it.each([
    ['no limit', { limit: 0, ...EVERYTHING }, 'limit must be positive'],
    ['no match', { limit: 1 }, 'match is required'],
    ['a match without meaning', { limit: 1, match: {} }, 'missing a required field'],
    [
      'a network of 40 bits of IPv4',
      {
        limit: 1,
        match: {
          match: { case: 'source', value: { match: { case: 'netmask', value: { ip: { ip: { case: 'ipv4', value: 1 } }, mask: 40 } } } },
        },
      },
      'invalid network',
    ],
    [
      'ports in the wrong order',
      { limit: 1, match: { match: { case: 'destination', value: { match: { case: 'ports', value: { min: 9, max: 8 } } } } } },
      'invalid port range',
    ],
  ] satisfies [string, MessageInitShape<typeof ObserveRequestSchema>, string][])('with %s is refused', async (_, request, message) => {
    const mesh = await tappedMesh(OK_ANSWER);
    expect(await observe(mesh.inboundPort, SERVER_ID, TAP_ID, request).ended).toEqual({ status: 3, message });
  });

  it('[VIZ-08] shows only what it was asked for, and nothing more once its reader is gone', async () => {
    const mesh = await tappedMesh(OK_ANSWER);
    const tap = observe(mesh.outboundPort, CLIENT_ID, TAP_ID, {
      limit: 10,
      match: {
        match: {
          case: 'all',
          value: {
            matches: [
              { match: { case: 'http', value: { match: { case: 'path', value: { match: { case: 'prefix', value: '/wanted' } } } } } },
              { match: { case: 'destinationLabel', value: { key: 'deployment', value: 'server' } } },
              {
                match: {
                  case: 'not',
                  value: { match: { case: 'destination', value: { match: { case: 'ports', value: { min: 1, max: 2 } } } } },
                },
              },
            ],
          },
        },
      },
    });
    await until(() => mesh.outboundTap.isActive);
    for (const path of ['/other', '/wanted', '/wanted?x=1']) await ask(mesh.pair.outboundPort, path);
    await until(() => tap.events.length === 6);
    tap.cancel();
    await until(() => !mesh.outboundTap.isActive);
    expect(mesh.outboundTap.size).toBe(0);
    expect(await ask(mesh.pair.outboundPort, '/wanted')).toBe(200);
    expect(tap.events).toHaveLength(6);
  });

  it('[VIZ-08] shows gRPC over HTTP/2 with its status, and resets with their code', async () => {
    const app = http2.createServer();
    app.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      stream.on('error', () => {});
      if (headers[':path'] === '/reset') {
        stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
        return;
      }
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '5' }));
      stream.end('12345');
    });
    const mesh = await tappedMeshOf(app);
    const tap = observe(mesh.inboundPort, SERVER_ID, TAP_ID, { limit: 2, ...EVERYTHING, ...WITH_HEADERS });
    await until(() => mesh.inboundTap.isActive);
    const session = http2.connect(`http://127.0.0.1:${mesh.pair.outboundPort}`);
    closing.push(() => session.destroy());
    for (const path of ['/ok', '/reset']) {
      const call = session.request({ ':method': 'POST', ':authority': 'svc.test', ':path': path, 'content-type': 'application/grpc' });
      call.on('error', () => {});
      call.resume().end();
      await new Promise((resolve) => void call.on('close', resolve));
    }
    expect((await tap.ended).status).toBe(0);
    const ends = tap.events.flatMap(({ event }) => (event.value?.event.case === 'responseEnd' ? [event.value.event.value] : []));
    expect(ends.map(({ eos }) => eos?.end)).toEqual([
      { case: 'grpcStatusCode', value: 5 },
      { case: 'resetErrorCode', value: 11 },
    ]);
    expect(ends[0]?.trailers?.headers.map(({ name }) => name)).toEqual(['grpc-status']);
    expect(ends[0]?.responseBytes).toBe(5n);
    expect(ends[1]?.sinceResponseInit).toBeUndefined();
  });

  it('tells of an endpoint that broke off', async () => {
    const mesh = await tappedMesh((_request, response) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('abc', () => response.destroy());
    });
    const tap = observe(mesh.inboundPort, SERVER_ID, TAP_ID, { limit: 1, ...EVERYTHING });
    await until(() => mesh.inboundTap.isActive);
    await ask(mesh.pair.outboundPort, '/');
    expect((await tap.ended).status).toBe(0);
    const end = tap.events.at(-1)?.event.value?.event;
    expect(end).toMatchObject({ case: 'responseEnd', value: { responseBytes: 3n } });
  });
});

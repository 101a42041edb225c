// SPDX-License-Identifier: Apache-2.0
/*
 * What the network between pods shows: of meshed pods nothing that an application has said, only TLS on the proxies' port with the transport
 * header's ALPN and the server's identity; of a pod without proxy everything. Markers are random, so no other byte can hold them by chance.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Capture, type TcpStream } from './capture.ts';
import { HostMesh, type PodView } from './mesh.ts';

const INBOUND_PORT = 4143;
const TLS_HANDSHAKE = 22;

let mesh: HostMesh;
let client: PodView;
let server: PodView;
let bare: PodView;
let capture: Capture | undefined;

beforeAll(async () => {
  mesh = await HostMesh.start({ fixture: 'traffic', name: 'capture' });
  client = await mesh.pod('e2e', 'client');
  server = await mesh.pod('e2e', 'server');
  bare = await mesh.pod('e2e', 'bare');
});
afterEach(() => capture?.kill());
afterAll(() => mesh?.stop());

const createMarker = (): string => `marker-${randomBytes(16).toString('hex')}`;

/** Streams that hold the text, as `from → to:port`. */
function streamsWith(streams: readonly TcpStream[], text: string): string[] {
  return streams
    .filter(({ bytes }) => bytes.includes(text))
    .map(({ from, fromPort, to, toPort }) => `${from}:${fromPort} → ${to}:${toPort}`);
}

/** Streams between any two of these addresses. */
function among(streams: readonly TcpStream[], addresses: readonly string[]): readonly TcpStream[] {
  return streams.filter(({ from, to, bytes }) => bytes.length > 0 && addresses.includes(from) && addresses.includes(to));
}

/** One conversation of every kind, each with the marker in all places that an application can put it. */
async function talkAboutEverything(from: PodView, marker: string): Promise<void> {
  const headers = { 'x-marker': marker, cookie: `session=${marker}` };
  const checked = async (kind: string, options: Readonly<Record<string, unknown>>): Promise<void> => {
    const seen = JSON.stringify(await mesh.client(from, kind, { host: 'server', ...options }));
    // The conversation itself took place.
    if (!/"status":200|"code":0|"code":1000|"bytes":\d{4}|HELLO/.test(seen)) throw new Error(`${kind}: ${seen}`);
  };
  await checked('http1', { path: `/${marker}?trailers`, method: 'POST', body: marker, headers, count: 3 });
  await checked('http1', { host: server.ip, port: 8080, path: `/${marker}`, headers });
  await checked('http1', { path: `/?bytes=5000000`, headers, keepsBody: false });
  await checked('http2', { port: 8081, requests: [{ path: `/${marker}`, method: 'POST', headers, body: marker }] });
  await checked('grpc', { port: 50_051, method: 'chat', text: marker, count: 5, headers: { 'x-marker': marker } });
  await checked('websocket', { url: `ws://server:8082/${marker}`, messages: [marker, marker] });
  await checked('connect', { port: 80, target: '127.0.0.1:9000', bodyBytes: 10_000, marker });
  await checked('collect', { port: 9000, bodyBytes: 2_000_000, marker });
  // A first read of nothing but letters would pass for the beginning of a request's method, here as in the reference.
  await checked('collect', { port: 9100, bodyBytes: 20_000, marker: `\0${marker}` });
  await checked('talk', { port: 9001, lines: [marker, marker] });
  await checked('late', { port: 9002, bodyBytes: 10_000 });
}

it('[ID-02] [ID-14] shows only TLS on the proxies’ port between meshed pods, whatever they say', async () => {
  const marker = createMarker();
  capture = await Capture.start(mesh.name);
  await talkAboutEverything(client, marker);
  const streams = await capture.stop();
  expect(streamsWith(streams, marker)).toEqual([]);
  for (const text of ['HELLO', 'sum-of', '/e2e.Echo/', server.name, 'x-marker']) {
    expect(streamsWith(among(streams, [client.ip, server.ip]), text)).toEqual([]);
  }
  const ours = among(streams, [client.ip, server.ip]);
  const opening = ours.filter(({ isClient }) => isClient);
  // Streams of all kinds went by: HTTP/2 and HTTP/1 transports and one for each opaque connection.
  expect(opening.length).toBeGreaterThanOrEqual(8);
  expect(ours.reduce((total, { bytes }) => total + bytes.length, 0)).toBeGreaterThan(7_000_000);
  for (const { fromPort, toPort, isClient, bytes } of ours) {
    expect(isClient ? toPort : fromPort).toBe(INBOUND_PORT);
    expect([bytes[0], bytes[1]]).toEqual([TLS_HANDSHAKE, 3]);
  }
  for (const { bytes } of opening) {
    expect(bytes.includes('transport.l5d.io/v1')).toBe(true);
    expect(bytes.includes('server.e2e.serviceaccount.identity.linkerd.cluster.local')).toBe(true);
    // TLS 1.3 shows no certificate.
    expect(bytes.includes('client.e2e.serviceaccount')).toBe(false);
  }
});

it('[ID-12] shows what a pod without proxy sends and receives', async () => {
  const sent = createMarker();
  const received = createMarker();
  capture = await Capture.start(mesh.name);
  expect(await mesh.client(bare, 'http1', { host: 'server', path: `/${sent}` })).toMatchObject([{ status: 200 }]);
  expect(await mesh.client(client, 'http1', { host: 'bare', path: `/${received}` })).toMatchObject([{ status: 200 }]);
  const streams = await capture.stop();
  const toServer = among(streams, [bare.ip, server.ip]).filter(({ isClient }) => isClient);
  expect(toServer.map(({ to, toPort, bytes }) => [to, toPort, bytes.includes(sent)])).toEqual([[server.ip, 8080, true]]);
  const toBare = among(streams, [bare.ip, client.ip]).filter(({ isClient }) => isClient);
  expect(toBare.map(({ to, toPort, bytes }) => [to, toPort, bytes.includes(received)])).toEqual([[bare.ip, 8080, true]]);
});

it('[ID-02] shows only TLS between the control plane and the proxies', async () => {
  const own = await mesh.pods('linkerd');
  capture = await Capture.start(mesh.name);
  // A new pod asks for its certificate, its policies, its destinations.
  await mesh.rollout('e2e', 'client', { app: 'client' });
  const [pod] = await mesh.untilPods('e2e', 'client', 1);
  client = pod as PodView;
  expect(await mesh.client(client, 'http1', { host: 'server' })).toMatchObject([{ status: 200 }]);
  const streams = await capture.stop();
  const ours = among(streams, [client.ip, ...own.map(({ ip }) => ip)]).filter(({ isClient, isWhole }) => isClient && isWhole);
  expect(new Set(ours.filter(({ from }) => from === client.ip).map(({ toPort }) => toPort))).toEqual(new Set([8080, 8086, 8090]));
  for (const { bytes } of ours) {
    expect(bytes[0]).toBe(TLS_HANDSHAKE);
    expect(/linkerd-(identity|destination)\.linkerd\.serviceaccount/.test(bytes.toString('latin1'))).toBe(true);
  }
});

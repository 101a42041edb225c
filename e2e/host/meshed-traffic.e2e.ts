// SPDX-License-Identifier: Apache-2.0
/*
 * Every kind of traffic between two meshed pods: the bytes at both ends, the identity that the application sees, what both proxies count, what
 * the server's proxy logs. Conversations come from a client application inside the pod, as any application's would.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { payloadHash } from './fixtures/apps/payload.ts';
import { HostMesh, type PodView, until } from './mesh.ts';
import type { Samples } from './samples.ts';

interface HttpResult {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly trailers?: Readonly<Record<string, string>>;
  readonly localPort?: number;
  readonly bytes?: number;
  readonly hash?: string;
  readonly body?: string;
  readonly error?: string;
}

/** What the server application tells about a request. */
interface Seen {
  readonly server: string;
  readonly pod: string;
  readonly method: string;
  readonly url: string;
  readonly version: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  readonly bodyBytes: number;
  readonly bodyHash: string;
}

interface GrpcResult {
  readonly code: number;
  readonly details: string;
  readonly messages: readonly Readonly<Record<string, string>>[];
}

const identityOf = (account: string): string => `${account}.e2e.serviceaccount.identity.linkerd.cluster.local`;
const CLIENT_ID = identityOf('client');
const SERVER_ID = identityOf('server');
const BIG_BYTES = 50_000_000;

let mesh: HostMesh;
let client: PodView;
let server: PodView;

beforeAll(async () => {
  mesh = await HostMesh.start({ fixture: 'traffic', name: 'traffic' });
  client = await mesh.pod('e2e', 'client');
  server = await mesh.pod('e2e', 'server');
});
afterAll(() => mesh?.stop());

const http1 = (options: Readonly<Record<string, unknown>>): Promise<readonly HttpResult[]> => mesh.client(client, 'http1', options);
const http2 = (options: Readonly<Record<string, unknown>>): Promise<readonly HttpResult[]> => mesh.client(client, 'http2', options);
const seenBy = (result: HttpResult | undefined): Seen => JSON.parse(result?.body ?? 'null') as Seen;

/** What two proxies have counted of one conversation. */
interface Counted {
  readonly outbound: Samples;
  readonly inbound: Samples;
}

/** Talks, then waits until both pages satisfy `isComplete`: what closes a conversation is counted a moment after it was heard. */
async function counted(isComplete: (now: Counted) => boolean): Promise<Counted> {
  let last: Counted | undefined;
  return until('the metrics of both proxies', async () => {
    const now = { outbound: await mesh.metrics(client), inbound: await mesh.metrics(server) };
    last = now;
    return isComplete(now) && now;
  }).catch(() => {
    throw new Error(`the metrics are not as they should be:\n${JSON.stringify(last?.outbound.find('response_total'), undefined, 1)}`);
  });
}

describe('HTTP/1 between meshed pods', () => {
  it('[PROTO-07] [ID-10] keeps one connection for many requests, and tells the application who calls', async () => {
    const results = await http1({ host: 'server', path: '/keep', headers: { 'l5d-client-id': 'somebody.else' }, count: 20 });
    expect(results.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(new Set(results.map(({ localPort }) => localPort)).size).toBe(1);
    for (const result of results) {
      expect(seenBy(result)).toMatchObject({ server: 'server', method: 'GET', url: '/keep', version: '1.1' });
      expect(seenBy(result).headers['l5d-client-id']).toBe(CLIENT_ID);
      expect(seenBy(result).headers.host).toBe('server');
      // What proxies say among themselves stays among them.
      expect(Object.keys(seenBy(result).headers).filter((name) => name.startsWith('l5d-'))).toEqual(['l5d-client-id']);
      expect(Object.keys(result.headers ?? {}).filter((name) => name.startsWith('l5d-'))).toEqual([]);
    }
  });

  it('[PROTO-07] carries chunked bodies with trailers both ways', async () => {
    const [result] = await http1({
      host: 'server.e2e',
      path: '/post?trailers',
      method: 'POST',
      headers: { trailer: 'x-check' },
      bodyBytes: 300_000,
      seed: 'post',
      trailers: { 'x-check': 'whole' },
    });
    expect(result).toMatchObject({ status: 200, trailers: { 'x-sum': 'sum-of-300000' } });
    expect(seenBy(result)).toMatchObject({
      method: 'POST',
      bodyBytes: 300_000,
      bodyHash: payloadHash('post', 300_000),
      trailers: { 'x-check': 'whole' },
    });
  });

  it('[PROTO-09] sends many HTTP/1 requests of many connections over one HTTP/2 connection between the proxies', async () => {
    const port = { direction: 'outbound', peer: 'dst', target_port: '8080', target_ip: server.ip, server_id: SERVER_ID };
    await http1({ host: 'server' });
    const before = (await mesh.metrics(client)).sum('tcp_open_total', port);
    const results = await http1({ host: 'server', path: '/?delay=20', count: 60, parallel: 12 });
    expect(results.every(({ status }) => status === 200)).toBe(true);
    expect(new Set(results.map(({ localPort }) => localPort)).size).toBe(12);
    expect((await mesh.metrics(client)).sum('tcp_open_total', port)).toBe(before);
  });

  it('passes 50 MB down and 50 MB up, byte for byte', async () => {
    const [down] = await http1({ host: 'server', path: `/big?bytes=${BIG_BYTES}&seed=down`, keepsBody: false });
    expect(down).toMatchObject({ status: 200, bytes: BIG_BYTES, hash: payloadHash('down', BIG_BYTES) });
    const [up] = await http1({ host: 'server', path: '/big', method: 'PUT', bodyBytes: BIG_BYTES, seed: 'up' });
    expect(seenBy(up)).toMatchObject({ method: 'PUT', bodyBytes: BIG_BYTES, bodyHash: payloadHash('up', BIG_BYTES) });
  });

  it('[MET-01] [MET-02] [ID-02] counts at both proxies under the reference’s names, with both identities', async () => {
    const before = await counted(() => true);
    const out = {
      direction: 'outbound',
      tls: 'true',
      server_id: SERVER_ID,
      dst_service: 'server',
      target_port: '8080',
      status_code: '418',
    };
    const into = { direction: 'inbound', tls: 'true', client_id: CLIENT_ID, target_port: '8080', status_code: '418' };
    await http1({ host: 'server', path: '/?status=418', count: 7 });
    const { outbound, inbound } = await counted(
      (now) =>
        now.outbound.sum('response_total', out) - before.outbound.sum('response_total', out) === 7 &&
        now.inbound.sum('response_total', into) - before.inbound.sum('response_total', into) === 7,
    );
    const [sent] = outbound.find('response_total', out);
    expect(sent?.labels).toMatchObject({
      authority: 'server.e2e.svc.cluster.local:80',
      target_addr: `${server.ip}:8080`,
      target_ip: server.ip,
      classification: 'success',
      dst_namespace: 'e2e',
      dst_deployment: 'server',
      dst_pod: server.name,
      dst_serviceaccount: 'server',
      dst_control_plane_ns: 'linkerd',
      dst_pod_template_hash: server.labels['pod-template-hash'],
    });
    expect(inbound.find('response_total', into)[0]?.labels).toMatchObject({
      target_addr: `${server.ip}:8080`,
      classification: 'success',
      srv_kind: 'default',
      srv_name: 'all-unauthenticated',
      srv_port: '8080',
      route_name: 'default',
      authz_name: 'all-unauthenticated',
    });
    const bounds = outbound
      .find('response_latency_ms_bucket', { direction: 'outbound', status_code: '418', dst_service: 'server' })
      .map(({ labels }) => labels.le);
    expect(bounds).toEqual([
      ...['1', '2', '3', '4', '5', '10', '20', '30', '40', '50', '100', '200', '300', '400', '500'],
      ...['1000', '2000', '3000', '4000', '5000', '10000', '20000', '30000', '40000', '50000', '+Inf'],
    ]);
    expect(outbound.sum('request_total', { direction: 'outbound', dst_service: 'server', target_port: '8080' })).toBeGreaterThan(
      before.outbound.sum('request_total', { direction: 'outbound', dst_service: 'server', target_port: '8080' }),
    );
    expect(outbound.sum('outbound_http_route_request_statuses_total', { parent_name: 'server', http_status: '418' })).toBe(7);
    expect(inbound.sum('inbound_http_statuses_total', { parent_port: '8080', status: '418' })).toBe(7);
    expect(inbound.sum('inbound_http_authz_allow_total', { target_port: '8080', client_id: CLIENT_ID, tls: 'true' })).toBeGreaterThan(0);
  });

  it('[LOG-01] [LOG-02] logs one line of JSON per inbound request, and says whom the proxy was certified as', async () => {
    await http1({ host: 'server', path: '/logged?status=203', headers: { 'user-agent': 'e2e/1', 'x-request-id': 'trace-me' } });
    const line = await until('a line of the access log', () =>
      mesh
        .log(server, 'linkerd-proxy')
        .split('\n')
        .find((one) => one.includes('/logged')),
    );
    expect(JSON.parse(line)).toMatchObject({
      'client.id': CLIENT_ID,
      host: 'server',
      method: 'GET',
      status: 203,
      user_agent: 'e2e/1',
      trace_id: 'trace-me',
      version: 'HTTP/2.0',
    });
    expect(mesh.log(server, 'linkerd-proxy')).toContain(`Certified identity id=${SERVER_ID}`);
  });
});

describe('HTTP/2 and gRPC between meshed pods', () => {
  it('[PROTO-08] carries concurrent streams with bodies and trailers both ways', async () => {
    const requests = Array.from({ length: 10 }, (_, index) => ({
      path: `/two?trailers&index=${index}`,
      method: 'POST',
      bodyBytes: 100_000 + index,
      seed: `two-${index}`,
      trailers: { 'x-check': String(index) },
    }));
    const results = await http2({ host: 'server', port: 8081, requests });
    for (const [index, result] of results.entries()) {
      expect(result).toMatchObject({ status: 200, code: 0, trailers: { 'x-sum': `sum-of-${100_000 + index}` } });
      expect(seenBy(result)).toMatchObject({
        version: '2.0',
        url: `/two?trailers&index=${index}`,
        bodyBytes: 100_000 + index,
        bodyHash: payloadHash(`two-${index}`, 100_000 + index),
        trailers: { 'x-check': String(index) },
      });
      expect(seenBy(result).headers['l5d-client-id']).toBe(CLIENT_ID);
    }
  });

  it('[PROTO-08] passes 50 MB down and 50 MB up at once', async () => {
    const [down, up] = await http2({
      host: 'server',
      port: 8081,
      requests: [
        { path: `/big?bytes=${BIG_BYTES}&seed=down`, keepsBody: false },
        { path: '/big', method: 'PUT', bodyBytes: BIG_BYTES, seed: 'up' },
      ],
    });
    expect(down).toMatchObject({ status: 200, bytes: BIG_BYTES, hash: payloadHash('down', BIG_BYTES) });
    expect(seenBy(up)).toMatchObject({ bodyBytes: BIG_BYTES, bodyHash: payloadHash('up', BIG_BYTES) });
  });

  it('[PROTO-08] [ID-10] answers gRPC calls: unary, a stream of answers, a conversation', async () => {
    const unary = await mesh.client<GrpcResult>(client, 'grpc', { host: 'server', port: 50_051, text: 'one', count: 3 });
    expect(unary).toMatchObject({ code: 0, details: 'OK' });
    expect(unary.messages.map(({ text, clientId }) => [text, clientId])).toEqual(Array.from({ length: 3 }, () => ['one', CLIENT_ID]));
    const stream = await mesh.client<GrpcResult>(client, 'grpc', { host: 'server', port: 50_051, method: 'stream', count: 500 });
    expect(stream.code).toBe(0);
    expect(stream.messages.map(({ index }) => index)).toEqual(Array.from({ length: 500 }, (_, index) => index));
    const chat = await mesh.client<GrpcResult>(client, 'grpc', { host: 'server', port: 50_051, method: 'chat', text: 'hi', count: 50 });
    expect(chat.code).toBe(0);
    expect(chat.messages.map(({ text }) => text)).toEqual(Array.from({ length: 50 }, (_, index) => `hi-${index}`));
    const { inbound } = await counted(
      (now) => now.outbound.sum('response_total', { direction: 'outbound', target_port: '50051', grpc_status: '0' }) === 5,
    );
    expect(inbound.sum('inbound_http_statuses_total', { parent_port: '50051', status: '200' })).toBe(5);
  });
});

describe('what is tunnelled', () => {
  it('[PROTO-10] [ID-10] upgrades to WebSocket and echoes messages and 200 kB of bytes', async () => {
    const seen = await mesh.client<{ code: number; messages: string[]; bytes: number; hash: string }>(client, 'websocket', {
      url: 'ws://server:8082/chat',
      headers: { 'l5d-client-id': 'somebody.else' },
      messages: ['one', 'two', 'three'],
      bodyBytes: 200_000,
    });
    expect(seen).toMatchObject({ code: 1000, bytes: 200_000, hash: payloadHash('ws', 200_000) });
    expect(seen.messages.slice(1)).toEqual(['one', 'two', 'three']);
    const { headers } = JSON.parse(seen.messages[0] ?? '{}') as Seen;
    expect(headers).toMatchObject({ upgrade: 'websocket', 'l5d-client-id': CLIENT_ID });
    const { outbound, inbound } = await counted((now) => now.inbound.sum('inbound_http_statuses_total', { status: '101' }) === 1);
    // Never over HTTP/2: the connection says so in its transport header.
    expect(inbound.sum('inbound_tcp_transport_header_connections_total', { session_protocol: 'http/1', target_port: '8082' })).toBe(1);
    expect(outbound.sum('response_total', { direction: 'outbound', target_port: '8082', status_code: '101', tls: 'true' })).toBe(1);
  });

  it('[PROTO-11] tunnels through CONNECT, with half-close', async () => {
    const bodyBytes = 400_000;
    const hash = payloadHash('connect', bodyBytes);
    const seen = await mesh.client(client, 'connect', { host: 'server', port: 80, target: '127.0.0.1:9000', bodyBytes });
    expect(seen).toMatchObject({ status: 200, serverHash: hash, bytes: bodyBytes, hash });
  });
});

describe('opaque bytes between meshed pods', () => {
  it.each([
    ['[PROTO-03] a port that is declared opaque', 9000],
    ['[PROTO-01] a port whose first bytes are no protocol that we know', 9100],
  ])('[PROTO-21] [MET-05] passes 3 MB and a half-close both ways on %s', async (_, port) => {
    const bodyBytes = 3_000_000;
    const hash = payloadHash('opaque', bodyBytes);
    const seen = await mesh.client(client, 'collect', { host: 'server', port, bodyBytes, seed: 'opaque' });
    expect(seen).toEqual({ serverHash: hash, bytes: bodyBytes, hash });
    const out = { direction: 'outbound', peer: 'dst', target_port: String(port), tls: 'true', server_id: SERVER_ID };
    const into = { direction: 'inbound', peer: 'src', target_port: String(port), tls: 'true', client_id: CLIENT_ID };
    const { outbound, inbound } = await counted(
      (now) => now.outbound.sum('tcp_close_total', { ...out, errno: '' }) === 1 && now.inbound.sum('tcp_close_total', into) === 1,
    );
    for (const [page, labels] of [[outbound, out] as const, [inbound, into] as const]) {
      expect(page.sum('tcp_open_total', labels)).toBe(1);
      expect(page.sum('tcp_open_connections', labels)).toBe(0);
      expect(page.sum('tcp_read_bytes_total', labels)).toBeGreaterThanOrEqual(bodyBytes);
      expect(page.sum('tcp_write_bytes_total', labels)).toBeGreaterThanOrEqual(bodyBytes);
    }
    expect(outbound.sum('outbound_tcp_route_open_total', { parent_name: 'server', parent_port: String(port), route_name: 'opaq' })).toBe(1);
    expect(inbound.sum('inbound_tcp_authz_allow_total', { target_port: String(port), client_id: CLIENT_ID })).toBe(1);
  });

  it('[PROTO-03] lets a server speak first on an opaque port', async () => {
    const seen = await mesh.client<{ lines: string[] }>(client, 'talk', { host: 'server', port: 9001, lines: ['how', 'are', 'you'] });
    expect(seen.lines).toEqual([`HELLO server ${server.name}`, 'how', 'are', 'you']);
  });

  it('[PROTO-21] keeps the client’s half open after the server has closed its own', async () => {
    const seen = await mesh.client(client, 'late', { host: 'server', port: 9002, bodyBytes: 300_000, seed: 'late' });
    expect(seen).toEqual({ bytes: 300_000, hash: payloadHash('half', 300_000) });
    const line = await until('the server’s count', () =>
      mesh
        .log(server, 'server')
        .split('\n')
        .find((one) => one.startsWith('HALF')),
    );
    expect(line).toBe(`HALF 300000 ${payloadHash('late', 300_000)}`);
  });

  it('passes 50 MB each way, byte for byte', async () => {
    const hash = payloadHash('large', BIG_BYTES);
    const seen = await mesh.client(client, 'collect', { host: 'server', port: 9000, bodyBytes: BIG_BYTES, seed: 'large' });
    expect(seen).toEqual({ serverHash: hash, bytes: BIG_BYTES, hash });
  });
});

describe('how a destination is named', () => {
  it.each(['server', 'server.e2e', 'server.e2e.svc', 'server.e2e.svc.cluster.local', 'server.e2e.svc.cluster.local.'])(
    'reaches the service as %s, by the search domains of the pod',
    async (host) => {
      const [result] = await http1({ host, path: '/named' });
      expect(result?.status).toBe(200);
      expect(seenBy(result)).toMatchObject({ server: 'server', url: '/named' });
    },
  );

  it('answers SRV for ports of services, and for each pod of a headless one', async () => {
    expect(await mesh.client(client, 'srv', { name: '_http._tcp.server.e2e.svc.cluster.local' })).toMatchObject([
      { name: 'server.e2e.svc.cluster.local', port: 80 },
    ]);
    const found = await mesh.client<{ name: string; port: number }[]>(client, 'srv', { name: '_http._tcp.db.e2e.svc.cluster.local' });
    expect(found.map(({ name, port }) => `${name}:${port}`).sort()).toEqual([
      'db-0.db.e2e.svc.cluster.local:8080',
      'db-1.db.e2e.svc.cluster.local:8080',
    ]);
    expect(await mesh.client(client, 'resolve', { name: 'nobody.e2e.svc.cluster.local' })).toEqual({ error: 'ENOTFOUND' });
  });

  it('[LB-06] secures a pod that is called by its address', async () => {
    const [result] = await http1({ host: server.ip, port: 8080, path: '/direct' });
    expect(seenBy(result).headers['l5d-client-id']).toBe(CLIENT_ID);
    const { outbound } = await counted(
      (now) => now.outbound.sum('response_total', { target_addr: `${server.ip}:8080`, dst_service: '', tls: 'true' }) > 0,
    );
    const [sample] = outbound.find('response_total', { target_addr: `${server.ip}:8080`, dst_service: '', tls: 'true' });
    expect(sample?.labels).toMatchObject({ server_id: SERVER_ID, dst_pod: server.name, dst_namespace: 'e2e' });
  });

  it('[LB-07] reaches one pod of a StatefulSet by its host name', async () => {
    for (const pod of ['db-0', 'db-1', 'db-0']) {
      const [result] = await http1({ host: `${pod}.db`, port: 8080 });
      expect(seenBy(result)).toMatchObject({ pod });
      expect(seenBy(result).headers['l5d-client-id']).toBe(CLIENT_ID);
    }
    const page = await mesh.metrics(client);
    const [sample] = page.find('response_total', { dst_pod: 'db-1' });
    expect(sample?.labels).toMatchObject({ tls: 'true', server_id: identityOf('db'), dst_statefulset: 'db' });
  });

  it('[ID-12] reaches a pod without proxy in plaintext, and says so in the metrics', async () => {
    const [result] = await http1({ host: 'bare' });
    expect(seenBy(result)).toMatchObject({ server: 'bare' });
    expect(seenBy(result).headers['l5d-client-id']).toBeUndefined();
    const page = await mesh.metrics(client);
    const [sample] = page.find('response_total', { dst_service: 'bare' });
    expect(sample?.labels).toMatchObject({ tls: 'no_identity', no_tls_reason: 'not_provided_by_service_discovery' });
  });
});

describe('who the peer must be', () => {
  it('[ID-11] answers 502 when the application requires another identity than the server has', async () => {
    const [wrong, right] = await http1({
      host: 'server',
      requests: [{ headers: { 'l5d-require-id': identityOf('other') } }, { path: '/required', headers: { 'l5d-require-id': SERVER_ID } }],
    });
    expect(wrong).toMatchObject({ status: 502, body: '' });
    expect(wrong?.headers?.['l5d-proxy-error']).toBeTruthy();
    expect(right?.status).toBe(200);
    expect(seenBy(right)).toMatchObject({ url: '/required' });
    expect(seenBy(right).headers).not.toHaveProperty('l5d-require-id');
  });

  it('[ID-15] closes what comes to the proxies’ own port without an identity', async () => {
    const bare = await mesh.pod('e2e', 'bare');
    const text = `GET / HTTP/1.1\r\nhost: ${server.ip}\r\n\r\n`;
    const seen = await mesh.client<{ text: string }>(bare, 'raw', { host: server.ip, port: 4143, text });
    expect(seen.text).not.toContain('200 OK');
    expect(seen.text).not.toContain('"server"');
  });

  it('[ID-18] says why a connection has no identity', async () => {
    const bare = await mesh.pod('e2e', 'bare');
    const target = { target_port: '8081', tls: 'no_identity' };
    expect(await mesh.client(bare, 'http2', { host: server.ip, port: 8081, requests: [{ path: '/plain' }] })).toMatchObject([
      { status: 200 },
    ]);
    const { outbound, inbound } = await counted((now) => now.inbound.sum('response_total', target) === 1);
    expect(inbound.find('response_total', target)[0]?.labels).toMatchObject({ no_tls_reason: 'no_tls_from_remote' });
    const local = outbound.find('tcp_open_total', { direction: 'outbound', peer: 'src', target_port: '8081' });
    expect(local[0]?.labels).toMatchObject({ tls: 'no_identity', no_tls_reason: 'loopback' });
  });
});

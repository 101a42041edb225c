// SPDX-License-Identifier: Apache-2.0
import { type EventEmitter, once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { CLIENT_ID, MeshPair, type MeshPairOptions, SERVER_ID } from './testing/mesh-pair.ts';
import {
  ANYBODY,
  balanceBackend,
  endpointOf,
  forwardBackend,
  inboundPolicyOf,
  onlyIdentities,
  outboundPolicyOf,
  targetOf,
} from './testing/policies.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function openPair(options: MeshPairOptions = {}): Promise<MeshPair> {
  const pair = await MeshPair.open(options);
  closing.push(() => pair.close());
  return pair;
}

async function listening(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** An application that answers with what it saw. */
async function echoApp(): Promise<number> {
  return listening(
    http.createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        response.setHeader('x-app', '1');
        response.end(
          JSON.stringify({
            method: request.method,
            url: request.url,
            version: request.httpVersion,
            rawHeaders: request.rawHeaders,
            body: Buffer.concat(chunks).toString('latin1'),
          }),
        );
      });
    }),
  );
}

/** Resolves at the close, with an error or without. */
async function closed(emitter: EventEmitter): Promise<void> {
  emitter.on('error', () => {});
  return new Promise((resolve) => void emitter.once('close', () => resolve()));
}

/** A policy that does without the implicit leave for loopback clients, which all clients of a test are. */
const WITHOUT_LOCALHOST = { meta: { group: '', kind: 'default', name: 'deny' } } as const;

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly version: string;
  readonly rawHeaders: string[];
  readonly body: string;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

type AskOptions = Omit<http.RequestOptions, 'headers'> & { readonly headers?: http.OutgoingHttpHeaders };

async function request(port: number, options: AskOptions = {}, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = http.request(
      { host: '127.0.0.1', port, agent: false, ...options, headers: { host: 'svc.test', ...options.headers } },
      (response) => {
        let text = '';
        response.setEncoding('latin1');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** A client's proxy and a server's, meshed by the transport header, before an application. */
async function meshed(appPort: number, options: MeshPairOptions = {}): Promise<MeshPair> {
  const pair = await openPair(options);
  const endpoint = endpointOf(appPort, {
    ip: '127.0.0.1',
    tls: { identity: SERVER_ID, serverName: SERVER_ID },
    protocolHint: 'h2',
    opaqueTransportPort: pair.inboundPort,
    labels: { pod: 'server-1' },
  });
  pair.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('svc.test:80')] }])));
  pair.discovery.setEndpoints('svc.test:80', [endpoint]);
  pair.discovery.port(appPort).set(inboundPolicyOf('detect'));
  return pair;
}

describe('two proxies', () => {
  it('[PROTO-09] carry HTTP/1 as HTTP/2 over one connection, with the identity in front of the application', async () => {
    const pair = await meshed(await echoApp());
    for (let i = 0; i < 5; i++) {
      const answer = await request(pair.outboundPort, {
        path: `/a?${i}`,
        headers: { 'x-a': 'b', 'l5d-client-id': 'spoofed', connection: 'close' },
      });
      expect(answer.status).toBe(200);
      const seen = JSON.parse(answer.body) as Seen;
      expect([seen.method, seen.url, seen.version]).toEqual(['GET', `/a?${i}`, '1.1']);
      expect(seen.rawHeaders).toEqual(expect.arrayContaining(['host', 'svc.test', 'x-a', 'b', 'l5d-client-id', CLIENT_ID]));
      expect(seen.rawHeaders.filter((name) => name === 'l5d-client-id' || name === 'l5d-orig-proto')).toEqual(['l5d-client-id']);
      expect(answer.headers['l5d-orig-proto']).toBeUndefined();
    }
    expect(pair.metric('tcp_open_total', 'direction="outbound"', 'peer="dst"')).toBe(1);
    expect(pair.metric('request_total', 'direction="inbound"', `client_id="${CLIENT_ID}"`)).toBe(5);
  });

  it('[ID-10] show the application only identities that TLS has proved', async () => {
    const appPort = await echoApp();
    const pair = await meshed(appPort);
    // An unmeshed client, redirected to the inbound proxy.
    pair.inboundDst = { ip: '127.0.0.1', port: appPort };
    const plain = JSON.parse((await request(pair.inboundPort, { headers: { 'l5d-client-id': CLIENT_ID } })).body) as Seen;
    expect(plain.rawHeaders).not.toContain('l5d-client-id');
    expect(plain.rawHeaders).not.toContain(CLIENT_ID);
  });

  it('[ID-11] refuse to send a request elsewhere than to the identity it asks for', async () => {
    const pair = await meshed(await echoApp());
    const wrong = await request(pair.outboundPort, {
      headers: { 'l5d-require-id': 'other.shop.serviceaccount.identity.linkerd.cluster.local' },
    });
    expect(wrong.status).toBe(502);
    expect(wrong.headers['l5d-proxy-error']).toBe(
      'logical service 10.96.0.1:80: route default.http: backend Service.ns.svc:80: Service.ns.svc:80: required id ' +
        'ServerId(Dns(Name("other.shop.serviceaccount.identity.linkerd.cluster.local"))); found ' +
        `Some(ServerId(Dns(Name("${SERVER_ID}"))))`,
    );
    expect(wrong.headers['connection']).toBe('close');
    const right = await request(pair.outboundPort, { headers: { 'l5d-require-id': SERVER_ID.toUpperCase() } });
    expect(right.status).toBe(200);
    expect((JSON.parse(right.body) as Seen).rawHeaders).not.toContain('l5d-require-id');
    expect(pair.metric('outbound_http_errors_total', 'identity required')).toBe(1);
  });

  it('[PROTO-10] upgrade over a connection of their own', async () => {
    const app = http.createServer();
    app.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      socket.pipe(socket);
    });
    const pair = await meshed(await listening(app));
    const socket = net.connect(pair.outboundPort, '127.0.0.1');
    closing.push(() => socket.destroy());
    socket.write('GET /ws HTTP/1.1\r\nhost: svc\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nraw bytes');
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => (text += chunk));
    await expect.poll(() => text).toMatch(/^HTTP\/1\.1 101 .*\r\n\r\nraw bytes$/s);
    socket.end();
    await closed(socket);
  });

  it('[PROTO-08] carry HTTP/2 with trailers and resets', async () => {
    const app = http2.createServer();
    app.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      if (headers[':path'] === '/reset') {
        stream.on('error', () => {});
        stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
        return;
      }
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.pipe(stream);
    });
    const pair = await meshed(await listening(app));
    const client = http2.connect(`http://127.0.0.1:${pair.outboundPort}`);
    closing.push(() => client.destroy());
    const stream = client.request({ ':method': 'POST', ':path': '/echo' });
    stream.end('x'.repeat(300_000));
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    const [trailers] = (await once(stream, 'trailers')) as [http2.IncomingHttpHeaders];
    expect(trailers['grpc-status']).toBe('0');
    await expect.poll(() => bytes).toBe(300_000);
    const reset = client.request({ ':path': '/reset' });
    reset.on('error', () => {});
    await closed(reset);
    expect(reset.rstCode).toBe(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });

  it('[PROTO-21] relay opaque bytes with half-close both ways', async () => {
    const app = net.createServer({ allowHalfOpen: true }, (socket) => {
      let text = '';
      socket.setEncoding('latin1');
      socket.on('data', (chunk: string) => (text += chunk));
      socket.on('end', () => socket.end(`got ${text}`));
    });
    const pair = await meshed(await listening(app));
    pair.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('opaque', [{ backends: [balanceBackend('svc.test:80')] }])));
    const socket = net.connect({ port: pair.outboundPort, host: '127.0.0.1', allowHalfOpen: true });
    closing.push(() => socket.destroy());
    socket.setEncoding('latin1');
    let text = '';
    socket.on('data', (chunk: string) => (text += chunk));
    socket.end('not http at all');
    await once(socket, 'end');
    expect(text).toBe('got not http at all');
  });
});

describe('an inbound proxy', () => {
  it('[ID-15] accepts direct connections only with a mesh identity', async () => {
    const pair = await openPair();
    const socket = net.connect(pair.inboundPort, '127.0.0.1');
    closing.push(() => socket.destroy());
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await closed(socket);
    expect(pair.logs).toEqual(['direct connections must be mutually authenticated']);
  });

  it('[PROTO-17] refuses addresses that are not its own', async () => {
    const pair = await openPair({ environment: { INBOUND_IPS: '10.5.5.5' } });
    const socket = net.connect(pair.inboundPort, '127.0.0.1');
    closing.push(() => socket.destroy());
    await closed(socket);
    expect(pair.logs).toEqual(['inbound connections are not allowed on this IP address']);
  });

  it('denies and allows by what TLS has proved', async () => {
    const appPort = await echoApp();
    const pair = await meshed(appPort);
    pair.discovery
      .port(appPort)
      .set(inboundPolicyOf('detect', { ...WITHOUT_LOCALHOST, authorizations: [onlyIdentities('somebody.else')] }));
    const denied = await request(pair.outboundPort);
    expect(denied.status).toBe(403);
    expect(denied.headers['l5d-proxy-error']).toBeUndefined();
    pair.discovery.port(appPort).set(inboundPolicyOf('detect', { ...WITHOUT_LOCALHOST, authorizations: [onlyIdentities(CLIENT_ID)] }));
    expect((await request(pair.outboundPort)).status).toBe(200);
    expect(pair.metric('inbound_http_authz_deny_total')).toBe(1);
    expect(pair.metric('inbound_http_authz_allow_total', 'authz_name="known"')).toBe(1);
  });

  it('ends opaque connections that a new policy no longer allows', async () => {
    const appPort = await listening(net.createServer((socket) => socket.pipe(socket).on('error', () => {})));
    const pair = await openPair();
    pair.inboundDst = { ip: '127.0.0.1', port: appPort };
    pair.discovery.port(appPort).set(inboundPolicyOf('opaque'));
    const socket = net.connect(pair.inboundPort, '127.0.0.1');
    socket.on('error', () => {});
    closing.push(() => socket.destroy());
    socket.write('hello');
    const [echo] = (await once(socket, 'data')) as [Buffer];
    expect(echo.toString()).toBe('hello');
    // Loopback clients are always let in by a policy of the control plane, but not by the built-in deny.
    pair.discovery.port(appPort).set(inboundPolicyOf('opaque', { meta: { group: '', kind: 'default', name: 'deny' }, authorizations: [] }));
    await closed(socket);
    expect(pair.metric('inbound_tcp_authz_terminate_total')).toBe(1);
  });

  it('[ID-13] passes TLS for somebody else through untouched', async () => {
    const received: Buffer[] = [];
    const appPort = await listening(net.createServer((socket) => socket.on('data', (chunk: Buffer) => received.push(chunk))));
    const pair = await openPair();
    pair.inboundDst = { ip: '127.0.0.1', port: appPort };
    pair.discovery.port(appPort).set(inboundPolicyOf('detect'));
    const tls = await import('node:tls');
    const socket = tls.connect({ host: '127.0.0.1', port: pair.inboundPort, servername: 'app.example.com', rejectUnauthorized: false });
    socket.on('error', () => {});
    closing.push(() => socket.destroy());
    await expect.poll(() => Buffer.concat(received).length).toBeGreaterThan(100);
    const hello = Buffer.concat(received);
    expect(hello[0]).toBe(0x16);
    expect(hello.includes('app.example.com')).toBe(true);
    expect(pair.metric('tcp_open_total', 'tls="opaque"', 'sni="app.example.com"')).toBe(1);
  });

  it('waits for the policy of a port before it lets anybody in', async () => {
    const appPort = await echoApp();
    const pair = await openPair();
    pair.inboundDst = { ip: '127.0.0.1', port: appPort };
    const answer = request(pair.inboundPort);
    await expect.poll(() => pair.discovery.inboundWatchers.get(appPort)).toBe(1);
    pair.discovery
      .port(appPort)
      .set(inboundPolicyOf('detect', { authorizations: [onlyIdentities('nobody')], meta: { group: '', kind: 'default', name: 'deny' } }));
    expect((await answer).status).toBe(403);
  });

  it('sheds requests beyond MAX_IN_FLIGHT with 503', async () => {
    const waiting: http.ServerResponse[] = [];
    const appPort = await listening(http.createServer((_request, response) => void waiting.push(response)));
    const pair = await openPair({ maxInFlight: 2 });
    pair.inboundDst = { ip: '127.0.0.1', port: appPort };
    pair.discovery.port(appPort).set(inboundPolicyOf('detect', { authorizations: [ANYBODY] }));
    const first = [request(pair.inboundPort), request(pair.inboundPort)];
    await expect.poll(() => waiting.length).toBe(2);
    expect((await request(pair.inboundPort)).status).toBe(503);
    for (const response of waiting.splice(0)) response.end('late');
    expect((await Promise.all(first)).map((answer) => answer.status)).toEqual([200, 200]);
    const after = request(pair.inboundPort);
    await expect.poll(() => waiting.length).toBe(1);
    waiting[0]?.end();
    expect((await after).status).toBe(200);
  });
});

describe('an outbound proxy', () => {
  it('refuses loopback destinations', async () => {
    const pair = await openPair();
    pair.outboundDst = { ip: '127.0.0.1', port: 80 };
    const socket = net.connect(pair.outboundPort, '127.0.0.1');
    socket.on('error', () => {});
    await closed(socket);
    expect(pair.discovery.outbounds.size).toBe(0);
  });

  it('[ID-12] reaches an unmeshed endpoint in plaintext', async () => {
    const appPort = await echoApp();
    const pair = await openPair();
    pair.discovery
      .target('10.96.0.1:80')
      .set(targetOf(outboundPolicyOf('detect', [{ backends: [forwardBackend(endpointOf(appPort, { ip: '127.0.0.1' }))] }])));
    const answer = await request(pair.outboundPort, { path: '/plain' });
    expect(answer.status).toBe(200);
    expect(pair.metric('tcp_open_total', 'direction="outbound"', 'peer="dst"', 'no_tls_reason="not_provided_by_service_discovery"')).toBe(
      1,
    );
  });
});

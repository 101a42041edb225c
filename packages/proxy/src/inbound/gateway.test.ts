// SPDX-License-Identifier: Apache-2.0
/* Two proxies on loopback with real mTLS, the second one a gateway: what a proxy of another cluster sends goes on to a service of this one. */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { CLIENT_ID, MeshPair, SERVER_ID } from '../testing/mesh-pair.ts';
import {
  balanceBackend,
  endpointOf,
  forwardBackend,
  inboundPolicyOf,
  onlyIdentities,
  outboundPolicyOf,
  targetOf,
} from '../testing/policies.ts';

const NAME = 'svc.ns.svc.cluster.local';
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listening(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A gateway before an application; the client's proxy knows it as an endpoint that stands for the service of the other cluster. */
async function gateway(app: net.Server, options: { suffixes?: string; name?: string; gatewayIs?: string } = {}) {
  const pair = await MeshPair.open({ environment: { INBOUND_GATEWAY_SUFFIXES: options.suffixes ?? 'svc.cluster.local.' } });
  closing.push(() => pair.close());
  const appPort = await listening(app);
  const name = options.name ?? NAME;
  const endpoint = endpointOf(4143, {
    ip: '127.0.0.1',
    tls: { identity: SERVER_ID, serverName: SERVER_ID },
    protocolHint: 'h2',
    opaqueTransportPort: pair.inboundPort,
    authorityOverride: `${name}:8080`,
  });
  pair.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('svc-west.test:80')] }])));
  pair.discovery.setEndpoints('svc-west.test:80', [endpoint]);
  pair.discovery.port(pair.inboundPort).set(inboundPolicyOf('detect'));
  const local = forwardBackend(endpointOf(appPort, { ip: '127.0.0.1' }));
  pair.discovery
    .target(`gateway|${name}:8080`)
    .set({ ...targetOf(outboundPolicyOf('detect', [{ backends: [local] }])), canonical: `${name}:8080` });
  return pair;
}

const echo = (): http.Server =>
  http.createServer((request, response) => {
    response.setHeader('x-url', request.url ?? '');
    response.end(JSON.stringify(request.headers));
  });

async function ask(port: number, headers: http.OutgoingHttpHeaders = {}) {
  const sent = http.request({ host: '127.0.0.1', port, agent: false, path: '/x', headers: { host: 'svc-west.test', ...headers } }).end();
  const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
  let body = '';
  for await (const chunk of response.setEncoding('latin1')) body += chunk as string;
  return { status: response.statusCode, headers: response.headers, body };
}

describe('a gateway', () => {
  it('[MC-05] passes HTTP/1 on to the service that the connection names, telling who came by', async () => {
    const pair = await gateway(echo());
    const { status, body } = await ask(pair.outboundPort, { 'l5d-dst-canonical': 'svc-west.test:80' });
    expect(status).toBe(200);
    const seen = JSON.parse(body) as http.IncomingHttpHeaders;
    expect(seen).toMatchObject({
      host: `${NAME}:8080`,
      forwarded: `by=${SERVER_ID};for=${CLIENT_ID};host=${NAME}:8080;proto=https`,
      'l5d-dst-canonical': `${NAME}:8080`,
    });
    expect(
      pair.metric(
        'inbound_tcp_transport_header_connections_total{',
        'session_protocol="http/2"',
        `target_name="${NAME}"`,
        'target_port="8080"',
      ),
    ).toBe(1);
    expect(pair.metric('inbound_http_authz_allow_total{')).toBe(1);
  });

  it('[MC-05] passes HTTP/2 on, its authority made the service’s by the client’s proxy', async () => {
    const app = http2.createServer();
    app.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      stream.respond({ ':status': 200, 'x-authority': headers[':authority'] ?? '' });
      stream.end(String(headers.forwarded));
    });
    const pair = await gateway(app as unknown as net.Server);
    const session = http2.connect(`http://127.0.0.1:${pair.outboundPort}`);
    closing.push(() => session.destroy());
    const stream = session.request({ ':path': '/x', ':authority': 'svc-west.test' });
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    expect([headers[':status'], headers['x-authority']]).toEqual([200, `${NAME}:8080`]);
  });

  it('[MC-05] passes opaque bytes on', async () => {
    const pair = await gateway(net.createServer((socket) => socket.pipe(socket)));
    const target = pair.discovery.target('10.96.0.1:80').current;
    if (target === undefined) throw new Error('no target');
    pair.discovery.target('10.96.0.1:80').set({ ...target, policy: { ...target.policy, protocol: 'opaque' } });
    const socket = net.connect(pair.outboundPort, '127.0.0.1');
    closing.push(() => socket.destroy());
    socket.write('hello');
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('hello');
    expect(pair.metric('inbound_tcp_authz_allow_total{', `client_id="${CLIENT_ID}"`)).toBe(1);
  });

  it('[PROTO-14] [MC-05] answers 404 for a name outside of its suffixes, and for one without profile', async () => {
    const outside = await gateway(echo(), { name: 'svc.ns.svc.other.local' });
    const answer = await ask(outside.outboundPort);
    expect(answer.status).toBe(404);
    expect(outside.metric('inbound_http_errors_total{', 'error="gateway domain invalid"')).toBe(1);
    const unknown = await gateway(echo());
    unknown.discovery.outbounds.delete(`gateway|${NAME}:8080`);
    unknown.discovery.target(`gateway|${NAME}:8080`).fail('no profile');
    expect((await ask(unknown.outboundPort)).status).toBe(404);
  });

  it('[MC-05] closes the connection where no suffixes are configured', async () => {
    const pair = await gateway(echo(), { suffixes: '' });
    expect((await ask(pair.outboundPort)).status).toBe(502);
    expect(pair.metric('inbound_tcp_errors_total{', 'error="gateway domain invalid"')).toBeGreaterThan(0);
    expect(pair.metric('inbound_http_errors_total{', 'error="gateway domain invalid"')).toBe(0);
  });

  it('[PROTO-14] [PROTO-17] answers 508 for what went through it before', async () => {
    const pair = await gateway(echo());
    const seen = [
      await ask(pair.outboundPort, { forwarded: `by=${SERVER_ID};for=a;host=b;proto=https` }),
      await ask(pair.outboundPort, { forwarded: `for=a, for=b;By="${SERVER_ID}"` }),
      await ask(pair.outboundPort, { forwarded: `by=somebody.else;for=${SERVER_ID}` }),
    ];
    expect(seen.map(({ status }) => status)).toEqual([508, 508, 200]);
    expect(pair.metric('inbound_http_errors_total{', 'error="gateway loop"')).toBe(2);
  });

  it('[MC-16] admits whom the policy of its own port admits', async () => {
    const pair = await gateway(echo());
    const meta = { group: '', kind: 'default', name: 'deny' };
    pair.discovery.port(pair.inboundPort).set(inboundPolicyOf('detect', { meta, authorizations: [onlyIdentities('somebody.else')] }));
    expect((await ask(pair.outboundPort)).status).toBe(403);
    pair.discovery.port(pair.inboundPort).set(inboundPolicyOf('detect', { meta, authorizations: [onlyIdentities(CLIENT_ID)] }));
    expect((await ask(pair.outboundPort)).status).toBe(200);
  });
});

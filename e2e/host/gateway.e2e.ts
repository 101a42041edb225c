// SPDX-License-Identifier: Apache-2.0
/*
 * Two clusters with a gateway between them: the client's proxy knows a service of the other cluster as an endpoint that is the gateway, with the name
 * that the service has there; the gateway, a real proxy too, passes on what comes under the names that it serves.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SidecarRig } from '@weft/testkit/sidecar-rig';
import { PEER_IP, SERVER_IP } from '@weft/testkit/sidecar-rig';
import { createTestMesh } from '@weft/pki/testing';
import { applicationOf, callerOf, samplesOf, seenIn, startRig, statusOf } from './rig/start-rig.ts';

const mesh = createTestMesh();
const NAMESPACE = 'rig';
const clientId = mesh.identityOf('client', NAMESPACE);
const gatewayId = mesh.identityOf('server', NAMESPACE);
const nameOf = (service: string): string => `${service}.${NAMESPACE}.svc.cluster.local`;
/** Services of the other cluster as they are known here: what the gateway is asked for, by address. */
const MIRRORS = {
  '10.96.60.1': { port: 8080, authority: `${nameOf('web')}:8080` },
  '10.96.60.2': { port: 8081, authority: `${nameOf('web')}:8081` },
  '10.96.60.3': { port: 9000, authority: `${nameOf('tcp')}:9000` },
  '10.96.60.4': { port: 8080, authority: `${nameOf('nobody')}:8080` },
  '10.96.60.5': { port: 8080, authority: 'web.rig.svc.elsewhere.org:8080' },
} as const;

let rig: SidecarRig;
let client: ReturnType<typeof callerOf>;

beforeAll(async () => {
  const local = (service: string, port: number, protocol: 'detect' | 'opaque') => ({
    ip: `10.96.70.${port % 100}`,
    port,
    service,
    namespace: NAMESPACE,
    protocol,
    endpoints: [{ ip: PEER_IP, port }],
  });
  rig = await startRig({
    mesh,
    namespace: NAMESPACE,
    control: {
      client: {
        targets: Object.entries(MIRRORS).map(([ip, { port, authority }], index) => ({
          ip,
          port,
          service: `mirror-${index}`,
          namespace: NAMESPACE,
          protocol: port === 9000 ? ('opaque' as const) : ('detect' as const),
          endpoints: [
            {
              ip: SERVER_IP,
              port: 4143,
              identity: gatewayId,
              inboundPort: 4143,
              hint: port === 9000 ? ('opaque' as const) : ('h2' as const),
              authority,
            },
          ],
        })),
      },
      server: { targets: [local('web', 8080, 'detect'), local('web', 8081, 'detect'), local('tcp', 9000, 'opaque')] },
    },
    env: { server: { LINKERD2_PROXY_INBOUND_GATEWAY_SUFFIXES: 'svc.cluster.local.' } },
  });
  const applications = applicationOf(rig, 'peer');
  await applications.call('serveHttp1', 8080, PEER_IP);
  await applications.call('serveHttp2', 8081, PEER_IP);
  await applications.call('serveEcho', 9000, PEER_IP);
  client = callerOf(rig, 'client');
});
afterAll(() => rig?.stop());

const get = (host: string, fields = '', port = 8080): Promise<{ raw: string; end: string }> =>
  client.call('callText', { host, port, text: `GET /west HTTP/1.1\r\nhost: web-west\r\n${fields}\r\n` });

describe('a gateway between clusters', () => {
  it('[MC-05] [PROTO-16] passes HTTP/1 on under the name that the service has there', async () => {
    const { raw } = await get('10.96.60.1', 'l5d-dst-canonical: web-west.rig.svc.cluster.local:8080\r\nl5d-client-id: somebody.else\r\n');
    expect(statusOf(raw)).toBe(200);
    const { fields, url } = seenIn(raw);
    expect(url).toBe('/west');
    expect(fields).toMatchObject({
      host: `${nameOf('web')}:8080`,
      forwarded: `by=${gatewayId};for=${clientId};host=${nameOf('web')}:8080;proto=https`,
      'l5d-dst-canonical': `${nameOf('web')}:8080`,
    });
    const page = await samplesOf(rig, 'server');
    expect(
      page.sum('inbound_tcp_transport_header_connections_total', { target_name: nameOf('web'), target_port: '8080', client_id: clientId }),
    ).toBe(1);
    expect(page.sum('inbound_http_authz_allow_total', { target_port: '4143', client_id: clientId })).toBe(1);
  });

  it('[MC-05] passes HTTP/2 on, its authority the service’s', async () => {
    const answer = await client.call('callHttp2', {
      host: '10.96.60.2',
      port: 8081,
      headers: [':method', 'GET', ':scheme', 'http', ':authority', 'web-west', ':path', '/two'],
    });
    const { rawHeaders } = JSON.parse(answer.body) as { rawHeaders: string[] };
    expect(rawHeaders[rawHeaders.indexOf(':authority') + 1]).toBe(`${nameOf('web')}:8081`);
    expect(rawHeaders[rawHeaders.indexOf('forwarded') + 1]).toContain(`by=${gatewayId}`);
  });

  it('[MC-05] [MC-17] passes opaque bytes on', async () => {
    const { raw } = await client.call('callText', { host: '10.96.60.3', port: 9000, text: 'over there\n' });
    expect(raw).toContain('over there');
    expect((await samplesOf(rig, 'server')).sum('inbound_tcp_authz_allow_total', { target_port: '4143', client_id: clientId })).toBe(1);
  });

  it('[PROTO-14] [MC-05] answers 404 for a service that is not there, and for a name that is none of its', async () => {
    for (const host of ['10.96.60.4', '10.96.60.5']) expect(statusOf((await get(host)).raw)).toBe(404);
    expect((await samplesOf(rig, 'server')).sum('inbound_http_errors_total', { error: 'gateway domain invalid' })).toBe(2);
  });

  it('[PROTO-14] [PROTO-17] answers 508 for what comes round again', async () => {
    expect(statusOf((await get('10.96.60.1', `forwarded: for=a, by=${gatewayId}\r\n`)).raw)).toBe(508);
    expect((await samplesOf(rig, 'server')).sum('inbound_http_errors_total', { error: 'gateway loop' })).toBe(1);
  });

  it('[MC-15] lets nobody by without a certificate of the mesh', async () => {
    const { raw } = await callerOf(rig, 'peer').call('callText', {
      host: SERVER_IP,
      port: 4143,
      text: 'GET / HTTP/1.1\r\nhost: web\r\n\r\n',
    });
    expect(raw).toBe('');
  });
});

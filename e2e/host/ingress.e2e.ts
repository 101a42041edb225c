// SPDX-License-Identifier: Apache-2.0
/*
 * An ingress controller whose proxy is in ingress mode: the controller has picked some address by itself and names the service in a field; the proxy
 * follows the name, with identities and balancing, and the address where there is no name.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PEER_IP, SERVER_IP, type SidecarRig } from '@weft/testkit/sidecar-rig';
import { createTestMesh } from '@weft/pki/testing';
import { applicationOf, callerOf, samplesOf, seenIn, startRig, statusOf } from './rig/start-rig.ts';

const mesh = createTestMesh();
const NAMESPACE = 'rig';
const clientId = mesh.identityOf('client', NAMESPACE);
const serverId = mesh.identityOf('server', NAMESPACE);
const WEB = 'web.rig.svc.cluster.local';
/** What the controller dials, whatever the request is for. */
const BACKEND = '10.96.61.1';

let rig: SidecarRig;
let client: ReturnType<typeof callerOf>;

beforeAll(async () => {
  const meshed = (port: number) => ({ ip: SERVER_IP, port, identity: serverId, inboundPort: 4143, hint: 'h2' as const });
  rig = await startRig({
    mesh,
    namespace: NAMESPACE,
    control: {
      client: {
        targets: [
          { ip: BACKEND, port: 80, service: 'backend', namespace: NAMESPACE, protocol: 'detect', endpoints: [{ ip: PEER_IP, port: 8080 }] },
          { ip: BACKEND, port: 9000, service: 'tcp', namespace: NAMESPACE, protocol: 'detect', endpoints: [{ ip: PEER_IP, port: 9000 }] },
          { ip: '10.96.61.2', port: 8080, service: 'web', namespace: NAMESPACE, protocol: 'http1', endpoints: [meshed(8080)] },
          { ip: '10.96.61.2', port: 8081, service: 'web', namespace: NAMESPACE, protocol: 'http2', endpoints: [meshed(8081)] },
        ],
      },
      server: { targets: [] },
    },
    env: { client: { LINKERD2_PROXY_INGRESS_MODE: 'true' } },
  });
  const meshedApplications = applicationOf(rig, 'server');
  await meshedApplications.call('serveHttp1', 8080, SERVER_IP);
  await meshedApplications.call('serveHttp2', 8081, SERVER_IP);
  const applications = applicationOf(rig, 'peer');
  await applications.call('serveHttp1', 8080, PEER_IP);
  await applications.call('serveEcho', 9000, PEER_IP);
  client = callerOf(rig, 'client');
});
afterAll(() => rig?.stop());

const get = (fields: string): Promise<{ raw: string; end: string }> =>
  client.call('callText', { host: BACKEND, port: 80, text: `GET /in HTTP/1.1\r\nhost: www.example.com\r\n${fields}\r\n` });

describe('[IN-02] [IN-03] a proxy in ingress mode', () => {
  it('[PROTO-16] sends a request to the service that it names, over the mesh, without the field', async () => {
    const { raw } = await get(`l5d-dst-override: ${WEB}:8080\r\n`);
    const { fields } = seenIn(raw);
    expect(fields).toMatchObject({ host: 'www.example.com', 'l5d-client-id': clientId });
    expect(fields).not.toHaveProperty('l5d-dst-override');
    const page = await samplesOf(rig, 'client');
    expect(page.sum('response_total', { direction: 'outbound', tls: 'true', server_id: serverId, dst_service: 'web' })).toBe(1);
    expect(page.sum('outbound_http_route_backend_response_statuses_total', { parent_name: 'web' })).toBe(1);
  });

  it('does so for HTTP/2', async () => {
    const answer = await client.call('callHttp2', {
      host: BACKEND,
      port: 80,
      headers: [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/', 'l5d-dst-override', `${WEB}:8081`],
    });
    const { rawHeaders } = JSON.parse(answer.body) as { rawHeaders: string[] };
    expect(rawHeaders).toContain(clientId);
    expect(rawHeaders).not.toContain('l5d-dst-override');
  });

  it('[IN-01] goes by the address without the field, request by request', async () => {
    const { raw } = await client.call('callText', {
      host: BACKEND,
      port: 80,
      text: `GET /one HTTP/1.1\r\nhost: a\r\n\r\n`,
      followUp: `GET /two HTTP/1.1\r\nhost: a\r\nl5d-dst-override: ${WEB}:8080\r\n\r\n`,
    });
    const [, one = '', two = ''] = raw.split('HTTP/1.1 200');
    expect(one).toContain('"url":"/one"');
    expect(one).not.toContain(clientId);
    expect(two).toContain('"url":"/two"');
    expect(two).toContain(clientId);
  });

  it('answers for names that lead nowhere, telling nothing of the mesh', async () => {
    for (const name of ['nobody.rig.svc.cluster.local:80', '10.1.2.3:80', 'a b']) {
      const { raw } = await get(`l5d-dst-override: ${name}\r\n`);
      expect([500, 502, 503, 504]).toContain(statusOf(raw));
      expect(raw).not.toContain('l5d-');
    }
  });

  it('sends what is no HTTP to the address', async () => {
    const { raw } = await client.call('callText', { host: BACKEND, port: 9000, text: '\x01\x02\x03 something of its own\n' });
    expect(raw).toContain('something of its own');
  });
});

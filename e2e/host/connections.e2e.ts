// SPDX-License-Identifier: Apache-2.0
/*
 * Which connections real proxies take and where they let them go: addresses that are not the pod's, circles, the pod's own loopback, both families of
 * addresses, spreading, and peers that vanish without a word.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT_IP, PEER_IP, SERVER_IP, type Side, type SidecarRig } from '@weft/testkit/sidecar-rig';
import { createTestMesh } from '@weft/pki/testing';
import { until } from './mesh.ts';
import { applicationOf, callerOf, oddApplicationOf, samplesOf, seenIn, startRig, statusOf } from './rig/start-rig.ts';

const mesh = createTestMesh();
const NAMESPACE = 'rig';
const clientId = mesh.identityOf('client', NAMESPACE);
const serverId = mesh.identityOf('server', NAMESPACE);
const SERVICE = '10.96.63.1';
const SELF = '10.96.63.2';
const SERVICE_6 = 'fd00:96::1';
const POD_6: Readonly<Record<Side, string>> = { client: 'fd00:231::1', server: 'fd00:231::2', peer: 'fd00:231::3' };
const SECOND_PEER = '10.231.0.4';
/** An address of the server's host that is not the pod's. */
const FOREIGN = '10.231.0.50';

let rig: SidecarRig;
let client: ReturnType<typeof callerOf>;
let peer: ReturnType<typeof callerOf>;

beforeAll(async () => {
  const meshed = (ip: string, port: number) => ({ ip, port, identity: serverId, inboundPort: 4143, hint: 'h2' as const });
  const target = (ip: string, port: number, service: string) => ({ ip, port, service, namespace: NAMESPACE });
  rig = await startRig({
    mesh,
    namespace: NAMESPACE,
    addresses: { client: CLIENT_IP, server: SERVER_IP, peer: PEER_IP, alsoPeer: [SECOND_PEER] },
    control: {
      client: {
        targets: [
          { ...target(SERVICE, 8080, 'web'), protocol: 'detect', endpoints: [meshed(SERVER_IP, 8080)] },
          {
            ...target(SERVICE, 9000, 'spread'),
            protocol: 'opaque',
            endpoints: [PEER_IP, SECOND_PEER].map((ip) => ({ ip, port: 9000 })),
          },
          {
            ...target(SELF, 8080, 'self'),
            protocol: 'detect',
            endpoints: [{ ip: CLIENT_IP, port: 8080, identity: clientId, inboundPort: 4143, hint: 'h2' }],
          },
          { ...target(SERVICE_6, 8080, 'web-six'), protocol: 'detect', endpoints: [meshed(POD_6.server, 8080)] },
        ],
      },
      server: { targets: [] },
    },
    env: {
      client: {
        LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS: '127.0.0.1:4140,[::1]:4140',
        LINKERD2_PROXY_INBOUND_LISTEN_ADDR: '[::]:4143',
        // Not in its shortest form: addresses are compared, not texts.
        LINKERD2_PROXY_INBOUND_IPS: `${CLIENT_IP},FD00:231:0::1`,
      },
      server: {
        LINKERD2_PROXY_INBOUND_LISTEN_ADDR: '[::]:4143',
        LINKERD2_PROXY_INBOUND_IPS: `${SERVER_IP},${POD_6.server}`,
        LINKERD2_PROXY_INBOUND_PORTS: '8080',
      },
    },
  });
  await addSixthFamily();
  await command('server', 'ip', 'addr', 'add', `${FOREIGN}/32`, 'dev', 'eth0');
  const applications = applicationOf(rig, 'server');
  await applications.call('serveHttp1', 8080, SERVER_IP);
  await applications.call('serveHttp1', 8080, POD_6.server);
  await applicationOf(rig, 'client').call('serveHttp1', 8080, CLIENT_IP);
  const odd = oddApplicationOf(rig, 'peer');
  for (const ip of [PEER_IP, SECOND_PEER]) await odd.call('serveCount', ip, 9000);
  client = callerOf(rig, 'client');
  peer = callerOf(rig, 'peer');
});
afterAll(() => rig?.stop());

async function command(side: Side, name: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await rig.run(side, 8000, name, ...args);
  if (exitCode !== 0) throw new Error(`${name} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** IPv6 addresses, routes and redirects like those that the rig has for IPv4. */
async function addSixthFamily(): Promise<void> {
  await command('peer', 'ip', '-6', 'addr', 'add', `${POD_6.peer}/64`, 'dev', 'br0', 'nodad');
  for (const side of ['client', 'server'] as const) {
    await command(side, 'ip', '-6', 'addr', 'add', `${POD_6[side]}/64`, 'dev', 'eth0', 'nodad');
    await command(side, 'ip', '-6', 'route', 'add', 'default', 'via', POD_6.peer);
    const nat = (...args: string[]): Promise<string> => command(side, 'ip6tables-nft', '-t', 'nat', ...args);
    await nat('-A', 'PREROUTING', '-p', 'tcp', '-m', 'multiport', '--dports', '4190,4191', '-j', 'RETURN');
    await nat('-A', 'PREROUTING', '-p', 'tcp', '-j', 'REDIRECT', '--to-port', '4143');
    await nat('-A', 'OUTPUT', '-m', 'owner', '--uid-owner', '2102', '-j', 'RETURN');
    await nat('-A', 'OUTPUT', '-o', 'lo', '-j', 'RETURN');
    await nat('-A', 'OUTPUT', '-p', 'tcp', '-j', 'REDIRECT', '--to-port', '4140');
  }
}

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

describe('both families of addresses', () => {
  it('[PROTO-21] of IPv6 are redirected, discovered, secured and served', async () => {
    const { raw } = await client.call('callText', { host: SERVICE_6, port: 8080, text: GET });
    expect(seenIn(raw).fields['l5d-client-id']).toBe(clientId);
    const page = await samplesOf(rig, 'client');
    const labels = { direction: 'outbound', target_addr: `[${POD_6.server}]:8080`, target_ip: POD_6.server, tls: 'true' };
    expect(page.sum('response_total', labels)).toBe(1);
  });

  it('[PROTO-21] of IPv4 are shown as such where one socket listens for both', async () => {
    const { raw } = await client.call('callText', { host: SERVICE, port: 8080, text: GET });
    expect(seenIn(raw).fields['l5d-client-id']).toBe(clientId);
    const page = await samplesOf(rig, 'server');
    expect(page.sum('tcp_open_total', { direction: 'inbound', peer: 'src', target_ip: SERVER_IP })).toBeGreaterThanOrEqual(1);
    expect(page.all.filter(({ labels }) => Object.values(labels).some((value) => value.includes('::ffff:')))).toEqual([]);
  });
});

describe('connections that are refused', () => {
  it('[PROTO-17] to an address that is not the pod’s', async () => {
    await command('peer', 'ip', 'route', 'add', `${FOREIGN}/32`, 'dev', 'br0');
    const { raw, end } = await peer.call('callText', { host: FOREIGN, port: 8080, text: GET });
    expect([raw, end === 'closed' || end.startsWith('error')]).toEqual(['', true]);
    expect(rig.log('server')).toContain('inbound connections are not allowed on this IP address');
  });

  it('[PROTO-17] to the proxy’s own outbound port, which nobody redirected', async () => {
    for (const host of ['127.0.0.1', '::1']) {
      const { raw } = await client.call('callText', { host, port: 4140, text: GET });
      expect(raw).toBe('');
    }
    expect(rig.isAlive('client')).toBe(true);
  });

  it('[ID-15] to the proxies’ port, in either family, without a certificate', async () => {
    for (const host of [SERVER_IP, POD_6.server]) {
      const { raw } = await peer.call('callText', { host, port: 4143, text: GET });
      expect(raw).toBe('');
    }
  });
});

describe('a pod that calls itself', () => {
  it('[ID-16] by its Service is not secured, nor carried as HTTP/2', async () => {
    const { raw } = await client.call('callText', { host: SELF, port: 8080, text: GET });
    expect(statusOf(raw)).toBe(200);
    expect(seenIn(raw).fields).not.toHaveProperty('l5d-client-id');
    const page = await samplesOf(rig, 'client');
    const labels = { direction: 'outbound', dst_service: 'self', tls: 'no_identity', no_tls_reason: 'loopback' };
    expect(page.sum('response_total', labels)).toBe(1);
  });
});

describe('opaque connections', () => {
  it('[LB-02] are spread over the endpoints', async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => client.call('callText', { host: SERVICE, port: 9000, text: 'who?\n' })),
    );
    const counts = [PEER_IP, SECOND_PEER].map((ip) => answers.filter(({ raw }) => raw === `${ip}\n`).length);
    expect(counts[0] ?? 0).toBeGreaterThanOrEqual(10);
    expect(counts[1] ?? 0).toBeGreaterThanOrEqual(10);
    expect((counts[0] ?? 0) + (counts[1] ?? 0)).toBe(60);
  });
});

describe('sockets', () => {
  it('[PROTO-20] have keep-alive at both ends of a connection between proxies', async () => {
    await client.call('callText', { host: SERVICE, port: 8080, text: GET });
    const timers = async (side: Side): Promise<string[]> =>
      (await command(side, 'ss', '-Htno', 'state', 'established')).split('\n').filter((line) => line.includes(':4143'));
    for (const side of ['client', 'server'] as const) {
      const lines = await until('a keep-alive timer', async () => {
        const found = await timers(side);
        return found.some((line) => line.includes('timer:(keepalive')) && found;
      });
      expect(lines.length).toBeGreaterThan(0);
    }
  });

  it('[PROTO-20] of a peer that has vanished without a word are given up within 15 seconds', { timeout: 40_000 }, async () => {
    await client.call('callText', { host: SERVICE, port: 8080, text: GET });
    const open = async (): Promise<number> =>
      (await samplesOf(rig, 'client')).sum('tcp_open_connections', {
        direction: 'outbound',
        peer: 'dst',
        target_ip: SERVER_IP,
        tls: 'true',
      });
    expect(await open()).toBeGreaterThanOrEqual(1);
    await command('server', 'ip', 'link', 'set', 'eth0', 'down');
    // A connection in use: an unused one would be closed for being idle.
    const inUse = setInterval(() => void client.call('callText', { host: SERVICE, port: 8080, text: GET, maxMs: 500 }), 1000);
    await until('the connection is given up', async () => (await open()) === 0, 17_000).finally(() => clearInterval(inUse));
    await command('server', 'ip', 'link', 'set', 'eth0', 'up');
    await command('server', 'ip', 'route', 'add', 'default', 'via', PEER_IP);
    await sleep(200);
    await until(
      'the server is reached again',
      async () => statusOf((await client.call('callText', { host: SERVICE, port: 8080, text: GET })).raw) === 200,
    );
  });
});

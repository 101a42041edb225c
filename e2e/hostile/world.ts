// SPDX-License-Identifier: Apache-2.0
/*
 * Two running proxies under attack: an unmeshed attacker beside them and at the outbound side, an ordinary client (the bystander) on connections of
 * its own, and what every attack must leave as it was: the process, the bystander's connections, private memory within a bound.
 */
import { join } from 'node:path';
import { Buffer } from 'node:buffer';
import { expect } from 'vitest';
import { createTestMesh, type TestMesh } from '@weft/pki/testing';
import { type MeshedSide, type NamespaceWorker, PEER_IP, SERVER_IP, SidecarRig, type SidecarRigOptions } from '@weft/testkit/sidecar-rig';
import type * as Application from './hosts/application.ts';
import type * as Attacker from './hosts/attacker.ts';

/** `WEFT_PROXY_MAIN` = another build of the proxy. */
const PROXY_MAIN = process.env.WEFT_PROXY_MAIN ?? join(import.meta.dirname, '../../apps/proxy/dist/main.js');
/** Flags of the proxy's image. */
const NODE_FLAGS = [
  '--max-semi-space-size=1',
  '--single-threaded',
  '--v8-pool-size=0',
  '--expose-gc',
  '--disable-warning=ExperimentalWarning',
];
/** Private memory that a file's attacks together may add to a proxy: 16 MiB that the buffer pool may keep, JIT code, heap pages that V8 keeps for later. */
export const MAX_GROWTH_BYTES: number = 72 * 1024 * 1024;

export const HTTP1_PORT = 8080;
export const HTTP2_PORT = 8081;
export const OPAQUE_PORT = 9000;
/** Outbound: a Service whose pod is the server's. */
export const SERVICE = '10.96.99.1';
/** Outbound: a Service of the unmeshed host, which answers as a test says. */
export const RAW_SERVICE = '10.96.99.2';
export const RAW_PORT = 8085;

export interface World {
  readonly rig: SidecarRig;
  readonly mesh: TestMesh;
  readonly application: NamespaceWorker<typeof Application>;
  /** The unmeshed host's own server. */
  readonly rawApplication: NamespaceWorker<typeof Application>;
  /** The attacker that comes from outside, at the inbound proxy. */
  readonly outside: NamespaceWorker<typeof Attacker>;
  /** The attacker that is the application of the client's pod, at its outbound proxy. */
  readonly inside: NamespaceWorker<typeof Attacker>;
  /** Private memory of each proxy before the attacks. */
  readonly startBytes: Readonly<Record<MeshedSide, number>>;
}

export interface WorldOptions extends Pick<SidecarRigOptions, 'env' | 'confine'> {
  /** A module loaded into the proxies before their main; they then run from their sources. */
  readonly faultsModule?: string;
}

/** Starts the proxies, applications and bystanders. */
export async function startWorld({ faultsModule, ...options }: WorldOptions = {}): Promise<World> {
  const proxyMain = faultsModule === undefined ? PROXY_MAIN : join(import.meta.dirname, '../../apps/proxy/src/main.ts');
  const mesh = createTestMesh();
  const identity = mesh.identityOf('server', 'rig');
  const service = (port: number, protocol: 'detect' | 'opaque') => ({
    ip: SERVICE,
    port,
    service: 'server',
    namespace: 'rig',
    protocol,
    endpoints: [{ ip: SERVER_IP, port, identity, inboundPort: 4143, hint: protocol === 'opaque' ? ('opaque' as const) : ('h2' as const) }],
  });
  const rig = await SidecarRig.start({
    proxyMain,
    nodeFlags: [
      ...(proxyMain.endsWith('.ts') ? ['--conditions=weft-source'] : []),
      ...(faultsModule === undefined ? [] : [`--import=${faultsModule}`]),
      ...NODE_FLAGS,
    ],
    mesh,
    control: {
      server: { targets: [], opaquePorts: [OPAQUE_PORT] },
      client: {
        targets: [
          service(HTTP1_PORT, 'detect'),
          service(HTTP2_PORT, 'detect'),
          service(OPAQUE_PORT, 'opaque'),
          {
            ip: RAW_SERVICE,
            port: RAW_PORT,
            service: 'raw',
            namespace: 'rig',
            protocol: 'detect',
            endpoints: [{ ip: PEER_IP, port: RAW_PORT }],
          },
        ],
      },
    },
    ...options,
  });
  try {
    const module = (name: string): string => join(import.meta.dirname, 'hosts', name);
    const application = rig.worker<typeof Application>('server', module('application.ts'));
    const rawApplication = rig.worker<typeof Application>('peer', module('application.ts'));
    const outside = rig.worker<typeof Attacker>('peer', module('attacker.ts'));
    const inside = rig.worker<typeof Attacker>('client', module('attacker.ts'));
    await application.call('serveHttp1', HTTP1_PORT, SERVER_IP);
    await application.call('serveHttp2', HTTP2_PORT, SERVER_IP);
    await application.call('serveEcho', OPAQUE_PORT, SERVER_IP);
    expect(await outside.call('openBystander', SERVER_IP, HTTP1_PORT, HTTP2_PORT)).toEqual(['200', '200']);
    expect(await inside.call('openBystander', SERVICE, HTTP1_PORT, HTTP2_PORT)).toEqual(['200', '200']);
    await application.call('takeSeen');
    const startBytes = { client: rig.privateBytes('client'), server: rig.privateBytes('server') };
    return { rig, mesh, application, rawApplication, outside, inside, startBytes };
  } catch (error) {
    rig.stop();
    throw error;
  }
}

/** What every attack must leave as it was. Bystanders ask on the connections that they opened before the first attack. */
export async function expectUnharmed(
  { rig, inside, outside, startBytes }: World,
  maxGrowthBytes: number = MAX_GROWTH_BYTES,
): Promise<void> {
  expect(await outside.call('askBystanders'), 'connections from outside').toEqual(['200', '200']);
  expect(await inside.call('askBystanders'), 'connections from inside').toEqual(['200', '200']);
  for (const side of ['client', 'server'] as const) {
    expect(rig.isAlive(side), `the ${side}'s proxy lives`).toBe(true);
    expect(rig.privateBytes(side) - startBytes[side], `growth of the ${side}'s proxy in bytes`).toBeLessThan(maxGrowthBytes);
    expect(rig.log(side), `log of the ${side}'s proxy`).not.toContain('internal error');
  }
}

/** Requests that reached the application, without the bystanders'. */
export async function seen({ application }: World): Promise<Application.SeenRequest[]> {
  return (await application.call('takeSeen')).filter(({ url }) => url !== '/bystander');
}

/** Sum of the samples of a metric whose labels contain every text of `labels`. */
export async function metric({ rig }: World, side: MeshedSide, name: string, ...labels: readonly string[]): Promise<number> {
  let sum = 0;
  for (const line of (await rig.metrics(side)).split('\n')) {
    if (!line.startsWith(name) || !(line[name.length] === '{' || line[name.length] === ' ')) continue;
    if (labels.every((label) => line.includes(label))) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}

/** Violations of HTTP that a side's proxy has counted; `kind` = part of the label. */
export async function peerErrors(world: World, side: MeshedSide, kind = ''): Promise<number> {
  return metric(world, side, 'weft_http_peer_errors_total', kind);
}

/** An outcome's bytes as latin-1. */
export function textOf(outcome: { readonly received: string }): string {
  return Buffer.from(outcome.received, 'base64').toString('latin1');
}

/** Status codes of the HTTP/1 answers in `text`, interim ones too. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map(([, status]) => Number(status));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The bench's world: a client and a server namespace joined by a veth pair, a server application in one, and in each a pair of sidecars of
 * either kind (Weft with a control stub on its own loopback, Envoy with static configuration). Each kind has its own server address, so that
 * both stand ready at once and runs can be interleaved.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTestMesh } from '@weft/pki/testing';
import { run, start, type Started, stopAll, tryRun, until } from './shell.ts';

export const CLIENT_NS = 'weftbench-client';
export const SERVER_NS = 'weftbench-server';
export const CLIENT_IP = '10.231.0.1';
export const SERVER_IP = '10.231.0.2';
/** What the client dials for Weft: a Service address that only the redirect knows. */
export const SERVICE_IP = '10.96.99.1';
const PROXY_UID = '2102';

export interface Sidecars {
  readonly outbound: Started;
  readonly inbound: Started;
}

export const CLIENT_ID = 'client.bench.serviceaccount.identity.linkerd.cluster.local';
export const SERVER_ID = 'server.bench.serviceaccount.identity.linkerd.cluster.local';

export function inNamespace(namespace: string, ...command: string[]): string[] {
  return ['netns', 'exec', namespace, ...command];
}

/** Names the process whose rig it is: there is one rig on a machine at a time. */
const LOCK = '/run/weftbench.pid';

/** Throws when another process has a rig; what a dead one left behind is cleaned up. */
export function createNamespaces(): void {
  const owner = lockOwner();
  if (owner !== undefined && owner !== process.pid) throw new Error(`process ${owner} has a rig up already`);
  removeNamespaces();
  writeFileSync(LOCK, String(process.pid));
  run('ip', 'netns', 'add', CLIENT_NS);
  run('ip', 'netns', 'add', SERVER_NS);
  run('ip', 'link', 'add', 'wb0', 'netns', CLIENT_NS, 'type', 'veth', 'peer', 'name', 'wb1', 'netns', SERVER_NS);
  for (const [namespace, link, ip] of [
    [CLIENT_NS, 'wb0', CLIENT_IP],
    [SERVER_NS, 'wb1', SERVER_IP],
  ] as const) {
    run('ip', '-n', namespace, 'addr', 'add', `${ip}/24`, 'dev', link);
    run('ip', '-n', namespace, 'link', 'set', link, 'up');
    run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
  }
  run('ip', '-n', CLIENT_NS, 'route', 'add', 'default', 'via', SERVER_IP);
  run('ip', '-n', SERVER_NS, 'route', 'add', 'default', 'via', CLIENT_IP);
}

/** Removes the namespaces with every process in them. */
export function removeNamespaces(): void {
  for (const namespace of [CLIENT_NS, SERVER_NS]) {
    try {
      for (const pid of run('ip', 'netns', 'pids', namespace).split('\n')) if (pid !== '') process.kill(Number(pid), 'SIGKILL');
    } catch {
      // There is no such namespace, or the process has ended.
    }
    tryRun('ip', 'netns', 'del', namespace);
  }
}

function lockOwner(): number | undefined {
  try {
    const pid = Number(readFileSync(LOCK, 'utf8'));
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}

export function iptables(namespace: string, ...args: string[]): void {
  run('ip', ...inNamespace(namespace, 'iptables-nft', '-t', 'nat', ...args));
}

/** A command line that runs as another user, without root's capabilities. */
export function asUser(uid: string, ...command: string[]): string[] {
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...command];
}

/** Redirects as a pod has them, for the given application ports only, so that Envoy's ports stay untouched. */
function redirect(namespace: string, inboundPorts: readonly number[], outboundTo: string): void {
  for (const port of inboundPorts)
    iptables(namespace, '-A', 'PREROUTING', '-p', 'tcp', '--dport', String(port), '-j', 'REDIRECT', '--to-port', '4143');
  iptables(namespace, '-A', 'OUTPUT', '-m', 'owner', '--uid-owner', PROXY_UID, '-j', 'RETURN');
  iptables(namespace, '-A', 'OUTPUT', '-p', 'tcp', '-d', outboundTo, '-j', 'REDIRECT', '--to-port', '4140');
}

export interface WeftOptions {
  readonly directory: string;
  readonly node: string;
  readonly nodeFlags: readonly string[];
  readonly proxyMain: string;
  readonly stubMain: string;
  /** Application ports behind the service address; HTTP/1, HTTP/2 and gRPC are told apart by detection. */
  readonly ports: readonly number[];
  readonly opaquePorts?: readonly number[];
  readonly logLevel?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a Weft sidecar in each namespace. */
export async function startWeft(options: WeftOptions): Promise<Sidecars> {
  const mesh = createTestMesh({});
  redirect(CLIENT_NS, [], SERVICE_IP);
  redirect(SERVER_NS, options.ports, '192.0.2.1');
  const sidecar = async (namespace: string, ip: string, name: string, identity: string): Promise<Started> => {
    const dir = join(options.directory, name);
    mkdirSync(dir, { recursive: true });
    writeFileSync(
      join(dir, 'stub.json'),
      JSON.stringify({
        address: '127.0.0.1:8086',
        issuerCertificatePem: mesh.issuer.certificatePem,
        issuerKeyPem: mesh.issuer.privateKeyPem,
        opaquePorts: options.opaquePorts ?? [],
        targets: options.ports.map((port) => ({
          ip: SERVICE_IP,
          port,
          service: `app-${port}`,
          namespace: 'bench',
          protocol: options.opaquePorts?.includes(port) === true ? 'opaque' : 'detect',
          endpoints: [
            {
              ip: SERVER_IP,
              port,
              identity: SERVER_ID,
              inboundPort: 4143,
              hint: options.opaquePorts?.includes(port) === true ? 'opaque' : 'h2',
            },
          ],
        })),
      }),
    );
    writeFileSync(join(dir, 'token'), 'bench');
    const identityDir = join(dir, 'identity');
    mkdirSync(identityDir, { recursive: true });
    run('chown', '-R', `${PROXY_UID}:${PROXY_UID}`, identityDir);
    start(
      join(dir, 'stub.log'),
      {},
      'ip',
      ...inNamespace(namespace, options.node, '--conditions=weft-source', options.stubMain, join(dir, 'stub.json')),
    );
    const environment = proxyEnvironment(ip, identity, mesh.trustAnchorsPem.join(''), identityDir, join(dir, 'token'));
    const started = start(
      join(dir, 'proxy.log'),
      { ...environment, ...(options.logLevel === undefined ? {} : { LINKERD2_PROXY_LOG: options.logLevel }), ...options.env },
      'ip',
      ...inNamespace(namespace, ...asUser(PROXY_UID, options.node, ...options.nodeFlags, options.proxyMain)),
    );
    try {
      await until(`${name} proxy ready`, 20_000, () => {
        try {
          return run('ip', ...inNamespace(namespace, 'curl', '-s', '-m', '1', 'http://127.0.0.1:4191/ready')).trim() === 'ready';
        } catch {
          return false;
        }
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${readFileSync(join(dir, 'proxy.log'), 'utf8').slice(-2000)}`, { cause: error });
    }
    return started;
  };
  const inbound = await sidecar(SERVER_NS, SERVER_IP, 'weft-inbound', SERVER_ID);
  const outbound = await sidecar(CLIENT_NS, CLIENT_IP, 'weft-outbound', CLIENT_ID);
  return { outbound, inbound };
}

/** The environment that the sidecar template gives, with the control plane on loopback. */
export function proxyEnvironment(
  ip: string,
  identity: string,
  anchors: string,
  identityDir: string,
  tokenFile: string,
): Record<string, string> {
  const control = '127.0.0.1:8086';
  return {
    LINKERD2_PROXY_LOG: 'warn,linkerd=info',
    LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS: '127.0.0.1:4140',
    LINKERD2_PROXY_INBOUND_LISTEN_ADDR: '0.0.0.0:4143',
    LINKERD2_PROXY_ADMIN_LISTEN_ADDR: '0.0.0.0:4191',
    LINKERD2_PROXY_CONTROL_LISTEN_ADDR: '0.0.0.0:4190',
    LINKERD2_PROXY_INBOUND_IPS: ip,
    LINKERD2_PROXY_INBOUND_DEFAULT_POLICY: 'all-unauthenticated',
    LINKERD2_PROXY_DESTINATION_SVC_ADDR: control,
    LINKERD2_PROXY_POLICY_SVC_ADDR: control,
    LINKERD2_PROXY_IDENTITY_SVC_ADDR: control,
    LINKERD2_PROXY_POLICY_WORKLOAD: '{"ns":"bench", "pod":"bench"}',
    LINKERD2_PROXY_DESTINATION_CONTEXT: '{"ns":"bench", "nodeName":"bench", "pod":"bench"}',
    LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS: '10.0.0.0/8',
    LINKERD2_PROXY_IDENTITY_DIR: identityDir,
    LINKERD2_PROXY_IDENTITY_TOKEN_FILE: tokenFile,
    LINKERD2_PROXY_IDENTITY_LOCAL_NAME: identity,
    LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS: anchors,
    LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT: '100ms',
    LINKERD2_PROXY_OUTBOUND_CONNECT_TIMEOUT: '1000ms',
    LINKERD2_PROXY_INBOUND_ACCEPT_KEEPALIVE: '10000ms',
    LINKERD2_PROXY_OUTBOUND_CONNECT_KEEPALIVE: '10000ms',
  };
}

/** Ends the rig; does nothing when this process has none. */
export function stopRig(): void {
  stopAll();
  if (lockOwner() !== process.pid) return;
  removeNamespaces();
  rmSync(LOCK, { force: true });
}

// SPDX-License-Identifier: Apache-2.0
/* Envoy as a pair of sidecars with static configuration (bench/config), beside the Weft pair in the same namespaces. */
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTestMesh } from '@weft/pki/testing';
import { asUser, CLIENT_ID, CLIENT_NS, inNamespace, iptables, SERVER_ID, SERVER_NS, type Sidecars } from './rig.ts';
import { run, type Started, start, until } from './shell.ts';

/** What the client dials for Envoy: a Service address that only the redirect knows. */
export const ENVOY_SERVICE_IP = '10.96.99.2';
const ENVOY_UID = '2103';
const OUTBOUND_PORT = 15001;
const INBOUND_PORT = 15006;

export interface EnvoyOptions {
  readonly directory: string;
  readonly envoy: string;
  readonly configDirectory: string;
}

/** Starts an Envoy sidecar in each namespace. */
export async function startEnvoy(options: EnvoyOptions): Promise<Sidecars> {
  const directory = join(options.directory, 'envoy');
  mkdirSync(directory, { recursive: true });
  const mesh = createTestMesh({});
  for (const [name, identity] of [
    ['client', CLIENT_ID],
    ['server', SERVER_ID],
  ] as const) {
    const leaf = mesh.leafFor(identity);
    writeFileSync(join(directory, `${name}.crt`), leaf.chainPem);
    writeFileSync(join(directory, `${name}.key`), leaf.privateKeyPem);
  }
  writeFileSync(join(directory, 'anchors.crt'), mesh.trustAnchorsPem.join(''));
  // The cache may be in a home directory that Envoy's user cannot read.
  const binary = join(directory, 'envoy');
  copyFileSync(options.envoy, binary);
  chmodSync(binary, 0o755);
  run('chown', '-R', `${ENVOY_UID}:${ENVOY_UID}`, directory);
  iptables(CLIENT_NS, '-A', 'OUTPUT', '-p', 'tcp', '-d', ENVOY_SERVICE_IP, '-j', 'REDIRECT', '--to-port', String(OUTBOUND_PORT));

  const sidecar = async (namespace: string, name: string, port: number): Promise<Started> => {
    const command = asUser(
      ENVOY_UID,
      'env',
      '-C',
      directory,
      binary,
      '--config-path',
      join(options.configDirectory, `${name}.yaml`),
      // One worker, as Weft has one event loop; hot restart would only add shared memory.
      '--concurrency',
      '1',
      '--disable-hot-restart',
      '--log-level',
      'warning',
    );
    const started = start(join(options.directory, `${name}.log`), {}, 'ip', ...inNamespace(namespace, ...command));
    await until(`${name} ready`, 20_000, () => run('ip', ...inNamespace(namespace, 'ss', '-Hltn', `sport = :${port}`)) !== '');
    return started;
  };
  const inbound = await sidecar(SERVER_NS, 'envoy-inbound', INBOUND_PORT);
  const outbound = await sidecar(CLIENT_NS, 'envoy-outbound', OUTBOUND_PORT);
  return { outbound, inbound };
}

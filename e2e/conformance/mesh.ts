// SPDX-License-Identifier: Apache-2.0
/* The rig of the conformance tests: one server pod whose ports are those of a Service, seen from one client pod. */
import { join } from 'node:path';
import { RIG_NAMESPACE, SERVER_IP, SERVICE_IP, SidecarRig, type MeshedSide } from '@weft/testkit/sidecar-rig';
import type { StubTarget } from '@weft/testkit/control-stub';
import { createTestMesh } from '@weft/pki/testing';

/** `WEFT_PROXY_MAIN` = another build of the proxy. */
const PROXY_MAIN = process.env.WEFT_PROXY_MAIN ?? join(import.meta.dirname, '../../apps/proxy/dist/main.js');

export interface MeshPort {
  readonly port: number;
  readonly protocol: StubTarget['protocol'];
}

/** Starts both sidecars. `env` is given to both. */
export async function startMesh(ports: readonly MeshPort[], env: Readonly<Record<string, string>> = {}): Promise<SidecarRig> {
  const mesh = createTestMesh();
  const targets = ports.map(({ port, protocol }): StubTarget => ({
    ip: SERVICE_IP,
    port,
    service: `app-${port}`,
    namespace: RIG_NAMESPACE,
    protocol,
    endpoints: [{ ip: SERVER_IP, port, identity: mesh.identityOf('server', RIG_NAMESPACE), inboundPort: 4143, hint: 'h2' }],
  }));
  return SidecarRig.start({
    proxyMain: PROXY_MAIN,
    nodeFlags: ['--disable-warning=ExperimentalWarning'],
    mesh,
    control: { client: { targets }, server: { targets: [] } },
    env: { client: env, server: env },
  });
}

/** One series of a metrics page. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The series of a family on a side's `/metrics`. */
export async function samples(rig: SidecarRig, side: MeshedSide, family: string): Promise<readonly Sample[]> {
  const found: Sample[] = [];
  for (const line of (await rig.metrics(side)).split('\n')) {
    if (!line.startsWith(family)) continue;
    const [, name, labels = '', value] = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name !== family) continue;
    found.push({
      labels: Object.fromEntries([...labels.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, key, text]) => [key, text])),
      value: Number(value),
    });
  }
  return found;
}

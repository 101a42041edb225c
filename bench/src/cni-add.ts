// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run bench:cni`: how long the built CNI plugin takes to set up a meshed pod (ADD), warm. Each run is a process of its own in a fresh
 * network namespace, as a container runtime makes it, against an API server over HTTPS on this machine. Waiting for the API server is
 * reported apart: it is the cluster's time, not the plugin's. Needs root, iptables and a build.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { serveHttpsApi } from '@weft/cni/testing';
import { createMemorySource, NamespaceKind, PodKind } from '@weft/resources';

const RUNS = Number(process.argv[2] ?? 100);
const WARM_UP_RUNS = 5;
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';
const PLUGIN = fileURLToPath(new URL(`../../apps/cni/dist/weft-cni-${ARCHITECTURE}`, import.meta.url));
const NAMESPACE = `weftbench${process.pid}`;

interface Sample {
  readonly totalMs: number;
  readonly lookupMs: number;
}

const source = createMemorySource();
await source.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
await source.create(PodKind, {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { containers: [{ name: 'app' }], initContainers: [{ name: 'linkerd-proxy', restartPolicy: 'Always' }] },
});
const api = await serveHttpsApi(source, 'token');
const directory = mkdtempSync(join(tmpdir(), 'weft-bench-'));
try {
  const kubeconfig = join(directory, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'local', cluster: { server: api.url, 'certificate-authority-data': Buffer.from(api.ca).toString('base64') } }],
      users: [{ name: 'linkerd-cni', user: { token: 'token' } }],
      contexts: [{ name: 'c', context: { cluster: 'local', user: 'linkerd-cni' } }],
      'current-context': 'c',
    }),
  );
  console.log(`ADD of a meshed pod, ${RUNS} runs each, milliseconds      p50      p95      max`);
  for (const [mode, ipv6] of [
    ['nft', false],
    ['nft', true],
    ['legacy', false],
  ] as const) {
    const samples = await measure(configuration(kubeconfig, mode, ipv6));
    const title = `${mode}, ${ipv6 ? 'both families' : 'IPv4 only'}`;
    report(
      `${title}: our process`,
      samples.map(({ totalMs, lookupMs }) => totalMs - lookupMs),
    );
    report(
      `${title}: API calls`,
      samples.map(({ lookupMs }) => lookupMs),
    );
    report(
      `${title}: together`,
      samples.map(({ totalMs }) => totalMs),
    );
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
  await api.close();
  await source.close();
}

function configuration(kubeconfig: string, mode: string, ipv6: boolean): string {
  return JSON.stringify({
    cniVersion: '1.0.0',
    name: 'cluster',
    type: 'linkerd-cni',
    kubernetes: { kubeconfig },
    linkerd: {
      'incoming-proxy-port': 4143,
      'outgoing-proxy-port': 4140,
      'proxy-uid': 2102,
      'inbound-ports-to-ignore': ['4190', '4191', '4567', '4568'],
      'outbound-ports-to-ignore': ['4567', '4568'],
      'iptables-mode': mode,
      ipv6,
    },
    prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.244.0.7/24' }] },
  });
}

async function measure(input: string): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let run = -WARM_UP_RUNS; run < RUNS; run++) {
    spawnSync('ip', ['netns', 'add', NAMESPACE]);
    try {
      const sample = await add(input);
      if (run >= 0) samples.push(sample);
    } finally {
      spawnSync('ip', ['netns', 'del', NAMESPACE]);
    }
  }
  return samples;
}

function add(input: string): Promise<Sample> {
  const { promise, resolve, reject } = Promise.withResolvers<Sample>();
  const startMs = performance.now();
  const child = spawn(PLUGIN, [], {
    env: {
      PATH: process.env['PATH'],
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'c',
      CNI_NETNS: `/run/netns/${NAMESPACE}`,
      CNI_IFNAME: 'eth0',
      CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web',
      WEFT_CNI_TIMING: '1',
    },
  });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  child.stdout.resume();
  child.on('error', reject);
  child.on('close', (code) => {
    const lookupMs = Number(/lookup_ms=([\d.]+)/.exec(stderr)?.[1]);
    if (code === 0) resolve({ totalMs: performance.now() - startMs, lookupMs });
    else reject(new Error(`the plugin failed: ${stderr}`));
  });
  child.stdin.end(input);
  return promise;
}

function report(title: string, values: readonly number[]): void {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1).padStart(9);
  console.log(`  ${title.padEnd(42)}${at(0.5)}${at(0.95)}${at(1)}`);
}

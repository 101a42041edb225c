// SPDX-License-Identifier: Apache-2.0
/*
 * What users see of a mesh on a real cluster: refusals where they write a policy, and the commands that look into proxies and the control plane
 * through port-forward.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { clientApp, echoApp } from './harness/apps.ts';
import { eventually, eventuallyPasses } from './harness/eventually.ts';
import type { Kube } from './harness/kube.ts';
import { MESH_NAMESPACE, weft } from './harness/mesh.ts';
import type { Pod } from './harness/objects.ts';
import { reportFailures, sharedMesh } from './shared-cluster.ts';

let mesh: Kube;
let kube: Kube;
reportFailures(() => [kube, mesh?.in(MESH_NAMESPACE)]);

beforeAll(async () => {
  mesh = await sharedMesh();
  kube = await mesh.createNamespace('inspect', { annotations: { 'linkerd.io/inject': 'enabled' } });
  await kube.apply(...echoApp({ name: 'web', replicas: 2 }), ...clientApp());
  for (const target of ['deploy/web', 'deploy/client']) await kube.rollout(target);
}, 300_000);
afterAll(async () => {
  await kube?.deleteNamespace(false);
});

/** What a command prints on standard output. Throws where it fails. */
async function shown(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await weft(kube, args);
  if (code !== 0) throw new Error(`weft ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}

const webPod = async (): Promise<Pod> => {
  const [pod] = await kube.pods('app=web');
  if (pod === undefined) throw new Error('no pod of web');
  return pod;
};

/** Lines of a table as cells. */
const cells = (table: string): string[][] =>
  table
    .trim()
    .split('\n')
    .map((line) => line.split(/ {2,}/));

/** Requests in the background until `stop`. */
async function load(): Promise<{ stop(): Promise<void> }> {
  await kube.exec('deploy/client', [
    'sh',
    '-c',
    '(while :; do curl -sS -m 5 http://web/ >/dev/null; done) >/dev/null 2>&1 & echo $! >/tmp/load',
  ]);
  return {
    stop: async () => {
      await kube.exec('deploy/client', ['sh', '-c', 'kill $(cat /tmp/load)']);
    },
  };
}

describe('[AZ-16] admission', () => {
  it.each([
    ['policy.linkerd.io/v1beta3', 'Server', { podSelector: {}, port: 0 }, /spec\.port: 0 is no port; use 1 to 65535/],
    [
      'policy.linkerd.io/v1alpha1',
      'NetworkAuthentication',
      { networks: [{ cidr: '10.0.0.0/33' }] },
      /linkerd-policy-validator\.linkerd\.io.*spec\.networks\[0\]\.cidr: "10\.0\.0\.0\/33" is no network/,
    ],
    [
      'linkerd.io/v1alpha2',
      'ServiceProfile',
      { routes: [{ name: 'r', condition: {} }] },
      /linkerd-sp-validator\.linkerd\.io.*spec\.routes\[0\]\.condition: A request match must have a field set/,
    ],
  ])('refuses a bad %s %s where its author looks', async (apiVersion, kind, spec, message) => {
    const { code, stderr } = await kube.tryApply([{ apiVersion, kind, metadata: { name: 'bad.example' }, spec }], ['--dry-run=server']);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  });

  it('admits good ones, and warns of what does nothing', async () => {
    const server = (port: unknown): object => ({
      apiVersion: 'policy.linkerd.io/v1beta3',
      kind: 'Server',
      metadata: { name: 'http' },
      spec: { podSelector: { matchLabels: { app: 'web' } }, port, accessPolicy: 'all-unauthenticated' },
    });
    expect(await kube.tryApply([server(8080)], ['--dry-run=server'])).toMatchObject({ code: 0, stderr: '' });
    const { code, stderr } = await kube.tryApply([server('8080')], ['--dry-run=server']);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/Warning: spec\.port: no container port can be named "8080"/)]);
  });
});

describe('[AZ-16] captured admission cases', () => {
  const vectors = join(import.meta.dirname, '../../packages/admission/src/testdata/vectors/admission');
  /** What we decide otherwise: packages/admission/DIFFERENCES.md. */
  const OTHERWISE: Readonly<Record<string, string>> = { 'sp-opaque-ports-list': 'admitted' };

  it('have the same verdict, from the same place, as under the reference', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-admission-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const expected: Record<string, string> = {};
    for (const name of readdirSync(vectors)) {
      // Names tell the cases apart in what kubectl prints; that of `sp-bad-name` is the case.
      const manifest = readFileSync(join(vectors, name, 'manifest.yaml'), 'utf8')
        .replaceAll('vec-in', kube.namespace)
        .replace(/name: (x|a\.[^,}]*)(?=[,}\n])/, `name: ${name}`);
      writeFileSync(join(directory, `${name}.yaml`), manifest);
      const recorded = JSON.parse(readFileSync(join(vectors, name, 'response.json'), 'utf8')) as { allowed: boolean; refused_by?: string };
      expected[name] = OTHERWISE[name] ?? (recorded.allowed ? 'admitted' : recorded.refused_by === 'api server' ? 'schema' : 'webhook');
    }
    const { stderr } = await kube.tryKubectl(['create', '--dry-run=server', '-f', directory]);
    const found = Object.keys(expected).map((name) => {
      if (stderr.includes(`"${directory}/${name}.yaml": admission webhook`)) return [name, 'webhook'];
      return [name, stderr.includes(`"${name}" is invalid`) ? 'schema' : 'admitted'];
    });
    expect(Object.fromEntries(found)).toEqual(expected);
  });
});

describe('traffic', () => {
  it('[CLI-46] [CLI-51] [CLI-53] is shown by stat, edges and top', async () => {
    const running = await load();
    try {
      const rows = await eventually('traffic', async () => {
        const table = cells(await shown('stat', 'deploy', '-n', kube.namespace, '-t', '2s'));
        return table.some(([name, , success]) => name === 'web' && success === '100.00%') ? table : undefined;
      });
      expect(rows[0]?.slice(0, 8)).toEqual(['NAME', 'MESHED', 'SUCCESS', 'RPS', 'LATENCY_P50', 'LATENCY_P95', 'LATENCY_P99', 'TCP_CONN']);
      expect(rows.find(([name]) => name === 'web')?.[1]).toBe('2/2');
      const [fromClient] = cells(await shown('stat', 'svc/web', '-n', kube.namespace, '-t', '2s')).slice(1);
      expect([fromClient?.[0], fromClient?.[2]]).toEqual(['web', '100.00%']);
      expect(cells(await shown('edges', 'deploy', '-n', kube.namespace, '-o', 'wide'))).toContainEqual([
        'client',
        'web',
        kube.namespace,
        kube.namespace,
        `client.${kube.namespace}`,
        `web.${kube.namespace}`,
        '√',
      ]);
      expect(await shown('top', 'deploy/web', '-n', kube.namespace, '--count', '1')).toMatch(/ web +\[\S+\] +100\.00% /);
    } finally {
      await running.stop();
    }
  });
});

describe('processes', () => {
  it('[CLI-32] [CLI-34] endpoints and profiles are those of the destination service', async () => {
    const pods = await kube.pods('app=web');
    const authority = `web.${kube.namespace}.svc.cluster.local:80`;
    const rows = cells(await shown('diagnostics', 'endpoints', authority)).slice(1);
    expect(rows.map((row) => row[3]).toSorted()).toEqual(pods.map(({ metadata }) => metadata.name).toSorted());
    expect(await shown('dg', 'profile', authority)).toMatch(/fully_qualified_name: web\./);
  });

  it('[CLI-33] policies are those of the policy service', async () => {
    const pod = await webPod();
    const inbound = await shown('diagnostics', 'policy', `po/${pod.metadata.name}`, '8080', '-n', kube.namespace);
    expect(inbound).toMatch(/name: all-unauthenticated/);
    expect(await shown('diagnostics', 'policy', 'svc/web', '80', '-n', kube.namespace, '-o', 'json')).toMatch(/"peak_ewma"/);
  });

  it('[CLI-30] [CLI-31] metrics of controllers and proxies are read', async () => {
    const controllers = await shown('diagnostics', 'controller-metrics');
    for (const container of ['destination', 'sp-validator', 'policy', 'identity', 'proxy-injector', 'linkerd-proxy']) {
      expect(controllers).toMatch(new RegExp(`^# CONTAINER ${container}$`, 'm'));
    }
    expect(controllers).toMatch(/^weft_admission_reviews_total\{allowed="false"\} [1-9]/m);
    expect(controllers).not.toMatch(/^# ERROR/m);
    expect(await shown('diagnostics', 'proxy-metrics', 'deploy/web', '-n', kube.namespace)).toMatch(/^proxy_build_info/m);
  });

  it('[CLI-27] the certificate of a proxy is shown', async () => {
    const pod = await webPod();
    await eventuallyPasses(async () => {
      const text = await shown('identity', pod.metadata.name, '-n', kube.namespace);
      expect(text).toContain(`DNS:web.${kube.namespace}.serviceaccount.identity.linkerd.cluster.local`);
    });
  });

  it('[CLI-28] authorizations of a workload are listed', async () => {
    await kube.apply({
      apiVersion: 'policy.linkerd.io/v1beta3',
      kind: 'Server',
      metadata: { name: 'seen' },
      spec: { podSelector: { matchLabels: { app: 'web' } }, port: 9999 },
    });
    expect(cells(await shown('authz', 'deploy/web', '-n', kube.namespace))[1]).toEqual(['*', 'seen', '-', '-']);
  });
});

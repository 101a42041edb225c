// SPDX-License-Identifier: Apache-2.0
/* Upgrade, prune and uninstall of an installation that an API server holds, and `check` of it, through a kubeconfig. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allKinds, createMemorySource, serveKubernetesApi } from '@weft/resources';
import type { ApiServer, Resource, ResourceKind, ResourceType } from '@weft/resources';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { testCertificate } from '../check/testing/installation.ts';
import { connectCluster } from '../kube/connect-cluster.ts';
import {
  ClusterRoleBindingKind,
  ClusterRoleKind,
  CustomResourceDefinitionKind,
  MutatingWebhookKind,
  PodDisruptionBudgetKind,
  RoleBindingKind,
  RoleKind,
  ValidatingWebhookKind,
} from '../kube/kinds.ts';
import type { PlainObject } from '../kube/testing/memory-reader.ts';
import { runProgram } from '../program.ts';

const EXTRA_KINDS: readonly ResourceKind[] = [
  ClusterRoleBindingKind,
  ClusterRoleKind,
  CustomResourceDefinitionKind,
  MutatingWebhookKind,
  PodDisruptionBudgetKind,
  RoleBindingKind,
  RoleKind,
  ValidatingWebhookKind,
];

/** A kind without schema. */
function openType({ group, version, kind, plural, isNamespaced }: ResourceKind): ResourceType {
  const rules = { normalise: () => undefined, validate: () => [] };
  return {
    group,
    kind,
    plural,
    isNamespaced,
    nameStyle: 'subdomain',
    storageVersion: version,
    versions: new Map([[version, { name: version, hasStatus: false, rules }]]),
    hasGeneration: false,
    needsVersion: false,
  };
}

let directory: string;
let server: ApiServer;
let source: ReturnType<typeof createMemorySource>;
let kubeconfig: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'weft-installed-'));
  source = createMemorySource({ customTypes: EXTRA_KINDS.map(openType) });
  server = await serveKubernetesApi(source, { listen: { host: '127.0.0.1', port: 0 } });
  kubeconfig = join(directory, 'kubeconfig');
  const clusters = [{ name: 'c', cluster: { server: server.url } }];
  const contexts = ['one', 'two'].map((name) => ({ name, context: { cluster: 'c', user: 'u', namespace: name } }));
  writeFileSync(
    kubeconfig,
    JSON.stringify({ apiVersion: 'v1', kind: 'Config', 'current-context': 'one', clusters, contexts, users: [{ name: 'u', user: {} }] }),
  );
});

afterEach(async () => {
  await server.close();
  await source.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function weft(...argv: readonly string[]): Promise<Outcome> {
  let [out, err] = ['', ''];
  const code = await runProgram(['--kubeconfig', kubeconfig, ...argv], { out: (text) => (out += text), err: (text) => (err += text) });
  return { code, out, err };
}

function documents(text: string): PlainObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as PlainObject | null)
    .filter((object) => object !== null);
}

const KINDS = [...allKinds, ...EXTRA_KINDS];

/** What kubectl apply would do. */
function seed(...objects: readonly object[]): void {
  for (const object of objects as readonly PlainObject[]) {
    const kind = KINDS.find(
      (candidate) =>
        candidate.kind === object.kind && object.apiVersion === (candidate.group === '' ? '' : `${candidate.group}/`) + candidate.version,
    );
    if (kind === undefined) continue;
    source.store.seed(object as unknown as Resource);
  }
}

const GATEWAY = ['httproutes', 'grpcroutes'].map((name) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${name}.gateway.networking.k8s.io` },
  spec: { versions: [{ name: 'v1', served: true }] },
}));

async function installed(...flags: readonly string[]): Promise<PlainObject[]> {
  const definitions = documents((await weft('install', '--crds', '--ignore-cluster')).out);
  const { code, out } = await weft('install', '--ignore-cluster', ...flags);
  expect(code).toBe(0);
  const objects = documents(out);
  seed(...GATEWAY, ...definitions, ...objects);
  return objects;
}

function secretData(objects: readonly PlainObject[], name: string): Readonly<Record<string, string>> {
  return objects.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === name)?.['data'] as Record<string, string>;
}

describe('a cluster behind a kubeconfig', () => {
  it('[CLI-01] is that of the context, whose namespace is the default', async () => {
    const globals = { linkerdNamespace: 'linkerd', cniNamespace: 'linkerd-cni', asGroup: [], isVerbose: true, kubeconfig };
    const told: string[] = [];
    const cluster = await connectCluster({ ...globals, context: 'two' }, (text) => told.push(text));
    expect(cluster.serverUrl).toBe(server.url);
    expect(cluster.defaultNamespace).toBe('two');
    expect(await cluster.call({ method: 'GET', path: '/version' })).toMatchObject({});
    expect(told).toEqual(['GET /version\n']);
    await expect(connectCluster({ ...globals, context: 'three' })).rejects.toThrow('context "three" does not exist');
    await expect(connectCluster({ ...globals, kubeconfig: join(directory, 'nowhere') })).rejects.toThrow('cannot read the kubeconfig');
    await expect(connectCluster({ ...globals, asGroup: ['g'] })).rejects.toThrow('--as-group needs --as');
  });

  it('[CLI-05] says which version is installed', async () => {
    await installed();
    const { code, out } = await weft('version');
    expect(code).toBe(0);
    expect(out).toMatch(/^Client version: (\S+)\nServer version: \1\n$/);
    expect((await weft('version', '--short', '-L', 'nowhere')).out).toMatch(/^\S+\nunavailable\n$/);
  });

  it('[CLI-05] counts pods by the version of their proxy', async () => {
    const pod = (name: string, image: string): object => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'shop', labels: { 'linkerd.io/control-plane-ns': 'linkerd' } },
      spec: { containers: [{ name: 'app', image: 'app' }], initContainers: [{ name: 'linkerd-proxy', image, restartPolicy: 'Always' }] },
    });
    seed(pod('a', 'r:5000/proxy:1'), pod('b', 'proxy:2@sha256:0'), pod('c', 'proxy:2'));
    const { out } = await weft('version', '--proxy');
    expect(out).toMatch(/Proxy versions:\n\t1 \(1 pod\)\n\t2 \(2 pods\)\n$/);
  });
});

describe('[CLI-09] weft install into a cluster', () => {
  it('asks for the definitions, then for an upgrade', async () => {
    expect(await weft('install')).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('Gateway API CRDs are missing') as string,
    });
    seed(...GATEWAY);
    expect(await weft('install')).toMatchObject({ code: 1, out: '', err: expect.stringContaining('weft install --crds') as string });
    await installed();
    expect(await weft('install')).toMatchObject({ code: 1, out: '', err: expect.stringContaining('weft upgrade') as string });
  });

  it('[CLI-16] leaves the ports of the API server alone', async () => {
    const { out } = await weft('install', '--crds', '--ignore-cluster');
    seed(...GATEWAY, ...documents(out));
    seed({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.0.0.1'] }],
      ports: [{ name: 'https', port: 16_443, protocol: 'TCP' }],
    });
    const rendered = await weft('install');
    expect(rendered).toMatchObject({ code: 0 });
    const identity = documents(rendered.out).find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'linkerd-identity');
    expect(JSON.stringify(identity)).toMatch(/--outbound-ports-to-ignore","[^"]*16443/);
  });
});

describe('[CLI-17] weft upgrade', () => {
  it('keeps values and certificates, and takes new flags', async () => {
    const before = await installed('--set', 'proxy.logLevel=debug', '--ha');
    const { code, out } = await weft('upgrade', '--controller-log-level', 'debug');
    expect(code).toBe(0);
    const after = documents(out);
    expect(secretData(after, 'linkerd-identity-issuer')).toEqual(secretData(before, 'linkerd-identity-issuer'));
    const values = parse(
      String((after.find(({ metadata }) => metadata.name === 'linkerd-config')?.['data'] as { values: string } | undefined)?.values),
    ) as Record<string, unknown>;
    expect(values).toMatchObject({ controllerLogLevel: 'debug', highAvailability: true, proxy: { logLevel: 'debug' } });
  });

  it('prints the same without flags', async () => {
    const before = await installed('--set', 'proxy.logLevel=debug');
    const after = documents((await weft('upgrade')).out);
    expect(after).toEqual(before);
  });

  it('works from saved manifests', async () => {
    const objects = await installed('--set', 'proxy.logLevel=debug');
    const file = join(directory, 'saved.yaml');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    await server.close();
    const { code, out } = await weft('upgrade', '--from-manifests', file);
    expect(code).toBe(0);
    expect(documents(out)).toEqual(objects);
  });

  it('is not for what Helm installed', async () => {
    await installed();
    source.store.delete({ group: '', version: 'v1', kind: 'Secret' }, 'linkerd', 'linkerd-config-overrides');
    expect(await weft('upgrade')).toMatchObject({ code: 1, out: '', err: expect.stringContaining('Upgrade it with Helm') as string });
  });

  it('[CLI-18] refuses an issuer that running proxies would not trust', async () => {
    const now = Date.now();
    const validity = { from: now - 1000, to: now + 1e9 };
    const root = testCertificate({ ...validity, name: 'old' });
    const issuer = testCertificate({ ...validity, signer: root });
    const newRoot = testCertificate({ ...validity, name: 'new' });
    const newIssuer = testCertificate({ ...validity, signer: newRoot });
    const file = (name: string, text: string): string => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    };
    await installed(
      ...['--identity-trust-anchors-file', file('root', root.pem), '--identity-issuer-certificate-file', file('issuer', issuer.pem)],
      ...['--identity-issuer-key-file', file('key', issuer.keyPem)],
    );
    const proxyWith = (anchors: string): object => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', namespace: 'shop', labels: { 'linkerd.io/control-plane-ns': 'linkerd' } },
      spec: {
        containers: [{ name: 'linkerd-proxy', image: 'proxy:1', env: [{ name: 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS', value: anchors }] }],
      },
    });
    seed(proxyWith(root.pem));
    const change = [
      ...['--identity-trust-anchors-file', file('both', root.pem + newRoot.pem)],
      ...[
        '--identity-issuer-certificate-file',
        file('new-issuer', newIssuer.pem),
        '--identity-issuer-key-file',
        file('new-key', newIssuer.keyPem),
      ],
    ];
    const refused = await weft('upgrade', ...change);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toMatch(/warning: the trust anchors change[^]*\* shop\/web: certificate signed by unknown authority/);
    const forced = await weft('upgrade', '--force', ...change);
    expect(forced.code).toBe(0);
    expect(
      Buffer.from(secretData(documents(forced.out), 'linkerd-identity-issuer')['crt.pem'] as string, 'base64')
        .toString()
        .trim(),
    ).toBe(newIssuer.pem.trim());
    source.store.delete({ group: '', version: 'v1', kind: 'Pod' }, 'shop', 'web');
    seed(proxyWith(root.pem + newRoot.pem));
    expect(await weft('upgrade', ...change)).toMatchObject({ code: 0 });
    expect(await weft('upgrade', ...change.slice(0, 4))).toMatchObject({ code: 1, out: '' });
    expect(await weft('upgrade', ...change.slice(2))).toMatchObject({ code: 1, out: '' });
  });

  it('[CLI-18] takes no issuer where it is external', async () => {
    const root = join(directory, 'root.pem');
    writeFileSync(root, testCertificate().pem);
    await installed('--identity-external-issuer', '--identity-trust-anchors-file', root);
    const { code, err } = await weft('upgrade', '--identity-issuer-certificate-file', root, '--identity-issuer-key-file', root);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('is external') as string });
    expect(await weft('upgrade')).toMatchObject({ code: 0 });
  });
});

describe('[CLI-19] weft prune', () => {
  it('prints what no chart has, and nothing that is in use', async () => {
    await installed();
    const labels = { 'linkerd.io/control-plane-ns': 'linkerd' };
    seed(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'old', namespace: 'linkerd', labels } },
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'linkerd-old', labels } },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'linkerd-proxy-injector-k8s-tls', namespace: 'linkerd', labels } },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'viz', namespace: 'x', labels: { ...labels, 'linkerd.io/extension': 'viz' } },
      },
    );
    const { code, out } = await weft('prune');
    expect(code).toBe(0);
    expect(documents(out)).toEqual([
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'old', namespace: 'linkerd' } },
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'linkerd-old' } },
    ]);
  });
});

describe('[CLI-20] weft uninstall', () => {
  it('refuses while something is meshed or an extension is there, naming them', async () => {
    await installed();
    seed(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'viz-ns', labels: { 'linkerd.io/extension': 'viz' } } },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'web', namespace: 'shop', labels: { 'linkerd.io/control-plane-ns': 'linkerd' } },
        spec: { containers: [{ name: 'linkerd-proxy', image: 'proxy:1' }] },
      },
    );
    const refused = await weft('uninstall');
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toMatch(/\* viz \(namespace viz-ns\)[^]*\* shop\/web/);
    expect(await weft('uninstall', '--force')).toMatchObject({ code: 0 });
  });

  it('prints everything that was installed, and what the processes made', async () => {
    const objects = await installed();
    seed(
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'linkerd-proxy-injector-k8s-tls', namespace: 'linkerd' } },
      { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'policy-controller-write', namespace: 'linkerd' } },
    );
    const { code, out } = await weft('uninstall');
    expect(code).toBe(0);
    const key = ({ kind, metadata }: PlainObject): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
    const gone = new Set(documents(out).map(key));
    // What the store does not know (there is no such kind here) was never applied.
    const applied = objects.filter(({ kind }) => KINDS.some((known) => known.kind === kind));
    expect(applied.map(key).filter((name) => !gone.has(name))).toEqual([]);
    for (const name of [
      'Secret linkerd/linkerd-proxy-injector-k8s-tls',
      'Lease linkerd/policy-controller-write',
      'CustomResourceDefinition /servers.policy.linkerd.io',
    ]) {
      expect(gone).toContain(name);
    }
    expect(gone).not.toContain('CustomResourceDefinition /httproutes.gateway.networking.k8s.io');
    expect(documents(out).at(-1)).toMatchObject({ kind: 'Namespace', metadata: { name: 'linkerd' } });
  });
});

// SPDX-License-Identifier: Apache-2.0
/* `inject` and `uninject` as their users run them: files in, manifests out, a report beside them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Command } from 'commander';
import { createTestMesh } from '@weft/pki/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { CommandContext } from '../command-context.ts';
import { runProgram } from '../program.ts';
import { startFakeCluster } from '../testdata/fake-cluster.ts';
import { define, installedInstallation } from './inject.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const DEPLOYMENT = `# the shop's front
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop } # one line
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web, "on": "yes" } }
    spec:
      containers:
      - name: app
        image: app
        ports: [{ containerPort: 8080 }]
        env: [{ name: MODE, value: "0644" }, { name: FLAG, value: "no" }]
`;
const CONFIG = `# kept as it is
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}   # and this
data: {a: "1"}
`;

function directory(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-inject-'));
  cleanups.push(() => rmSync(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}

interface Written {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function weft(...argv: string[]): Promise<Written> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runProgram(argv, { out: (text) => void out.push(text), err: (text) => void err.push(text) });
  return { code, out: out.join(''), err: err.join('') };
}

// Any: manifests of many kinds are looked into.
type Loose = ReturnType<typeof JSON.parse>;

function objects(text: string): Loose[] {
  return parseAllDocuments(text, { version: '1.1' }).map((document) => document.toJS() as Loose);
}

describe('[CLI-22] weft inject', () => {
  it('adds an annotation, and leaves the rest and other documents as they were', async () => {
    const path = directory({ 'all.yaml': `${DEPLOYMENT}---\n${CONFIG}---\n` });
    const { code, out, err } = await weft('inject', join(path, 'all.yaml'));
    expect(code).toBe(0);
    const [deployment, config] = objects(out);
    const [original] = objects(DEPLOYMENT);
    expect(deployment.spec.template.metadata).toEqual({
      labels: original.spec.template.metadata.labels,
      annotations: { 'linkerd.io/inject': 'enabled' },
    });
    expect(deployment.spec.template.spec).toEqual(original.spec.template.spec);
    expect(Object.keys(deployment)).toEqual(['apiVersion', 'kind', 'metadata', 'spec']);
    expect(config.data).toEqual({ a: '1' });
    expect(out).toContain('# kept as it is\n');
    expect(err).toBe('\n√ deployment "web" injected\n  configmap "settings" skipped\n');
  });

  it.each([
    [['--ingress'], { 'linkerd.io/inject': 'ingress' }],
    [
      ['--native-sidecar', '--enable-debug-sidecar'],
      { 'config.linkerd.io/proxy-enable-native-sidecar': 'true', 'config.linkerd.io/enable-debug-sidecar': 'true' },
    ],
    [['--wait-before-exit-seconds', '5'], { 'config.alpha.linkerd.io/proxy-wait-before-exit-seconds': '5' }],
    [['--require-identity-on-inbound-ports', '80,443'], { 'config.linkerd.io/proxy-require-identity-inbound-ports': '80,443' }],
    [['--close-wait-timeout', '1m30s'], { 'config.linkerd.io/close-wait-timeout': '1m30s' }],
    [
      ['--proxy-cpu-request', '100m', '--proxy-memory-limit', '250Mi'],
      { 'config.linkerd.io/proxy-cpu-request': '100m', 'config.linkerd.io/proxy-memory-limit': '250Mi' },
    ],
    [
      ['--proxy-image', 'x/proxy', '--proxy-log-level', 'debug'],
      { 'config.linkerd.io/proxy-image': 'x/proxy', 'config.linkerd.io/proxy-log-level': 'debug' },
    ],
    [
      ['--skip-outbound-ports', '25,3000-3010', '--admin-port', '9191'],
      { 'config.linkerd.io/skip-outbound-ports': '25,3000-3010', 'config.linkerd.io/admin-port': '9191' },
    ],
    [
      ['--enable-external-profiles', '--proxy-uid', '7'],
      { 'config.linkerd.io/enable-external-profiles': 'true', 'config.linkerd.io/proxy-uid': '7' },
    ],
    [
      ['--default-inbound-policy', 'deny', '--access-log', 'json'],
      { 'config.linkerd.io/default-inbound-policy': 'deny', 'config.linkerd.io/access-log': 'json' },
    ],
    [['--registry', 'reg.example/mesh/'], { 'config.linkerd.io/proxy-image': 'reg.example/mesh/proxy' }],
    [['--registry', 'reg.example', '--proxy-image', 'own/proxy'], { 'config.linkerd.io/proxy-image': 'own/proxy' }],
  ])('[CLI-13] %j becomes annotations', async (flags, annotations) => {
    const path = directory({ 'web.yaml': DEPLOYMENT });
    const { out } = await weft('inject', ...flags, path);
    expect(objects(out)[0].spec.template.metadata.annotations).toEqual({ 'linkerd.io/inject': 'enabled', ...annotations });
  });

  it.each([
    ['--admin-port', '0'],
    ['--close-wait-timeout', 'soon'],
    ['--default-inbound-policy', 'open'],
    ['--access-log', 'xml'],
    ['--wait-before-exit-seconds', '-1'],
  ])('%s %s is a usage error', async (...flags) => {
    expect((await weft('inject', ...flags, '-')).code).toBe(2);
  });

  it('[CLI-25] annotates Services and Namespaces with opaque ports', async () => {
    const service = 'apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 3306}]}\n';
    const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n';
    const path = directory({ 'a/service.yaml': service, 'b/namespace.json': JSON.stringify(objects(namespace)[0]) });
    const { out, err } = await weft('inject', '--opaque-ports', '3306', path);
    expect(objects(out).map(({ kind, metadata }) => [kind, metadata.annotations])).toEqual([
      ['Service', { 'config.linkerd.io/opaque-ports': '3306' }],
      ['Namespace', { 'config.linkerd.io/opaque-ports': '3306', 'linkerd.io/inject': 'enabled' }],
    ]);
    expect(err).toMatch(/√ service "db" annotated\n√ namespace "shop" injected/);
  });

  it('[CLI-24] says why it passes something over', async () => {
    const pod = (name: string, spec: string, annotations = '{}'): string =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, annotations: ${annotations}}\nspec: ${spec}\n`;
    const path = directory({
      'pods.yaml': [
        pod('host', '{hostNetwork: true, containers: [{name: a, image: b}]}'),
        pod('istio', '{containers: [{name: istio-proxy, image: b}]}'),
        pod('opted-out', '{containers: [{name: a, image: b}]}', '{linkerd.io/inject: disabled}'),
        pod('udp', '{containers: [{name: a, image: b, ports: [{containerPort: 53, protocol: UDP}]}]}'),
        'apiVersion: v1\nmetadata: {name: nothing}\n',
      ].join('---\n'),
    });
    const { err, code } = await weft('inject', path);
    expect(err.trim().split('\n')).toEqual(
      [
        '‼ pod "host" skipped: hostNetwork is enabled',
        '‼ pod "istio" skipped: the pod has the sidecar of a mesh already',
        '‼ pod "opted-out" skipped: the pod has the annotation "linkerd.io/inject: disabled"',
        '√ pod "udp" injected',
        '‼ pod "udp" has UDP ports, which stay outside the mesh',
        'document missing "kind" field, skipped',
      ].map((line, index) => (index === 5 ? `  ${line}` : line)),
    );
    expect(code).toBe(0);
  });

  it('[CLI-23] writes the containers, the same when run again, and takes them out', async () => {
    const values = `identityTrustAnchorsPEM: |\n${createTestMesh().anchor.certificatePem.replaceAll(/^/gm, '  ')}\n`;
    const path = directory({ 'web.yaml': DEPLOYMENT, 'values/values.txt': values });
    const manual = ['--manual', '--ignore-cluster', '--values', join(path, 'values/values.txt')];
    const first = await weft('inject', ...manual, path);
    expect([first.code, first.err]).toEqual([0, '\n√ deployment "web" injected\n']);
    const pod = objects(first.out)[0].spec.template;
    expect(pod.spec.initContainers.map(({ name }: Loose) => name)).toEqual(['linkerd-init', 'linkerd-proxy']);
    writeFileSync(join(path, 'web.yaml'), first.out);
    expect((await weft('inject', ...manual, path)).out).toBe(first.out);
    // [CLI-26]
    const { out, err } = await weft('uninject', path);
    expect(objects(out)).toEqual(objects(DEPLOYMENT));
    expect(err).toBe('\n√ deployment "web" uninjected\n');
    expect((await weft('inject', '--manual', '--ignore-cluster', path)).err).toMatch(/needs --values/);
  });

  it('[CLI-23] takes the configuration of an installed control plane', async () => {
    const cluster = await startFakeCluster([
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'linkerd-config', namespace: 'mesh' },
        data: { values: 'linkerdVersion: 1.2.3\nclusterDomain: c.d\n' },
      },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'linkerd-identity-trust-roots', namespace: 'mesh' },
        data: { 'ca-bundle.crt': 'PEM' },
      },
    ]);
    cleanups.push(() => cluster.end());
    expect(await installedInstallation(cluster, 'mesh')).toMatchObject({
      version: '1.2.3',
      trustAnchors: 'PEM',
      controlPlaneNamespace: 'mesh',
    });
    await expect(installedInstallation(cluster, 'other')).rejects.toThrow(/cannot read the installation in namespace other/);
  });

  it('reads standard input and URLs, and writes JSON', async () => {
    const server = createServer((request, response) =>
      request.url === '/web.yaml' ? response.end(DEPLOYMENT) : response.writeHead(404).end(),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const fromUrl = await weft('inject', '-o', 'json', `${url}/web.yaml`);
    expect((JSON.parse(fromUrl.out) as Loose).spec.template.metadata.annotations).toEqual({ 'linkerd.io/inject': 'enabled' });
    expect((await weft('inject', `${url}/none`)).err).toMatch(/answered 404/);

    const written: string[] = [];
    const command = new Command().exitOverride();
    define(
      command,
      { out: (text) => void written.push(text), err: () => undefined } as Partial<CommandContext> as CommandContext,
      Readable.from([DEPLOYMENT]),
    );
    await command.parseAsync(['-'], { from: 'user' });
    expect(objects(written.join(''))[0].spec.template.metadata.annotations).toEqual({ 'linkerd.io/inject': 'enabled' });
  });

  it.each([
    [{ 'a.yaml': 'a: [' }, /a\.yaml: /],
    [{ 'a.yaml': '- 1' }, /a document is no object/],
    [{ 'a.yaml': `${DEPLOYMENT}---\na: {b` }, /a\.yaml: /],
    [{ 'a.txt': 'x' }, /holds no \.yaml/],
    [
      {
        'a.yaml': `a: &a [x,x,x,x,x,x,x,x,x,x]\n${['b', 'c', 'd', 'e', 'f', 'g'].map((name, index) => `${name}: &${name} [${Array(10).fill(`*${'abcdef'[index]}`).join(',')}]`).join('\n')}`,
      },
      /alias/i,
    ],
  ])('%# what cannot be read ends it before anything is written', async (files, message) => {
    const { code, out, err } = await weft('inject', directory(files));
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(message);
  });
});

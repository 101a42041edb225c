// SPDX-License-Identifier: Apache-2.0
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, describe, expect, it } from 'vitest';

import { createDirectorySource, createStore, DeploymentKind, NamespaceKind, PodKind, ServerKind, ServiceKind } from '../index.ts';
import type { DirectorySource, DirectorySourceOptions, ManifestProblem } from '../index.ts';

const crdDirectory = fileURLToPath(new URL('../../../../charts/weft-crds/files/', import.meta.url));

interface World {
  readonly source: DirectorySource;
  readonly problems: ManifestProblem[];
  readonly healed: string[];
  readonly write: (file: string, text: string) => Promise<void>;
  /** Writes (undefined removes) and takes the changes in. */
  readonly edit: (files: Record<string, string | undefined>) => Promise<void>;
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function world(files: Record<string, string>, options: Partial<DirectorySourceOptions> = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'weft-resources-'));
  const write = async (file: string, text: string): Promise<void> => {
    await mkdir(dirname(join(directory, file)), { recursive: true });
    await writeFile(join(directory, `${file}.tmp`), text);
    await rename(join(directory, `${file}.tmp`), join(directory, file));
  };
  for (const [file, text] of Object.entries(files)) await write(file, text);
  const problems: ManifestProblem[] = [];
  const healed: string[] = [];
  let uid = 0;
  let nowMs = Date.parse('2026-01-01T00:00:00Z');
  const source = await createDirectorySource({
    directory,
    crdDirectory,
    newUid: () => `uid-${(uid += 1)}`,
    nowMs: () => (nowMs += 60_000),
    onProblem: (problem) => problems.push(problem),
    onHealed: (file) => healed.push(file),
    // Tests that write say when to look.
    debounceMs: 3_600_000,
    pollMs: 3_600_000,
    fallbackPollMs: 3_600_000,
    ...options,
  });
  cleanups.push(async () => {
    await source.close();
    await rm(directory, { recursive: true });
  });
  return {
    source,
    problems,
    healed,
    write,
    edit: async (changes) => {
      for (const [file, text] of Object.entries(changes)) {
        if (text === undefined) await rm(join(directory, file));
        else await write(file, text);
      }
      await source.rescan();
    },
  };
}

const pod = (name: string, extra = ''): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: a, labels: {app: web}}
spec:
  containers: [{name: c, ports: [{containerPort: 80}]}]
${extra}`;

const server = (name: string, port = '80', extra = ''): string => `
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: ${name}, namespace: a}
spec:
  podSelector: {}
  port: ${port}
${extra}`;

describe('a directory of manifests', () => {
  it('is read in depth, all documents, lists and JSON, with the defaults of an API server', async () => {
    const { source, problems } = await world({
      'pods.yaml': `${pod('one')}\n---\n${pod('two')}\n---\n`,
      'deeper/still/list.yml': `apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: web, namespace: a}, spec: {ports: [{port: 80}]}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n`,
      'server.json': JSON.stringify({
        apiVersion: 'policy.linkerd.io/v1beta3',
        kind: 'Server',
        metadata: { name: 's', namespace: 'a' },
        spec: { podSelector: {}, port: 80, extra: 1 },
      }),
      '.hidden.yaml': 'not: a manifest',
      'notes.txt': 'nor this',
    });
    expect(problems).toEqual([]);
    expect((await source.list(PodKind)).map(({ metadata }) => metadata.name)).toEqual(['one', 'two']);
    expect((await source.get(PodKind, 'a', 'one')).spec).toMatchObject({
      serviceAccountName: 'default',
      restartPolicy: 'Always',
      containers: [{ ports: [{ containerPort: 80, protocol: 'TCP' }] }],
    });
    expect((await source.get(ServiceKind, 'a', 'web')).spec).toMatchObject({
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ports: [{ port: 80, targetPort: 80, protocol: 'TCP' }],
    });
    expect((await source.get(ServerKind, 'a', 's')).spec).toEqual({
      podSelector: {},
      port: 80,
      proxyProtocol: 'unknown',
      accessPolicy: 'deny',
    });
  });

  it('makes the namespaces that are used, labelled with their name', async () => {
    const { source } = await world({ 'pod.yaml': pod('one') }, { namespaces: ['linkerd'] });
    const namespaces = await source.list(NamespaceKind);
    expect(namespaces.map(({ metadata }) => metadata.labels)).toEqual(
      ['a', 'default', 'linkerd'].map((name) => ({ 'kubernetes.io/metadata.name': name })),
    );
  });

  it('keeps a namespace whose manifest goes while others need it, without what the manifest said', async () => {
    const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: a, annotations: {linkerd.io/inject: enabled}}\n';
    const { source, edit } = await world({ 'ns.yaml': namespace, 'pod.yaml': pod('one') });
    expect((await source.get(NamespaceKind, '', 'a')).metadata.annotations).toEqual({ 'linkerd.io/inject': 'enabled' });
    await edit({ 'ns.yaml': undefined });
    expect((await source.get(NamespaceKind, '', 'a')).metadata.annotations).toEqual({});
    expect(await source.list(PodKind)).toHaveLength(1);
  });

  it('takes status and age from a file, and the uid of a named owner', async () => {
    const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: a, creationTimestamp: "2025-05-05T05:05:05Z"}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}}
`;
    const owned = pod('one', 'status: {podIP: 10.0.0.1, phase: Running}').replace(
      'labels:',
      'ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web}], labels:',
    );
    const { source, problems } = await world({ 'a-pod.yaml': owned, 'web.yaml': deployment });
    expect(problems).toEqual([]);
    const { metadata } = await source.get(DeploymentKind, 'a', 'web');
    const one = await source.get(PodKind, 'a', 'one');
    expect(metadata.creationTimestamp).toBe('2025-05-05T05:05:05Z');
    expect(one.status).toEqual({ podIP: '10.0.0.1', phase: 'Running' });
    expect(one.metadata.ownerReferences?.[0]?.uid).toBe(metadata.uid);
  });
});

describe('an edit', () => {
  it('changes the object in place: same uid and age, next generation', async () => {
    const { source, edit } = await world({ 's.yaml': server('s') });
    const before = await source.get(ServerKind, 'a', 's');
    await edit({ 's.yaml': server('s', '81') });
    const after = await source.get(ServerKind, 'a', 's');
    expect(after.spec?.port).toBe(81);
    expect(after.metadata).toEqual({ ...before.metadata, generation: 2, resourceVersion: after.metadata.resourceVersion });
    expect(after.metadata.resourceVersion).not.toBe(before.metadata.resourceVersion);
  });

  it('removes a field that the file no longer has, and its default comes back', async () => {
    const { source, edit } = await world({ 's.yaml': server('s', '80', '  proxyProtocol: opaque') });
    await edit({ 's.yaml': server('s') });
    expect((await source.get(ServerKind, 'a', 's')).spec?.proxyProtocol).toBe('unknown');
  });

  it('leaves status and fields that others have written', async () => {
    const { source, edit } = await world({ 'p.yaml': pod('one', 'status: {podIP: 10.0.0.1}') });
    await source.patchStatus(PodKind, 'a', 'one', { status: { podIP: '10.0.0.2', phase: 'Running' } }, 'kubelet');
    await source.patch(PodKind, 'a', 'one', { metadata: { annotations: { x: 'y' } }, spec: { nodeName: 'n' } }, 'scheduler');
    await edit({ 'p.yaml': pod('one', 'status: {podIP: 10.0.0.1}').replace('app: web', 'app: db') });
    const { metadata, spec, status } = await source.get(PodKind, 'a', 'one');
    expect(metadata).toMatchObject({ labels: { app: 'db' }, annotations: { x: 'y' } });
    expect(spec?.nodeName).toBe('n');
    expect(status).toEqual({ podIP: '10.0.0.2', phase: 'Running' });
  });

  it('that changes nothing says nothing', async () => {
    const { source, edit } = await world({ 's.yaml': server('s') });
    const before = await source.get(ServerKind, 'a', 's');
    await edit({ 's.yaml': `# a comment\n${server('s')}` });
    expect(await source.get(ServerKind, 'a', 's')).toBe(before);
  });

  it('that drops a document or a file deletes the object', async () => {
    const { source, edit } = await world({ 'p.yaml': `${pod('one')}\n---\n${pod('two')}`, 's.yaml': server('s') });
    await edit({ 'p.yaml': pod('two'), 's.yaml': undefined });
    expect((await source.list(PodKind)).map(({ metadata }) => metadata.name)).toEqual(['two']);
    expect(await source.list(ServerKind)).toEqual([]);
  });

  it('that moves an object to another file does not touch it', async () => {
    const { source, edit, problems } = await world({ 'b.yaml': `${server('s')}\n---\n${server('t')}` });
    const before = await source.get(ServerKind, 'a', 's');
    const store = createStore(source, ServerKind);
    await store.synced;
    const events: string[] = [];
    store.onChange(({ type }) => events.push(type));
    await edit({ 'a.yaml': server('s'), 'b.yaml': server('t') });
    expect(await source.get(ServerKind, 'a', 's')).toBe(before);
    expect([events, problems]).toEqual([[], []]);
  });

  it('brings back an object that was deleted by a caller, which a mere re-reading does not', async () => {
    const { source, edit } = await world({ 's.yaml': server('s') });
    await source.delete(ServerKind, 'a', 's');
    await edit({ 's.yaml': `${server('s')}\n---\n${server('t')}` });
    expect((await source.list(ServerKind)).map(({ metadata }) => metadata.name)).toEqual(['t']);
    await edit({ 's.yaml': server('s', '81') });
    expect((await source.list(ServerKind)).map(({ metadata }) => metadata.name)).toEqual(['s']);
  });

  it('is noticed without being asked for', async () => {
    const { source, write } = await world({ 's.yaml': server('s') }, { debounceMs: 1, settleMs: 1, fallbackPollMs: 20 });
    const { promise, resolve } = Promise.withResolvers<unknown>();
    source.watch(ServerKind, undefined, (event) => {
      if (event.type === 'modified') resolve(event.object.spec?.port);
    });
    await write('s.yaml', server('s', '8080'));
    expect(await promise).toBe(8080);
  });
});

describe('a broken file', () => {
  it.each<[string, string, Partial<ManifestProblem>]>([
    ['that is not YAML', 'a: [1,\nb: 2\n', { line: 2 }],
    ['with a key twice', 'kind: Pod\nkind: Pod\n', { line: 2, reason: 'Map keys must be unique' }],
    [
      'of an unknown kind',
      '\napiVersion: v1\nkind: Thing\nmetadata: {name: x}\n',
      { line: 3, reason: 'no matches for kind "Thing" in version "v1"' },
    ],
    ['that is no object', '- 1\n', { line: 1, reason: 'a manifest must be an object with apiVersion and kind' }],
    ['that breaks its schema', server('s', '80', '  externalWorkloadSelector: {}'), { object: 'Server a/s' }],
    [
      'with a wrong type',
      server('s', '1.5'),
      { line: 7, reason: 'spec.port: Invalid value: "number": spec.port in body must be of type integer,string: "number"' },
    ],
    ['with a bad name', server('S_'), { line: 4, object: 'Server a/S_' }],
    ['with an object twice', `${server('s')}\n---\n${server('s')}`, { line: 13, reason: 'defined twice in this file' }],
    [
      'with a bad port',
      pod('one').replace('80', '70000'),
      { line: 6, reason: 'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive' },
    ],
    [
      'that expands without bound',
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(9)}]\nc: &c [${'*b,'.repeat(9)}]\nd: &d [${'*c,'.repeat(9)}]\ne: [${'*d,'.repeat(9)}]\n`,
      { line: 1 },
    ],
  ])('%s is reported with its line, stays as it last was, and heals', async (_name, text, problem) => {
    const { source, edit, problems, healed } = await world({ 'x.yaml': server('before'), 'other.yaml': server('other') });
    await edit({ 'x.yaml': text, 'other.yaml': server('other', '81') });
    expect(problems[0]).toMatchObject({ file: 'x.yaml', ...problem });
    expect(source.problems()).toEqual(problems);
    expect((await source.list(ServerKind)).map(({ metadata, spec }) => [metadata.name, spec?.port])).toEqual([
      ['before', 80],
      ['other', 81],
    ]);
    await source.rescan();
    expect(problems).toHaveLength(source.problems().length);
    expect(healed).toEqual([]);
    await edit({ 'x.yaml': server('after') });
    expect(healed).toEqual(['x.yaml']);
    expect(source.problems()).toEqual([]);
    expect((await source.list(ServerKind)).map(({ metadata }) => metadata.name)).toEqual(['after', 'other']);
  });

  it('counts as a whole', async () => {
    const { source } = await world({ 'x.yaml': `${server('good')}\n---\n${server('bad', '1.5')}` });
    expect(await source.list(ServerKind)).toEqual([]);
  });

  it('that defines an object of another file waits until that file gives it up', async () => {
    const { source, edit, problems, healed } = await world({ 'a.yaml': server('s', '1'), 'b.yaml': server('s', '2') });
    expect(problems).toMatchObject([{ file: 'b.yaml', line: 4, reason: 'also defined in a.yaml', object: 'Server a/s' }]);
    expect((await source.get(ServerKind, 'a', 's')).spec?.port).toBe(1);
    await edit({ 'a.yaml': undefined });
    expect(healed).toEqual(['b.yaml']);
    expect((await source.get(ServerKind, 'a', 's')).spec?.port).toBe(2);
  });

  it('that is too long is reported and heals', async () => {
    const { source, edit, problems, healed } = await world({ 'x.yaml': server('s') }, { maxFileBytes: 300 });
    await edit({ 'x.yaml': server('s', '81', '#'.repeat(300)) });
    expect(problems).toMatchObject([{ file: 'x.yaml', reason: 'longer than 300 bytes' }]);
    await edit({ 'x.yaml': server('s', '82') });
    expect(healed).toEqual(['x.yaml']);
    expect((await source.get(ServerKind, 'a', 's')).spec?.port).toBe(82);
  });

  it('includes one that an admission rule refuses', async () => {
    const { source, problems } = await world(
      { 'x.yaml': server('s', '99') },
      { admit: [(object) => ((object.spec as { port?: unknown }).port === 99 ? { allowed: false, message: 'no 99' } : { allowed: true })] },
    );
    expect(problems).toMatchObject([{ line: 2, reason: 'admission denied the request: no 99', object: 'Server a/s' }]);
    expect(await source.list(ServerKind)).toEqual([]);
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * A node in small: the built installer puts the built plugin into a directory, a container runtime's side of CNI runs it for pods in real
 * network namespaces, and an API server over HTTPS answers what it asks. Needs `npm run build`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type HttpsApi, NETWORK_SHAPES, type NetworkShape, runNetworkList, serveHttpsApi, type CniRunResult } from '@weft/cni/testing';
import { createMemorySource, DaemonSetKind, type LocalSource, NamespaceKind, PodKind } from '@weft/resources';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';
const PREFIX = `weftcni${process.pid}`;
const MESHED = { containers: [{ name: 'app' }], initContainers: [{ name: 'linkerd-proxy', restartPolicy: 'Always' }] };
const PLAIN = { containers: [{ name: 'app' }] };
const RESULT = { cniVersion: '1.0.0', ips: [{ address: '10.244.0.7/24' }] };
const BRIDGE = `{ "cniVersion": "1.0.0", "name": "cluster",\n  "plugins": [ { "type": "bridge", "mtu": 1500 } ]\n}\n`;
const TEMPLATE = (mode: string): string =>
  JSON.stringify({
    name: 'linkerd-cni',
    type: 'linkerd-cni',
    log_level: 'debug',
    kubernetes: { kubeconfig: '__KUBECONFIG_FILEPATH__' },
    linkerd: {
      'incoming-proxy-port': 4143,
      'outgoing-proxy-port': 4140,
      'proxy-uid': 2102,
      'ports-to-redirect': [],
      'inbound-ports-to-ignore': ['4190', '4191'],
      'outbound-ports-to-ignore': [],
      'iptables-mode': mode,
      ipv6: true,
    },
  });

const cleanups: (() => unknown)[] = [];
let root = '';
let source: LocalSource;
let api: HttpsApi;

beforeEach(async () => {
  if (!existsSync(join(DIST, `weft-cni-${ARCHITECTURE}`))) throw new Error('apps/cni is not built: run `npm run build` first');
  root = mkdtempSync(join(tmpdir(), 'weft-cni-'));
  cleanups.push(() => rmSync(root, { recursive: true, force: true }));
  for (const directory of ['image', 'account', 'net.d', 'bin']) mkdirSync(join(root, directory));
  spawnSync('ln', ['-s', join(DIST, `weft-cni-${ARCHITECTURE}`), join(root, 'image', 'weft-cni')]);
  writeFileSync(join(root, 'bin', 'bridge'), `#!/bin/sh\ncat >/dev/null\n[ "$CNI_COMMAND" = DEL ] || echo '${JSON.stringify(RESULT)}'\n`);
  chmodSync(join(root, 'bin', 'bridge'), 0o755);
  writeFileSync(join(root, 'net.d', '10-bridge.conflist'), BRIDGE);
  source = createMemorySource();
  for (const name of ['shop', 'linkerd-cni']) {
    await source.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }).catch(() => undefined);
  }
  api = await serveHttpsApi(source, 'token-one');
  cleanups.push(
    () => api.close(),
    () => source.close(),
  );
  writeAccount('token-one');
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function writeAccount(token: string): void {
  writeFileSync(join(root, 'account', 'ca.crt'), api.ca);
  writeFileSync(join(root, 'account', 'namespace'), 'linkerd-cni');
  writeFileSync(join(root, 'account', 'token.new'), token);
  renameSync(join(root, 'account', 'token.new'), join(root, 'account', 'token'));
}

interface InstallerProcess {
  readonly child: ChildProcess;
  readonly log: () => string;
  readonly ended: Promise<number | null>;
}

async function startInstaller(mode = 'nft'): Promise<InstallerProcess> {
  const child = spawn(process.execPath, [join(DIST, 'install.js')], {
    env: {
      PATH: process.env['PATH'],
      CONTAINER_MOUNT_PREFIX: '',
      DEST_CNI_NET_DIR: join(root, 'net.d'),
      DEST_CNI_BIN_DIR: join(root, 'bin'),
      CONTAINER_CNI_BIN_DIR: join(root, 'image'),
      CNI_NETWORK_CONFIG: TEMPLATE(mode),
      SERVICE_ACCOUNT_PATH: join(root, 'account'),
      KUBERNETES_SERVICE_HOST: 'localhost',
      KUBERNETES_SERVICE_PORT: String(api.port),
    },
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (log += data.toString()));
  cleanups.push(() => child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  await expect.poll(() => log, { timeout: 20_000 }).toContain('Plugin installed');
  return { child, log: () => log, ended };
}

const netFile = (name: string): string => readFileSync(join(root, 'net.d', name), 'utf8');

function makeNamespace(name: string): string {
  spawnSync('ip', ['netns', 'add', name]);
  cleanups.push(() => spawnSync('ip', ['netns', 'del', name]));
  return `/run/netns/${name}`;
}

async function makePod(name: string, spec: unknown): Promise<string> {
  await source.create(PodKind, { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop' }, spec });
  return makeNamespace(`${PREFIX}${name}`);
}

function runtime(
  command: 'ADD' | 'DEL' | 'CHECK',
  name: string,
  netns: string,
  annotations: Record<string, string> = {},
): Promise<CniRunResult> {
  return runNetworkList(
    { netDir: join(root, 'net.d'), binDir: join(root, 'bin') },
    { command, containerId: name, netns, namespace: 'shop', name, annotations },
  );
}

function rules(netns: string, saveBinary: string): string[] {
  const { stdout } = spawnSync('nsenter', [`--net=${netns}`, '--', saveBinary, '-t', 'nat'], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line.startsWith('-A'));
}

describe.each(['nft', 'legacy'])('with %s', (mode) => {
  const tables = [`iptables-${mode}-save`, `ip6tables-${mode}-save`];

  it('[NET-08] [NET-09] [NET-13] sets the rules of a meshed pod, of no other, and again alike', async () => {
    await startInstaller(mode);
    const meshed = await makePod('meshed', MESHED);
    const added = await runtime('ADD', 'meshed', meshed);
    expect(added).toMatchObject({ isOk: true, output: RESULT, ran: ['bridge', 'linkerd-cni'] });
    const installed = tables.map((table) => rules(meshed, table));
    for (const lines of installed) expect(lines).toHaveLength(7);
    expect((await runtime('ADD', 'meshed', meshed)).isOk).toBe(true);
    expect(tables.map((table) => rules(meshed, table))).toEqual(installed);
    expect((await runtime('CHECK', 'meshed', meshed)).isOk).toBe(true);

    const plain = await makePod('plain', PLAIN);
    expect(await runtime('ADD', 'plain', plain)).toMatchObject({ isOk: true, output: RESULT });
    expect(tables.flatMap((table) => rules(plain, table))).toEqual([]);

    for (const name of ['meshed', 'plain', 'meshed']) expect((await runtime('DEL', name, '')).isOk).toBe(true);
    const bare = makeNamespace(`${PREFIX}bare`);
    expect(await runtime('CHECK', 'meshed', bare)).toMatchObject({ isOk: false, output: { code: 101 } });
  });

  it('[NET-08] sets up twenty pods at once', async () => {
    await startInstaller(mode);
    const pods = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => [`p${index}`, await makePod(`p${index}`, MESHED)] as const),
    );
    const results = await Promise.all(pods.map(([name, netns]) => runtime('ADD', name, netns)));
    expect(results.filter(({ isOk }) => !isOk).map(({ output }) => output)).toEqual([]);
    const incomplete = pods.flatMap(([name, netns], index) =>
      tables.every((table) => rules(netns, table).length === 7) ? [] : [`${name}: ${results[index]?.stderr}`],
    );
    expect(incomplete).toEqual([]);
  });
});

/** Puts the configuration of a network plugin on the node, and programs of its names that answer with a result of its version. */
function useNetwork({ file, text, types }: NetworkShape): object {
  const { cniVersion } = JSON.parse(text) as { readonly cniVersion: string };
  const result = { ...RESULT, cniVersion, ips: [{ version: '4', address: '10.244.0.7/24' }] };
  rmSync(join(root, 'net.d', '10-bridge.conflist'));
  rmSync(join(root, 'bin', 'bridge'));
  writeFileSync(join(root, 'net.d', file), text);
  for (const type of types) {
    writeFileSync(join(root, 'bin', type), `#!/bin/sh\ncat >/dev/null\n[ "$CNI_COMMAND" = DEL ] || echo '${JSON.stringify(result)}'\n`);
    chmodSync(join(root, 'bin', type), 0o755);
  }
  return result;
}

describe('[NET-12] on a node of', () => {
  it.each(NETWORK_SHAPES.map((shape) => [shape.plugin, shape] as const))(
    '%s, a meshed pod gets its rules after the network, and nothing stays when the plugin goes',
    async (_, shape) => {
      const result = useNetwork(shape);
      const { child, ended } = await startInstaller();
      const netns = await makePod('meshed', MESHED);
      expect(await runtime('ADD', 'meshed', netns)).toMatchObject({ isOk: true, output: result, ran: [...shape.types, 'linkerd-cni'] });
      expect(rules(netns, 'iptables-nft-save')).toHaveLength(7);
      expect((await runtime('DEL', 'meshed', netns)).isOk).toBe(true);
      child.kill('SIGTERM');
      expect(await ended).toBe(0);
      expect(readdirSync(join(root, 'net.d'))).toEqual([shape.file]);
      expect(netFile(shape.file)).toBe(shape.text);
    },
  );
});

describe('a node', () => {
  it('[NET-08] needs neither Node nor any library of its own for the plugin', async () => {
    await startInstaller();
    // A root directory with nothing in it but the installed files, at the paths that they were installed for.
    const host = join(root, 'bare-host');
    for (const directory of ['proc', join(root, 'bin')]) mkdirSync(join(host, directory), { recursive: true });
    const script = `mount -t proc proc ${host}/proc && mount --bind ${root}/bin ${host}${root}/bin && exec chroot ${host} ${root}/bin/linkerd-cni`;
    const { stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', script], {
      encoding: 'utf8',
      input: '{"cniVersion":"1.0.0"}',
      env: { PATH: process.env['PATH'], CNI_COMMAND: 'VERSION' },
    });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ supportedVersions: expect.arrayContaining(['1.1.0']) });
  });

  it('[NET-08] fails the sandbox of a meshed pod whose rules cannot be set', async () => {
    await startInstaller();
    await makePod('lost', MESHED);
    const result = await runtime('ADD', 'lost', '/run/netns/no-such-namespace');
    expect(result).toMatchObject({
      isOk: false,
      output: { code: 101, msg: expect.stringContaining('that network namespace does not exist') },
    });
  });

  it('[NET-08] takes a new token into use, and pods wait for it meanwhile', async () => {
    await startInstaller();
    const kubeconfig = join(root, 'net.d', 'ZZZ-linkerd-cni-kubeconfig');
    expect(statSync(kubeconfig).mode & 0o777).toBe(0o600);
    api.token = 'token-two';
    const netns = await makePod('late', MESHED);
    const adding = runtime('ADD', 'late', netns);
    await expect.poll(() => api.requests.length).toBeGreaterThan(0);
    writeAccount('token-two');
    expect((await adding).isOk).toBe(true);
    expect(rules(netns, 'iptables-nft-save')).toHaveLength(7);
    expect(readFileSync(kubeconfig, 'utf8')).toContain('token-two');
  });

  it('[NET-08] lets pods pass that are not meshed while the API server is away', async () => {
    await startInstaller();
    api.failWith = 503;
    const netns = await makePod('plain', PLAIN);
    expect((await runtime('ADD', 'plain', netns, { 'linkerd.io/inject': 'disabled' })).isOk).toBe(true);
  });

  it('[NET-08] [NET-15] chains into configurations that appear or are rewritten, and leaves nothing behind', async () => {
    const { child, ended } = await startInstaller();
    const entriesOf = (name: string): string[] =>
      (JSON.parse(netFile(name)) as { plugins: { type: string }[] }).plugins.map(({ type }) => type);
    expect(entriesOf('10-bridge.conflist')).toEqual(['bridge', 'linkerd-cni']);
    writeFileSync(join(root, 'net.d', '05-new.conflist'), BRIDGE);
    await expect.poll(() => entriesOf('05-new.conflist')).toEqual(['bridge', 'linkerd-cni']);
    writeFileSync(join(root, 'net.d', '10-bridge.conflist'), BRIDGE.replace('1500', '1400'));
    await expect.poll(() => entriesOf('10-bridge.conflist')).toEqual(['bridge', 'linkerd-cni']);
    writeFileSync(join(root, 'net.d', '20-single.conf'), '{"cniVersion":"0.4.0","name":"single","type":"ptp"}\n');
    await expect.poll(() => readdirSync(join(root, 'net.d'))).toContain('20-single.conflist');
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(readdirSync(join(root, 'net.d'))).toEqual(['05-new.conflist', '10-bridge.conflist', '20-single.conf']);
    expect(netFile('05-new.conflist')).toBe(BRIDGE);
    expect(netFile('10-bridge.conflist')).toBe(BRIDGE.replace('1500', '1400'));
    expect(netFile('20-single.conf')).toBe('{"cniVersion":"0.4.0","name":"single","type":"ptp"}\n');
    expect(readdirSync(join(root, 'bin'))).toEqual(['bridge']);
  });

  it('[NET-15] keeps the plugin while its DaemonSet is only rolled over, so that pods go on being meshed', async () => {
    const labels = { 'k8s-app': 'linkerd-cni' };
    await source.create(DaemonSetKind, {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'linkerd-cni', namespace: 'linkerd-cni' },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'install-cni', image: 'i' }] } },
      },
    });
    const first = await startInstaller();
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    // The token of a pod that is gone is void; the next pod brings its own.
    api.token = 'token-two';
    const netns = await makePod('between', MESHED);
    const adding = runtime('ADD', 'between', netns);
    await expect.poll(() => api.requests.some((line) => line.includes('/pods/between'))).toBe(true);
    writeAccount('token-two');
    const second = await startInstaller();
    expect((await adding).isOk).toBe(true);
    expect(rules(netns, 'iptables-nft-save')).toHaveLength(7);
    await source.delete(DaemonSetKind, 'linkerd-cni', 'linkerd-cni');
    second.child.kill('SIGTERM');
    expect(await second.ended).toBe(0);
    expect(netFile('10-bridge.conflist')).toBe(BRIDGE);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Logger } from '@weft/telemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Installer, type InstallerSettings, runInstaller } from '../index.ts';

const LIST = '{"cniVersion":"1.0.0","name":"x", "plugins":[ {"type":"bridge"} ]}\n';
const SINGLE = '{ "cniVersion":"0.4.0","name":"y","type":"ptp" }\n';

let root = '';
let log: string[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'weft-installer-'));
  log = [];
  for (const directory of ['image', 'account', 'host/etc/cni/net.d', 'host/opt/cni/bin', 'host/run'])
    mkdirSync(join(root, directory), { recursive: true });
  writeFileSync(join(root, 'image', 'weft-cni'), 'executable one');
  writeFileSync(join(root, 'account', 'token'), 'token-one\n');
  writeFileSync(join(root, 'account', 'ca.crt'), 'CA');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function settings(): InstallerSettings {
  return {
    mountPrefix: join(root, 'host'),
    netDir: '/etc/cni/net.d',
    binDir: '/opt/cni/bin',
    kubeconfigName: 'ZZZ-linkerd-cni-kubeconfig',
    sourceDir: join(root, 'image'),
    sourceName: 'weft-cni',
    entry: { type: 'linkerd-cni', name: 'linkerd-cni', kubernetes: { kubeconfig: '/etc/cni/net.d/ZZZ-linkerd-cni-kubeconfig' } },
    libraries: [],
    server: 'https://10.96.0.1:443',
    caFile: join(root, 'account', 'ca.crt'),
    serviceAccountDir: join(root, 'account'),
    keepsOnRestart: true,
    daemonSetName: 'linkerd-cni',
  };
}

const installer = (): Installer => new Installer(settings(), Logger.create({ filter: 'info', write: (line) => log.push(line) }));
const net = (name: string): string => join(root, 'host/etc/cni/net.d', name);
const bin = (name: string): string => join(root, 'host/opt/cni/bin', name);
const names = (): string[] => readdirSync(join(root, 'host/etc/cni/net.d')).toSorted();

/** Every file of the host with content and permissions; links as links. */
function host(): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(join(root, 'host'), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files[path] = `${(statSync(path).mode & 0o777).toString(8)} ${readFileSync(path, 'utf8')}`;
    else if (entry.isSymbolicLink()) files[path] = 'link';
  }
  return files;
}

const chained = (name: string): boolean =>
  (JSON.parse(readFileSync(net(name), 'utf8')) as { plugins: { type: string }[] }).plugins.filter(({ type }) => type === 'linkerd-cni')
    .length === 1;

describe('Installer', () => {
  it('[NET-08] installs executable, kubeconfig and entries, and [NET-15] takes all of it away again', async () => {
    writeFileSync(net('10-x.conflist'), LIST, { mode: 0o600 });
    chmodSync(net('10-x.conflist'), 0o600);
    writeFileSync(net('20-y.conf'), SINGLE);
    writeFileSync(net('calico-kubeconfig'), 'secret of others');
    const before = host();
    await installer().ensure();
    expect(names()).toEqual(['10-x.conflist', '20-y.conflist', 'ZZZ-linkerd-cni-kubeconfig', 'calico-kubeconfig']);
    expect([chained('10-x.conflist'), chained('20-y.conflist')]).toEqual([true, true]);
    expect(statSync(net('10-x.conflist')).mode & 0o777).toBe(0o600);
    expect(statSync(net('ZZZ-linkerd-cni-kubeconfig')).mode & 0o777).toBe(0o600);
    expect(readFileSync(bin('linkerd-cni'), 'utf8')).toBe('executable one');
    expect(statSync(bin('linkerd-cni')).mode & 0o777).toBe(0o755);
    expect(JSON.parse(readFileSync(net('ZZZ-linkerd-cni-kubeconfig'), 'utf8'))).toMatchObject({
      clusters: [{ cluster: { server: 'https://10.96.0.1:443', 'certificate-authority-data': 'Q0E=' } }],
      users: [{ name: 'linkerd-cni', user: { token: 'token-one' } }],
      'current-context': 'linkerd-cni-context',
    });
    await installer().remove();
    expect(host()).toEqual(before);
    await installer().remove();
    expect(host()).toEqual(before);
  });

  it.each([
    ['k3s', '/var/lib/rancher/k3s/agent/etc/cni/net.d', '/var/lib/rancher/k3s/data/current/bin'],
    ['GKE', '/etc/cni/net.d', '/home/kubernetes/bin'],
    ['MicroK8s', '/var/snap/microk8s/current/args/cni-network', '/var/snap/microk8s/current/opt/cni/bin'],
  ])('[NET-12] installs into the directories of %s', async (_, netDir, binDir) => {
    for (const directory of [netDir, binDir]) mkdirSync(join(root, 'host', directory), { recursive: true });
    writeFileSync(join(root, 'host', netDir, '10-x.conflist'), LIST);
    const before = host();
    const one = new Installer({ ...settings(), netDir, binDir }, Logger.silent());
    await one.ensure();
    expect(readFileSync(join(root, 'host', binDir, 'linkerd-cni'), 'utf8')).toBe('executable one');
    expect(readFileSync(join(root, 'host', netDir, '10-x.conflist'), 'utf8')).toContain('"type":"linkerd-cni"');
    await one.remove();
    expect(host()).toEqual(before);
  });

  it('[NET-08] writes nothing that is as it should be', async () => {
    writeFileSync(net('10-x.conflist'), LIST);
    const one = installer();
    await one.ensure();
    for (const path of Object.keys(host())) utimesSync(path, 1, 1);
    expect(await one.ensure()).toEqual({ written: [], chainedCount: 1 });
    expect(await installer().ensure()).toEqual({ written: [], chainedCount: 1 });
    for (const path of Object.keys(host())) expect(statSync(path).mtimeMs).toBe(1000);
  });

  it('[NET-08] upgrades: a new executable, a new token, a new entry', async () => {
    writeFileSync(net('10-x.conflist'), LIST);
    await installer().ensure();
    writeFileSync(join(root, 'image', 'weft-cni'), 'executable two');
    writeFileSync(join(root, 'account', 'token'), 'token-two');
    const next = new Installer({ ...settings(), entry: { ...settings().entry, log_level: 'debug' } }, Logger.silent());
    await next.ensure();
    expect(readFileSync(bin('linkerd-cni'), 'utf8')).toBe('executable two');
    expect(readFileSync(net('ZZZ-linkerd-cni-kubeconfig'), 'utf8')).toContain('token-two');
    expect(readFileSync(net('10-x.conflist'), 'utf8')).toContain('"log_level":"debug"');
    await next.remove();
    expect(readFileSync(net('10-x.conflist'), 'utf8')).toBe(LIST);
  });

  it('reads its large executable once, not at every look', async () => {
    const one = installer();
    await one.ensure();
    rmSync(join(root, 'image', 'weft-cni'));
    await one.ensure();
    expect(readFileSync(bin('linkerd-cni'), 'utf8')).toBe('executable one');
  });

  it('[NET-08] puts back an executable that somebody removed or made unusable', async () => {
    const one = installer();
    await one.ensure();
    rmSync(bin('linkerd-cni'));
    await one.ensure();
    chmodSync(bin('linkerd-cni'), 0o644);
    chmodSync(net('ZZZ-linkerd-cni-kubeconfig'), 0o644);
    await one.ensure();
    expect(statSync(bin('linkerd-cni')).mode & 0o777).toBe(0o755);
    expect(statSync(net('ZZZ-linkerd-cni-kubeconfig')).mode & 0o777).toBe(0o600);
  });

  it('[NET-08] leaves broken files of others alone and says so once, until they are whole', async () => {
    writeFileSync(net('10-x.conflist'), LIST.slice(0, 20));
    const one = installer();
    await one.ensure();
    await one.ensure();
    expect(readFileSync(net('10-x.conflist'), 'utf8')).toBe(LIST.slice(0, 20));
    expect(log.filter((line) => line.includes('left alone'))).toHaveLength(1);
    writeFileSync(net('10-x.conflist'), LIST);
    expect((await one.ensure()).written).toEqual(['10-x.conflist']);
    await one.remove();
    expect(readFileSync(net('10-x.conflist'), 'utf8')).toBe(LIST);
  });

  it('[NET-08] follows links as the host would, and leaves those alone that lead elsewhere', async () => {
    writeFileSync(join(root, 'host/run/real.conflist'), LIST);
    writeFileSync(net('real'), LIST);
    symlinkSync('/run/real.conflist', net('10-absolute.conflist'));
    symlinkSync('real', net('20-relative.conflist'));
    symlinkSync('/nowhere/at/all.conflist', net('30-dangling.conflist'));
    symlinkSync('40-loop.conflist', net('40-loop.conflist'));
    const before = host();
    const { chainedCount } = await installer().ensure();
    expect(chainedCount).toBe(2);
    for (const name of ['10-absolute.conflist', '20-relative.conflist']) expect(lstatSync(net(name)).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(root, 'host/run/real.conflist'), 'utf8')).toContain('linkerd-cni');
    expect(readFileSync(net('real'), 'utf8')).toContain('linkerd-cni');
    await installer().remove();
    expect(host()).toEqual(before);
  });

  it('takes over what the reference has installed', async () => {
    const theirs =
      '{"cniVersion":"0.3.1","name":"k8s-pod-network","plugins":[{"type":"ptp"},{"type":"linkerd-cni","log_level":"info","linkerd":{}}]}';
    writeFileSync(net('10-x.conflist'), theirs);
    writeFileSync(bin('linkerd-cni'), 'their executable', { mode: 0o755 });
    await installer().ensure();
    expect(chained('10-x.conflist')).toBe(true);
    expect(readFileSync(bin('linkerd-cni'), 'utf8')).toBe('executable one');
  });

  it('does not restore a configuration over a newer one', async () => {
    writeFileSync(net('20-y.conf'), SINGLE);
    await installer().ensure();
    const newer = SINGLE.replace('ptp', 'bridge');
    writeFileSync(net('20-y.conf'), newer);
    await installer().remove();
    expect([names(), readFileSync(net('20-y.conf'), 'utf8')]).toEqual([['20-y.conf'], newer]);
  });

  it('converts a configuration anew that its owner has written again', async () => {
    writeFileSync(net('20-y.conf'), SINGLE);
    await installer().ensure();
    writeFileSync(net('20-y.conf'), SINGLE.replace('ptp', 'bridge'));
    await installer().ensure();
    expect(names()).toEqual(['20-y.conflist', 'ZZZ-linkerd-cni-kubeconfig']);
    expect(readFileSync(net('20-y.conflist'), 'utf8')).toContain('bridge');
  });
});

describe('a crash', () => {
  type Files = Readonly<Record<string, string>>;
  interface CrashPoint {
    readonly operation: 'ensure' | 'remove';
    readonly crashed: Files;
    readonly installed: Files;
    readonly removed: Files;
  }
  const NET = '/etc/cni/net.d/';
  const BEFORE = { [`${NET}10-x.conflist`]: LIST, [`${NET}20-y.conf`]: SINGLE };
  const networksOf = (files: Files): string[] =>
    Object.keys(files)
      .filter((path) => /\/[^.][^/]*\.conf(list)?$/.test(path))
      .toSorted();

  function crashPoints(): CrashPoint[] {
    const script = fileURLToPath(new URL('testdata/crash-points.mjs', import.meta.url));
    const args = ['--conditions=weft-source', script, JSON.stringify(settings()), JSON.stringify(BEFORE)];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
    if (stderr !== '') throw new Error(stderr);
    return JSON.parse(stdout) as CrashPoint[];
  }

  /** What a runtime may see at any time: whole configurations, and none of ours without its executable and kubeconfig. */
  function expectSound(files: Files): void {
    const networks = networksOf(files);
    expect(networks.filter((path) => path.includes('10-x'))).toHaveLength(1);
    expect(networks.filter((path) => path.includes('20-y')).length).toBeGreaterThanOrEqual(1);
    const entries = networks
      .map((path) => JSON.stringify(JSON.parse((files[path] ?? '').slice(4))))
      .filter((text) => text.includes('linkerd-cni'));
    const executable = files['/opt/cni/bin/linkerd-cni'];
    const kubeconfig = files[`${NET}ZZZ-linkerd-cni-kubeconfig`];
    expect([entries.length > 0, executable, kubeconfig?.slice(0, 4)]).toEqual(
      entries.length > 0 ? [true, '755 executable one', '600 '] : [false, executable, kubeconfig?.slice(0, 4)],
    );
  }

  it('[NET-08] [NET-15] at any change leaves a host that works, and the next run finishes or undoes it', () => {
    const points = crashPoints();
    for (const operation of ['ensure', 'remove']) expect(points.filter((point) => point.operation === operation).length).toBeGreaterThan(8);
    for (const { crashed, installed, removed } of points) {
      expectSound(crashed);
      expectSound(installed);
      expect(Object.keys(installed).toSorted()).toEqual([
        `${NET}10-x.conflist`,
        `${NET}20-y.conflist`,
        `${NET}ZZZ-linkerd-cni-kubeconfig`,
        '/opt/cni/bin/linkerd-cni',
      ]);
      expect(Object.fromEntries(Object.entries(removed).map(([path, text]) => [path, text.slice(4)]))).toEqual(BEFORE);
    }
  });
});

describe('runInstaller', () => {
  function start(isOnlyRestart = false): { stop: () => Promise<void>; done: Promise<void> } {
    const controller = new AbortController();
    const done = runInstaller({
      installer: installer(),
      settings: settings(),
      logger: Logger.create({ filter: 'info', write: (line) => log.push(line) }),
      stop: controller.signal,
      isOnlyRestart: () => Promise.resolve(isOnlyRestart),
      recheckMs: 50,
    });
    return {
      done,
      stop: async () => {
        controller.abort();
        await done;
      },
    };
  }
  const isChained = (name: string): boolean => names().includes(name) && readFileSync(net(name), 'utf8').includes('linkerd-cni');
  const settled = async (name: string): Promise<void> => {
    await expect.poll(() => isChained(name)).toBe(true);
  };

  it('[NET-08] chains into what appears, changes, or comes with a new directory', async () => {
    const run = start();
    await expect.poll(() => names()).toContain('ZZZ-linkerd-cni-kubeconfig');
    writeFileSync(net('10-x.conflist'), LIST);
    await settled('10-x.conflist');
    writeFileSync(net('.new'), LIST.replace('bridge', 'ptp'));
    renameSync(net('.new'), net('10-x.conflist'));
    await settled('10-x.conflist');
    expect(readFileSync(net('10-x.conflist'), 'utf8')).toContain('ptp');
    rmSync(join(root, 'host/etc/cni/net.d'), { recursive: true });
    mkdirSync(join(root, 'host/etc/cni/net.d'));
    writeFileSync(net('20-z.conflist'), LIST);
    await settled('20-z.conflist');
    await expect.poll(() => names()).toContain('ZZZ-linkerd-cni-kubeconfig');
    await run.stop();
    expect([names(), readFileSync(net('20-z.conflist'), 'utf8')]).toEqual([['20-z.conflist'], LIST]);
  });

  it('[NET-08] takes up a token that the kubelet has replaced', async () => {
    const run = start();
    await expect.poll(() => names()).toContain('ZZZ-linkerd-cni-kubeconfig');
    writeFileSync(join(root, 'account', 'token'), 'token-two');
    await expect.poll(() => readFileSync(net('ZZZ-linkerd-cni-kubeconfig'), 'utf8')).toContain('token-two');
    await run.stop();
  });

  it('[NET-15] leaves everything in place when only the pod is replaced', async () => {
    writeFileSync(net('10-x.conflist'), LIST);
    const run = start(true);
    await settled('10-x.conflist');
    const installed = host();
    await run.stop();
    expect(host()).toEqual(installed);
  });

  it('says who fights over a configuration', async () => {
    writeFileSync(net('10-x.conflist'), LIST);
    const controller = new AbortController();
    const done = runInstaller({
      installer: installer(),
      settings: settings(),
      logger: Logger.create({ filter: 'info', write: (line) => log.push(line) }),
      stop: controller.signal,
      isOnlyRestart: () => Promise.resolve(false),
      recheckMs: 60_000,
    });
    for (let round = 0; round < 25; round++) {
      await settled('10-x.conflist');
      writeFileSync(net('10-x.conflist'), LIST.replace('bridge', `bridge${round}`));
    }
    await expect.poll(() => log.join('')).toContain('cni.exclusive=false');
    controller.abort();
    await done;
  });

  it('fails when the host cannot be written to', async () => {
    rmSync(join(root, 'host/opt/cni/bin'), { recursive: true });
    await expect(start().done).rejects.toThrow('ENOENT');
  });
});

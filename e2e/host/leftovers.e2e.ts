// SPDX-License-Identifier: Apache-2.0
/*
 * What a run makes and takes away again: after a signal, after a kill, while another run goes on; and what it says of manifests that cannot be used.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { HostMesh, runCommand, until, weftCommand } from './mesh.ts';

const meshes: HostMesh[] = [];
afterEach(async () => {
  for (const mesh of meshes.splice(0)) await mesh.stop();
});

async function start(name: string): Promise<HostMesh> {
  const mesh = await HostMesh.start({ fixture: 'small', name });
  meshes.push(mesh);
  return mesh;
}

function command(...words: readonly string[]): string {
  const [binary = '', ...args] = words;
  return spawnSync(binary, args, { encoding: 'utf8' }).stdout;
}

function list(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** Everything on the machine that bears the run's name, or its id in a process's environment. */
function traces(mesh: HostMesh, runId: string, links: readonly string[]): unknown {
  const prefix = `weft.${mesh.name}.`;
  const marker = `WEFT_RUN=${runId}`;
  return {
    namespaces: command('ip', 'netns', 'list')
      .split('\n')
      .filter((line) => line.startsWith(prefix)),
    links: command('ip', '-o', 'link', 'show')
      .split('\n')
      .flatMap((line) => links.filter((link) => line.includes(` ${link}`))),
    rules: command('iptables', '-S')
      .split('\n')
      .filter((line) => line.includes(`weft-run-${mesh.name}`)),
    files: [...list('/etc/netns').filter((name) => name.startsWith(prefix)), ...list('/run/weft').filter((name) => name === mesh.name)],
    processes: readdirSync('/proc').filter((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(marker);
      } catch {
        return false;
      }
    }),
  };
}

const NOTHING = { namespaces: [], links: [], rules: [], files: [], processes: [] };

function runIdOf(mesh: HostMesh): string {
  return (JSON.parse(readFileSync(`/run/weft/${mesh.name}/run.json`, 'utf8')) as { readonly id: string }).id;
}

/** The bridge that a pod hangs on, and the run's links. */
async function linksOf(mesh: HostMesh): Promise<readonly string[]> {
  const pod = await mesh.pod('small', 'web');
  const route = command('ip', 'route', 'get', pod.ip);
  const bridge = /dev (weft\S+)/.exec(route)?.[1] ?? '';
  expect(bridge).not.toBe('');
  return [bridge, `wv${bridge.slice('weft'.length)}-`];
}

describe('nothing is left behind', () => {
  it('after SIGINT, in order, with status 0', { timeout: 120_000 }, async () => {
    const mesh = await start('left-int');
    const [runId, links] = [runIdOf(mesh), await linksOf(mesh)];
    expect(traces(mesh, runId, links)).not.toEqual(NOTHING);
    expect(await mesh.end('SIGINT')).toBe(0);
    expect(traces(mesh, runId, links)).toEqual(NOTHING);
  });

  it('after kill -9 and the next start, and a run beside it goes on', { timeout: 180_000 }, async () => {
    const [mesh, other] = [await start('left-kill'), await start('left-other')];
    const [runId, links] = [runIdOf(mesh), await linksOf(mesh)];
    const neighbour = await other.pod('small', 'web');
    expect(await mesh.end('SIGKILL')).toBe('SIGKILL');
    await mesh.restart();
    expect(mesh.text).toMatch(/removed what an earlier run had left: \d+ processes, 4 namespaces/);
    const again = traces(mesh, runId, []) as typeof NOTHING;
    expect(again.processes).toEqual([]);
    expect(again.namespaces).toHaveLength(4);
    expect(links).toEqual(await linksOf(mesh));
    expect(await mesh.end('SIGTERM')).toBe(0);
    expect(traces(mesh, runIdOf(other), links)).toMatchObject({ namespaces: [], links: [], rules: [], files: [] });

    expect(await (await fetch(`http://${neighbour.ip}:8080/`)).text()).toBe('small');
    expect((await other.pod('small', 'web')).uid).toBe(neighbour.uid);
  });

  it('after kill -9 and weft run --clean', { timeout: 120_000 }, async () => {
    const mesh = await start('left-clean');
    const [runId, links] = [runIdOf(mesh), await linksOf(mesh)];
    await mesh.end('SIGKILL');
    const { code, stdout } = await runCommand(weftCommand('run', '--clean', '--name', mesh.name));
    expect([code, stdout]).toEqual([0, expect.stringMatching(/: \d+ processes, 4 network namespaces, \d+ links removed/)]);
    expect(traces(mesh, runId, links)).toEqual(NOTHING);
  });

  it('and a run that goes on is neither cleaned nor started twice', { timeout: 120_000 }, async () => {
    const mesh = await start('left-twice');
    const clean = await runCommand(weftCommand('run', '--clean', '--name', mesh.name));
    expect(clean).toMatchObject({ code: 1, stderr: expect.stringContaining('is running') as string });
    const second = await runCommand(weftCommand('run', mesh.directory, '--name', mesh.name));
    expect(second).toMatchObject({ code: 1, stderr: expect.stringMatching(/^the run \S+ is already running \(process \d+\)/) as string });
    expect((await mesh.pod('small', 'web')).isReady).toBe(true);
  });
});

describe('a manifest that cannot be used', () => {
  it(
    'is reported with file and line, its last state stays in force, and it comes back when it is repaired',
    { timeout: 120_000 },
    async () => {
      const mesh = await start('left-broken');
      const path = '/apis/gateway.networking.k8s.io/v1/namespaces/small/httproutes/web';
      const before = (await mesh.get(path)) as { readonly spec: unknown };
      mesh.edit('route.yaml', (text) => text.replace('weight: 1', 'weight: heavy'));
      await until('the report', () => /route\.yaml:7: HTTPRoute small\/web: .*weight/.test(mesh.text));
      expect(((await mesh.get(path)) as { readonly spec: unknown }).spec).toEqual(before.spec);
      mesh.edit('route.yaml', (text) => text.replace('weight: heavy', 'weight: 2'));
      await until('the repair', () => mesh.text.includes('route.yaml is in force again'));
      expect(JSON.stringify((await mesh.get(path)) as object)).toContain('"weight":2');
      mesh.write('extra.yaml', 'a: [');
      await until('the report of what is no YAML', () => /extra\.yaml:\d+: /.test(mesh.text));
      expect((await mesh.pod('small', 'web')).isReady).toBe(true);
    },
  );
});

describe('a pod without proxy', () => {
  it('[ID-12] reaches a cluster IP by name, in plaintext', { timeout: 120_000 }, async () => {
    const mesh = await start('left-plain');
    const plain = await mesh.pod('small', 'plain');
    const script = 'fetch("http://web.small").then(async (answer) => console.log(await answer.text()))';
    expect(await mesh.exec(plain, [process.execPath, '-e', script])).toMatchObject({ code: 0, stdout: 'small\n' });
  });
});

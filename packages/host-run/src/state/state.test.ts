// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { MustRun } from '../system/commands.ts';
import { findRunProcesses, identifyProcess, isAlive, killProcess, RUN_MARKER } from '../system/processes.ts';
import { removeDeadRuns, removeRun } from './leftovers.ts';
import { isRunning, noteProcess, readOwner, readProcesses, writeOwner } from './run-owner.ts';
import { runNameFor, runPaths, type RunPaths } from './run-paths.ts';

const directories: string[] = [];
afterEach(() => {
  for (const one of directories.splice(0)) rmSync(one, { recursive: true, force: true });
});

function testPaths(name: string): RunPaths {
  const base = mkdtempSync(join(tmpdir(), 'host-run-'));
  directories.push(base);
  return runPaths(name, { runtime: join(base, 'run'), state: join(base, 'state'), netnsEtc: join(base, 'netns') });
}

/** Commands that were run; listings show what a run of this name and a foreign one have left. */
function fakeCommands(paths: RunPaths): { readonly run: MustRun; readonly done: string[] } {
  const done: string[] = [];
  const run: MustRun = (command) => {
    const text = command.join(' ');
    done.push(text);
    if (text === 'ip netns list') return Promise.resolve(`${paths.netnsPrefix}shop.web (id: 3)\nweft.other.shop.web\nforeign\n`);
    if (text === 'ip -o link show') {
      return Promise.resolve(
        `1: lo: <UP>\n7: ${paths.bridge}: <UP>\n9: ${paths.linkPrefix}3@if2: <UP>\n10: eth0: <UP>\n11: wvother-1@if2: <UP>\n`,
      );
    }
    if (text === 'iptables -S') {
      return Promise.resolve(
        `-P INPUT ACCEPT\n-A FORWARD -i ${paths.bridge} -o ${paths.bridge} -m comment --comment weft-run-${paths.name} -j ACCEPT\n-A FORWARD -j DROP\n`,
      );
    }
    return Promise.resolve('');
  };
  return { run, done };
}

describe('names', () => {
  it.each([
    ['/tmp/My Shop_1', /^my-shop-1-[0-9a-f]{5}$/],
    ['/', /^run-[0-9a-f]{5}$/],
    ['/x/an-extremely-long-directory-name', /^an-extremely-long-di-[0-9a-f]{5}$/],
  ])('%s gives a run name that links and files can carry', (directory, wanted) => {
    const name = runNameFor(directory);
    expect(name).toMatch(wanted);
    expect(runPaths(name).bridge.length).toBeLessThanOrEqual(15);
    expect(`${runPaths(name).linkPrefix}zzz`.length).toBeLessThanOrEqual(15);
  });

  it.each(['', 'A', 'a/b', '../x', 'a.b', '-a', 'x'.repeat(33)])('refuses the name %j', (name) => {
    expect(() => runPaths(name)).toThrow('--name');
  });
});

describe('removing what a run has left', () => {
  it('takes away its own and nothing else', async () => {
    const paths = testPaths('demo');
    writeOwner(paths, 'id-of-nobody', '/somewhere', 'now');
    mkdirSync(join(paths.bases.netnsEtc, `${paths.netnsPrefix}shop.web`), { recursive: true });
    mkdirSync(join(paths.bases.netnsEtc, 'foreign'), { recursive: true });
    const { run, done } = fakeCommands(paths);
    expect(await removeRun(paths, run)).toEqual({ processes: 0, namespaces: 1, links: 2 });
    expect(done.filter((command) => /delete|-D/.test(command))).toEqual([
      `ip netns delete ${paths.netnsPrefix}shop.web`,
      `ip link delete ${paths.bridge}`,
      `ip link delete ${paths.linkPrefix}3`,
      `iptables -D FORWARD -i ${paths.bridge} -o ${paths.bridge} -m comment --comment weft-run-demo -j ACCEPT`,
    ]);
    expect(existsSync(paths.runtime)).toBe(false);
    expect(existsSync(join(paths.bases.netnsEtc, 'foreign'))).toBe(true);
  });

  it('ends processes that carry the run’s id, and none whose pid was only noted and is another’s now', async () => {
    const paths = testPaths('demo');
    const { id } = writeOwner(paths, `test-${process.pid}`, '/somewhere', 'now');
    const start = (environment: Record<string, string>): ReturnType<typeof spawn> =>
      spawn('sleep', ['1000'], { env: { ...process.env, ...environment }, stdio: 'ignore' });
    const [own, foreign] = [start({ [RUN_MARKER]: id }), start({})];
    await Promise.all([once(own, 'spawn'), once(foreign, 'spawn')]);
    noteProcess(paths, { pid: foreign.pid ?? 0, startTicks: 1, name: 'reused' });
    expect(findRunProcesses(id).map(({ pid }) => pid)).toEqual([own.pid]);
    const [code, signal] = await Promise.all([once(own, 'exit'), removeRun(paths, fakeCommands(paths).run)]).then(
      ([exit]) => exit as [unknown, unknown],
    );
    expect([code, signal]).toEqual([null, 'SIGKILL']);
    const left = identifyProcess(foreign.pid ?? 0);
    expect(left).toBeDefined();
    if (left !== undefined) killProcess(left);
  });

  it('leaves a run alone that is running', async () => {
    const paths = testPaths('demo');
    writeOwner(paths, 'x', '/somewhere', 'now');
    expect(isRunning(paths)).toBe(true);
    expect(await removeDeadRuns(paths.bases, fakeCommands(paths).run)).toEqual(new Map());
    expect(existsSync(paths.runtime)).toBe(true);
  });

  it('takes a run whose process is gone for dead, also when its pid is another’s now', async () => {
    const paths = testPaths('demo');
    const owner = writeOwner(paths, 'x', '/somewhere', 'now');
    writeFileSync(paths.owner, JSON.stringify({ ...owner, startTicks: owner.startTicks - 1 }));
    expect(isRunning(paths)).toBe(false);
    expect([...(await removeDeadRuns(paths.bases, fakeCommands(paths).run)).keys()]).toEqual(['demo']);
  });
});

describe('what is noted of a run', () => {
  it('survives half-written lines and files', () => {
    const paths = testPaths('demo');
    expect(readProcesses(paths)).toEqual([]);
    expect(readOwner(paths)).toBeUndefined();
    writeOwner(paths, 'x', '/somewhere', 'now');
    noteProcess(paths, { pid: 7, startTicks: 8, name: 'web' });
    writeFileSync(paths.processes, '{"pid":9,"star', { flag: 'a' });
    expect(readProcesses(paths)).toEqual([{ pid: 7, startTicks: 8, name: 'web' }]);
    writeFileSync(paths.owner, '{"id":"x"');
    expect(readOwner(paths)).toBeUndefined();
  });
});

it('knows this process, and no process without a pid', () => {
  const own = identifyProcess(process.pid);
  expect(own !== undefined && isAlive(own)).toBe(true);
  expect(identifyProcess(2 ** 22 + 1)).toBeUndefined();
});

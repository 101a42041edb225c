// SPDX-License-Identifier: Apache-2.0
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import process from 'node:process';
import { afterEach, describe, expect, it } from 'vitest';
import { applyRedirect, type RedirectOptions, removeRedirect, runCommand } from './index.ts';

const BASE: RedirectOptions = {
  incomingProxyPort: 4143,
  outgoingProxyPort: 4140,
  proxyUid: 2102,
  inboundPortsToIgnore: ['4190', '4191'],
  outboundPortsToIgnore: ['4567-4568'],
};

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

const PREFIX = `weftr${process.pid}`;
const POD = `${PREFIX}p`;
const OUTSIDE = `${PREFIX}o`;
const SERVER_SCRIPT = `
  const net = require('node:net');
  let left = process.argv.length - 1;
  for (const word of process.argv.slice(1)) {
    const [port, answer] = word.split('=');
    net.createServer((socket) => { socket.on('error', () => {}); socket.end(answer); }).listen(Number(port), '::', () => { if (--left === 0) console.log('ready'); });
  }`;

function run(...command: string[]): string {
  const [binary = '', ...args] = command;
  const result = spawnSync(binary, args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${command.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

async function serveIn(namespace: string, ...answers: string[]): Promise<void> {
  const child: ChildProcess = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', SERVER_SCRIPT, ...answers], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanups.push(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout?.once('data', resolve));
}

async function makeNetwork(): Promise<void> {
  for (const namespace of [POD, OUTSIDE]) {
    run('ip', 'netns', 'add', namespace);
    cleanups.push(() => run('ip', 'netns', 'del', namespace));
    run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
  }
  run('ip', '-n', POD, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', OUTSIDE);
  for (const [namespace, host] of [
    [POD, 1],
    [OUTSIDE, 2],
  ] as const) {
    run('ip', '-n', namespace, 'addr', 'add', `10.99.0.${host}/24`, 'dev', 'eth0');
    run('ip', '-n', namespace, 'addr', 'add', `fd99::${host}/64`, 'dev', 'eth0', 'nodad');
    run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
  }
  await serveIn(POD, '4143=inbound-proxy', '4140=outbound-proxy', '4190=control', '9000=app');
  await serveIn(OUTSIDE, '80=world', '4567=ignored-port');
}

/** The word that a connection reads, made by `uid` in `namespace`. */
function ask(namespace: string, uid: number, host: string, port: number): string {
  const script = `exec 3<>/dev/tcp/${host}/${port}; cat <&3`;
  return run('ip', 'netns', 'exec', namespace, 'setpriv', `--reuid=${uid}`, '--clear-groups', 'timeout', '10', 'bash', '-c', script);
}

function natOf(namespace: string, saveBinary: string): string[] {
  return run('ip', 'netns', 'exec', namespace, saveBinary, '-t', 'nat')
    .split('\n')
    .filter((line) => line.startsWith('-A') || line.startsWith(':PROXY'));
}

describe('in a real network namespace', () => {
  it.each(['nft', 'legacy'] as const)(
    '[NET-03] [NET-04] sets the same rules in one transaction with %s, also over older ones',
    async (mode) => {
      await makeNetwork();
      const options: RedirectOptions = { ...BASE, mode, netns: POD, proxyGid: 2103, subnetsToIgnore: ['10.1.0.0/16', 'fd00:1::/32'] };
      const tables = [`iptables-${mode}-save`, `ip6tables-${mode}-save`];
      await applyRedirect(options, runCommand);
      const expected = tables.map((table) => natOf(POD, table));
      await removeRedirect(options, runCommand);
      const { commands } = await applyRedirect(options, runCommand, { isOneTransaction: true });
      expect(commands).toHaveLength(4);
      expect(tables.map((table) => natOf(POD, table))).toEqual(expected);
      await applyRedirect({ ...options, inboundPortsToIgnore: ['1'] }, runCommand);
      await applyRedirect(options, runCommand, { isOneTransaction: true });
      expect(tables.map((table) => natOf(POD, table))).toEqual(expected);
    },
  );

  for (const mode of ['nft', 'legacy'] as const) {
    it(`[NET-01] [NET-03] [NET-04] installs with ${mode}, twice, and removes everything`, async () => {
      await makeNetwork();
      const options: RedirectOptions = { ...BASE, mode, netns: POD, useWaitFlag: true };
      await applyRedirect(options, runCommand);
      const tables = [`iptables-${mode}-save`, `ip6tables-${mode}-save`];
      const first = tables.map((table) => natOf(POD, table));
      for (const lines of first) expect(lines).toHaveLength(10);
      await applyRedirect(options, runCommand);
      expect(tables.map((table) => natOf(POD, table))).toEqual(first);

      for (const [pod, outside] of [
        ['10.99.0.1', '10.99.0.2'],
        ['fd99::1', 'fd99::2'],
      ] as const) {
        expect(ask(POD, 1000, outside, 80)).toBe('outbound-proxy');
        expect(ask(POD, 2102, outside, 80)).toBe('world');
        expect(ask(POD, 1000, outside, 4567)).toBe('ignored-port');
        expect(ask(POD, 1000, pod, 9000)).toBe('app');
        expect(ask(OUTSIDE, 1000, pod, 9000)).toBe('inbound-proxy');
        expect(ask(OUTSIDE, 1000, pod, 4190)).toBe('control');
      }

      await removeRedirect(options, runCommand);
      for (const table of tables) expect(natOf(POD, table)).toEqual([]);
      expect(ask(OUTSIDE, 1000, '10.99.0.1', 9000)).toBe('app');
      expect(ask(POD, 1000, 'fd99::2', 80)).toBe('world');
      expect((await removeRedirect(options, runCommand)).commands).toEqual([]);
    });
  }

  it('[NET-01] leaves sources of ignored subnets alone, and redirects only listed ports', async () => {
    await makeNetwork();
    const netns = `/run/netns/${POD}`;
    await applyRedirect({ ...BASE, mode: 'nft', netns, subnetsToIgnore: ['10.99.0.0/24', 'fd00::/16'] }, runCommand);
    expect(ask(OUTSIDE, 1000, '10.99.0.1', 9000)).toBe('app');
    expect(ask(OUTSIDE, 1000, 'fd99::1', 9000)).toBe('inbound-proxy');
    await applyRedirect({ ...BASE, mode: 'nft', netns, portsToRedirect: [8080] }, runCommand);
    expect(ask(OUTSIDE, 1000, '10.99.0.1', 9000)).toBe('app');
    expect(ask(OUTSIDE, 1000, '10.99.0.1', 8080)).toBe('inbound-proxy');
  });

  it('removes what another mode had installed', async () => {
    await makeNetwork();
    await applyRedirect({ ...BASE, mode: 'legacy', netns: POD }, runCommand);
    await removeRedirect({ ...BASE, mode: 'nft', netns: POD }, runCommand);
    expect(natOf(POD, 'iptables-legacy-save')).toEqual([]);
    expect(natOf(POD, 'ip6tables-legacy-save')).toEqual([]);
  });

  it('says so when the namespace does not exist', async () => {
    await expect(applyRedirect({ ...BASE, netns: '/run/netns/no-such-namespace' }, runCommand)).rejects.toThrow('namespace does not exist');
  });
});

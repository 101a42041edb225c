// SPDX-License-Identifier: Apache-2.0
/*
 * The programs as a pod runs them, in namespaces of their own: as user 65534 with no new privileges and nothing but NET_ADMIN and
 * NET_RAW (proxy-contract §10.1), with the nf_tables and the legacy iptables.
 */
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const main = (name: string): string => fileURLToPath(new URL(`${name}.ts`, import.meta.url));
const POD = `weftps${process.pid}`;
const FLAGS = '--incoming-proxy-port 4143 --outgoing-proxy-port 4140 --proxy-uid 2102 --inbound-ports-to-ignore 4190,4191';
const MODES: Readonly<Record<string, string>> = {
  nft: '--firewall-bin-path iptables-nft --firewall-save-bin-path iptables-nft-save',
  legacy: '',
};
const UNPRIVILEGED = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'];
const CAPABLE = ['inh-caps', 'ambient-caps', 'bounding-set'].map((set) => `--${set}=-all,+net_admin,+net_raw`);
const INCAPABLE = ['inh-caps', 'ambient-caps', 'bounding-set'].map((set) => `--${set}=-all`);

interface Outcome {
  readonly status: number | null;
  readonly output: string;
}

function run(command: readonly string[]): Outcome {
  const [binary = '', ...args] = command;
  const { status, stdout, stderr } = spawnSync(binary, args, { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

/** In the pod's namespace, with an empty /run that everybody may write to, as an emptyDir is. */
function inPod(command: readonly string[]): Outcome {
  const script = 'mount -t tmpfs -o mode=1777 tmpfs /run && exec "$@"';
  return run(['nsenter', `--net=/run/netns/${POD}`, '--', 'unshare', '--mount', 'sh', '-c', script, 'sh', ...command]);
}

function node(name: string, flags: string): string[] {
  return [process.execPath, '--conditions=weft-source', main(name), ...flags.split(' ').filter((word) => word !== '')];
}

function rules(saveBinary: string): string[] {
  return inPod([saveBinary, '-t', 'nat'])
    .output.split('\n')
    .filter((line) => line.startsWith('-A'));
}

beforeEach(() => {
  run(['ip', 'netns', 'add', POD]);
  run(['ip', '-n', POD, 'link', 'set', 'lo', 'up']);
  // A way out, so that connections have somewhere to go before they are redirected.
  run(['ip', '-n', POD, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1']);
  run(['ip', '-n', POD, 'link', 'set', 'eth1', 'up']);
  run(['ip', '-n', POD, 'addr', 'add', '10.99.0.1/24', 'dev', 'eth0']);
  run(['ip', '-n', POD, 'addr', 'add', 'fd99::1/64', 'dev', 'eth0', 'nodad']);
  run(['ip', '-n', POD, 'link', 'set', 'eth0', 'up']);
  run(['ip', '-n', POD, 'route', 'add', 'default', 'via', '10.99.0.2']);
  run(['ip', '-n', POD, '-6', 'route', 'add', 'default', 'via', 'fd99::2']);
});
afterEach(() => {
  run(['ip', 'netns', 'del', POD]);
});

describe.each(['nft', 'legacy'])('with %s', (mode) => {
  const tables = [`iptables-${mode}-save`, `ip6tables-${mode}-save`];

  it('[NET-01] [NET-03] [NET-04] sets the rules as user 65534 with two capabilities and no new privileges, twice alike', () => {
    const command = [...UNPRIVILEGED, ...CAPABLE, ...node('proxy-init', `${MODES[mode]} ${FLAGS}`)];
    const first = inPod(command);
    expect(first.output).not.toContain('level=error');
    expect(first.status).toBe(0);
    expect(first.output).toContain(`msg="iptables-${mode} -t nat -N PROXY_INIT_REDIRECT"`);
    const installed = tables.map(rules);
    for (const lines of installed) expect(lines).toHaveLength(7);
    expect(inPod(command).status).toBe(0);
    expect(tables.map(rules)).toEqual(installed);
  });

  it('[NET-01] names the remedy where the capabilities are missing, and changes nothing', () => {
    const outcome = inPod([...UNPRIVILEGED, ...INCAPABLE, ...node('proxy-init', `${MODES[mode]} ${FLAGS}`)]);
    expect(outcome.status).toBe(1);
    expect(outcome.output).toMatch(/capabilities NET_ADMIN and NET_RAW.*add both to the securityContext/);
    for (const table of tables) expect(rules(table)).toEqual([]);
  });

  it('[NET-10] [NET-13] the validator sees whether the rules are there, for both families', () => {
    const validator = (flags: string): number | null =>
      inPod([...UNPRIVILEGED, ...INCAPABLE, ...node('network-validator', `--log-format plain --log-level debug ${flags}`)]).status;
    const v4 = '--connect-addr 1.1.1.1:20001 --listen-addr 0.0.0.0:4140';
    const v6 = '--connect-addr [fd00::1]:20001 --listen-addr [::]:4140';
    expect(validator(`${v4} --timeout 200ms`)).toBe(95);
    expect(validator(`${v6} --timeout 200ms`)).toBe(95);
    expect(inPod(node('proxy-init', `${MODES[mode]} ${FLAGS}`)).status).toBe(0);
    expect(validator(`${v4} --timeout 10s`)).toBe(0);
    expect(validator(`${v6} --timeout 10s`)).toBe(0);
  });
});

it('[NET-06] sets the close-wait timeout where it may write sysctls', () => {
  const flags = `${MODES['nft']} ${FLAGS} --timeout-close-wait-secs 1234`;
  expect(inPod(node('proxy-init', flags)).status).toBe(0);
  expect(inPod(['sysctl', '-n', 'net.netfilter.nf_conntrack_tcp_timeout_close_wait']).output).toBe('1234\n');
});

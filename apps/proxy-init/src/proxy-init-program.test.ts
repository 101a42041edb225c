// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('proxy-init.ts', import.meta.url));
const INJECTED =
  '--firewall-bin-path iptables-nft --firewall-save-bin-path iptables-nft-save --ipv6=false --incoming-proxy-port 4143 --outgoing-proxy-port 4140 --proxy-uid 2102 --inbound-ports-to-ignore 4190,4191,4567,4568 --outbound-ports-to-ignore 4567,4568';

function run(args: string, env: Record<string, string> = {}): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['--conditions=weft-source', MAIN, ...args.split(' ')], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
}

describe('linkerd2-proxy-init', () => {
  it('[NET-01] [NET-05] lists the commands of an injected pod and runs none when it only simulates', () => {
    const { status, stderr } = run(`${INJECTED} --simulate`, { PATH: '/nonexistent' });
    expect(status).toBe(0);
    const commands = stderr
      .trimEnd()
      .split('\n')
      .map((line) => /^time="[^"]+" level=info msg="(.*)"$/.exec(line)?.[1]);
    expect(commands[0]).toBe('iptables-nft-save -t nat');
    expect(commands).toHaveLength(12);
    expect(commands.at(-2)).toBe(
      'iptables-nft -t nat -A OUTPUT -j PROXY_INIT_OUTPUT -m comment --comment proxy-init/install-proxy-init-output',
    );
  });

  it('[NET-07] leaves the ports of the API server alone where a control-plane pod says so', () => {
    const { stderr } = run(`${INJECTED},443,6443 --simulate`);
    expect(stderr).toContain('-A PROXY_INIT_OUTPUT -p tcp --match multiport --dports 4567,4568,443,6443 -j RETURN');
  });

  it('[NET-01] logs JSON where that is wanted', () => {
    const { stderr } = run(`${INJECTED} --simulate --log-format json --log-level debug`);
    expect(JSON.parse(stderr.split('\n')[0] ?? '')).toMatchObject({ level: 'info', msg: 'iptables-nft-save -t nat' });
  });

  it('[NET-01] says what is missing where there is no iptables', () => {
    const { status, stderr } = run(INJECTED, { PATH: '/nonexistent' });
    expect(status).toBe(1);
    expect(stderr).toContain('install the Debian package iptables');
  });

  it('refuses a command line that it does not know, and names the flag', () => {
    const { status, stderr } = run(`${INJECTED} --no-such-flag`);
    expect(status).toBe(2);
    expect(stderr).toContain('--no-such-flag');
  });

  it('explains its flags', () => {
    const { status, stdout } = run('--help');
    expect(status).toBe(0);
    expect(stdout).toContain('--timeout-close-wait-secs');
  });
});

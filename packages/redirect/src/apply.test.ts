// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { applyRedirect, type CommandResult, type Exec, type RedirectOptions } from './index.ts';

const BASE: RedirectOptions = {
  incomingProxyPort: 4143,
  outgoingProxyPort: 4140,
  proxyUid: 2102,
  inboundPortsToIgnore: ['4190', '4191'],
  outboundPortsToIgnore: ['4567-4568'],
};

describe('choosing binaries', () => {
  /** A machine with these binaries only; all of them work, unless they are `broken`. */
  function machine(present: string[], broken: string[] = []): { exec: Exec; ran: string[] } {
    const ran: string[] = [];
    const exec: Exec = (command) => {
      const [binary = ''] = command;
      ran.push(command.join(' '));
      let result: CommandResult = { status: 0, stdout: '', stderr: '' };
      if (!present.includes(binary)) result = { status: undefined, stdout: '', stderr: '' };
      else if (broken.includes(binary) && !command.includes('--version'))
        result = { status: 1, stdout: '', stderr: `${binary}: Protocol not supported` };
      return Promise.resolve(result);
    };
    return { exec, ran };
  }
  const pair = (name: string): string[] => [name, `${name}-save`];
  const changesOf = (ran: string[]): Set<string> =>
    new Set(ran.filter((line) => line.includes(' -A ')).map((line) => line.split(' ')[0] ?? ''));

  it('[NET-04] takes legacy by default, and the mode that is asked for', async () => {
    for (const mode of ['legacy', 'nft', 'plain'] as const) {
      const { exec, ran } = machine([...pair('iptables-legacy'), ...pair('iptables-nft'), ...pair('iptables')]);
      await applyRedirect({ ...BASE, ipv6: false, ...(mode === 'legacy' ? {} : { mode }) }, exec);
      expect([...changesOf(ran)]).toEqual([mode === 'plain' ? 'iptables' : `iptables-${mode}`]);
    }
  });

  it('[NET-04] falls back from missing or broken binaries in the order nft, plain, legacy, and says so', async () => {
    const onlyPlain = machine(pair('iptables'));
    const outcome = await applyRedirect({ ...BASE, ipv6: false, mode: 'nft' }, onlyPlain.exec);
    expect([...changesOf(onlyPlain.ran)]).toEqual(['iptables']);
    expect(outcome.warnings).toEqual(['iptables-nft was not found in PATH: install the Debian package iptables']);

    const noKernelNft = machine([...pair('iptables-nft'), ...pair('iptables-legacy')], ['iptables-nft-save']);
    await applyRedirect(
      { ...BASE, ipv6: false, firewallBinPath: 'iptables-nft', firewallSaveBinPath: 'iptables-nft-save' },
      noKernelNft.exec,
    );
    expect([...changesOf(noKernelNft.ran)]).toEqual(['iptables-legacy']);
  });

  it('[NET-04] does not change to another iptables because one call failed on a busy machine', async () => {
    const { exec, ran } = machine([...pair('iptables-nft'), ...pair('iptables-legacy')]);
    let failures = 1;
    const flaky: Exec = (command) =>
      command[0] === 'iptables-nft-save' && failures-- > 0
        ? Promise.resolve({ status: 1, stdout: '', stderr: 'spawn iptables-nft-save EAGAIN' })
        : exec(command);
    expect((await applyRedirect({ ...BASE, ipv6: false, mode: 'nft' }, flaky)).warnings).toEqual([]);
    expect([...changesOf(ran)]).toEqual(['iptables-nft']);
  });

  it('derives the IPv6 binaries from explicit paths', async () => {
    const { exec, ran } = machine([...pair('/opt/x/iptables-nft'), ...pair('/opt/x/ip6tables-nft')]);
    await applyRedirect({ ...BASE, firewallBinPath: '/opt/x/iptables-nft', firewallSaveBinPath: '/opt/x/iptables-nft-save' }, exec);
    expect([...changesOf(ran)]).toEqual(['/opt/x/iptables-nft', '/opt/x/ip6tables-nft']);
  });

  it('says which package to install when nothing is there', async () => {
    await expect(applyRedirect(BASE, machine([]).exec)).rejects.toThrow('install the Debian package iptables');
  });

  it('says what is wrong when a command fails', async () => {
    const exec: Exec = (command) =>
      Promise.resolve(
        command.includes('-N')
          ? {
              status: 4,
              stdout: '',
              stderr: 'iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)',
            }
          : { status: 0, stdout: '', stderr: '' },
      );
    await expect(applyRedirect(BASE, exec)).rejects.toThrow(/-N PROXY_INIT_REDIRECT.*status 4.*NET_ADMIN/);
  });

  it('warns when nobody is exempt', async () => {
    const { warnings } = await applyRedirect({ ...BASE, proxyUid: 0, ipv6: false }, undefined);
    expect(warnings).toHaveLength(1);
  });

  it('[NET-06] sets the close-wait timeout first', async () => {
    const { commands } = await applyRedirect({ ...BASE, ipv6: false, timeoutCloseWaitSecs: 3600 }, undefined);
    expect(commands[0]).toEqual(['sysctl', '-w', 'net.netfilter.nf_conntrack_tcp_timeout_close_wait=3600']);
  });

  it('[NET-04] sets rule by rule where there is no iptables-restore', async () => {
    const { exec, ran } = machine([...pair('iptables-legacy')]);
    await applyRedirect({ ...BASE, ipv6: false }, exec, { isOneTransaction: true });
    expect(ran.filter((line) => line.includes(' -A '))).toHaveLength(8);
  });

  it('says which transaction failed', async () => {
    const exec: Exec = (command) =>
      Promise.resolve({
        status: (command[0] ?? '').endsWith('-restore') ? 2 : 0,
        stdout: '',
        stderr: "iptables-restore: line 4: couldn't load match `owner'",
      });
    await expect(applyRedirect({ ...BASE, ipv6: false }, exec, { isOneTransaction: true })).rejects.toThrow(
      /iptables-legacy-restore --noflush` failed with status 2.*xt_owner/,
    );
  });

  it('[NET-05] only plans when nothing can be run', async () => {
    const { commands } = await applyRedirect({ ...BASE, mode: 'nft' }, undefined);
    expect(commands[0]).toEqual(['iptables-nft-save', '-t', 'nat']);
    expect(commands.filter((command) => command[0] === 'ip6tables-nft-save')).toHaveLength(2);
  });
});

/*
 * Two namespaces, "pod" and "outside", joined by a pair of interfaces. Everything below needs root, iproute2 and iptables. Servers in
 * both answer each connection with a word that says which one was reached.
 */

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseRedirectFlags } from './index.ts';

const PORTS = ['--incoming-proxy-port', '4143', '--outgoing-proxy-port', '4140'];

describe('parseRedirectFlags', () => {
  it('[NET-01] reads the arguments that an injector passes', () => {
    const args =
      '--firewall-bin-path iptables-nft --firewall-save-bin-path iptables-nft-save --ipv6=false --incoming-proxy-port 4143 --outgoing-proxy-port 4140 --proxy-uid 2102 --inbound-ports-to-ignore 4190,4191,22,8100-8103 --outbound-ports-to-ignore 443,9000-9010 --subnets-to-ignore 10.1.0.0/16,192.0.2.0/24';
    expect(parseRedirectFlags(args.split(' '))).toEqual({
      options: {
        incomingProxyPort: 4143,
        outgoingProxyPort: 4140,
        proxyUid: 2102,
        portsToRedirect: [],
        inboundPortsToIgnore: ['4190', '4191', '22', '8100-8103'],
        outboundPortsToIgnore: ['443', '9000-9010'],
        subnetsToIgnore: ['10.1.0.0/16', '192.0.2.0/24'],
        useWaitFlag: false,
        ipv6: false,
        firewallBinPath: 'iptables-nft',
        firewallSaveBinPath: 'iptables-nft-save',
      },
      isSimulation: false,
      logFormat: 'plain',
      logLevel: 'info',
    });
  });

  it('[NET-01] reads short flags, repeated lists and the rest', () => {
    const args =
      '-p 4143 -o4140 -u=2102 -g 7 -r 80 -r 443,8080 -w --simulate --netns=/proc/1/ns/net --timeout-close-wait-secs 3600 --iptables-mode plain --log-format json --log-level debug';
    const { options, ...rest } = parseRedirectFlags(args.split(' '));
    expect(options).toMatchObject({
      incomingProxyPort: 4143,
      outgoingProxyPort: 4140,
      proxyUid: 2102,
      proxyGid: 7,
      portsToRedirect: [80, 443, 8080],
      useWaitFlag: true,
      netns: '/proc/1/ns/net',
      timeoutCloseWaitSecs: 3600,
      mode: 'plain',
      ipv6: true,
    });
    expect(rest).toEqual({ isSimulation: true, logFormat: 'json', logLevel: 'debug' });
  });

  it('[NET-05] knows dry-run as another word for simulate', () => {
    expect(parseRedirectFlags([...PORTS, '--dry-run']).isSimulation).toBe(true);
  });

  const refused: [string, string][] = [
    ['--outgoing-proxy-port 4140', '--incoming-proxy-port'],
    ['--incoming-proxy-port 4143 --outgoing-proxy-port x', '--outgoing-proxy-port'],
    ['--no-such-flag', '--no-such-flag'],
    ['stray', 'stray'],
    ['-p', '--incoming-proxy-port'],
    [`${PORTS.join(' ')} --ipv6=maybe`, '--ipv6'],
    [`${PORTS.join(' ')} --iptables-mode pf`, '--iptables-mode'],
    [`${PORTS.join(' ')} --log-format xml`, '--log-format'],
    [`${PORTS.join(' ')} --log-level loud`, '--log-level'],
    [`${PORTS.join(' ')} --ports-to-redirect 80-90`, '--ports-to-redirect'],
  ];
  it.each(refused)('refuses %s and names the culprit', (args, culprit) => {
    expect(() => parseRedirectFlags(args.split(' '))).toThrow(culprit);
  });
});

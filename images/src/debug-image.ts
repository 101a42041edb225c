// SPDX-License-Identifier: Apache-2.0
/*
 * The image of the debug container: tools to see a pod's traffic, sockets and rules, and a shell to use them in (`kubectl exec`). It starts with
 * tshark on all interfaces, each line written at once, so that `kubectl logs` shows the traffic. It runs as an ordinary user: the two programs
 * that capture carry `cap_net_raw`, which containers have by default.
 */
import { UIDS } from './base.ts';
import { type ImageDescription, SEARCH_PATH } from './description.ts';
import { IPTABLES, IPTABLES_LINKS } from './proxy-image.ts';

/** Image `debug`. */
export const DEBUG_IMAGE: ImageDescription = {
  name: 'debug',
  title: 'Weft debug container',
  description: 'Network tools for the debug container of the Weft service mesh',
  user: `${UIDS.nobody}:${UIDS.nobody}`,
  entrypoint: ['/usr/bin/tshark', '-l', '-p', '-i', 'any'],
  environment: { PATH: SEARCH_PATH, HOME: '/tmp', TERM: 'xterm' },
  hasNode: false,
  debian: [
    { package: 'bash', take: ['/usr/bin/bash'] },
    { package: 'bind9-dnsutils', take: ['/usr/bin/dig'] },
    { package: 'conntrack', take: ['/usr/sbin/conntrack'] },
    { package: 'coreutils', take: ['/usr/bin/*'] },
    { package: 'curl', take: ['/usr/bin/curl'] },
    { package: 'grep', take: ['/usr/bin/grep'] },
    { package: 'iproute2', take: ['/usr/bin/ip', '/usr/bin/ss', '/usr/sbin/tc'] },
    IPTABLES,
    { package: 'iputils-ping', take: ['/usr/bin/ping'] },
    { package: 'jq', take: ['/usr/bin/jq'] },
    { package: 'less', take: ['/usr/bin/less'] },
    { package: 'libwireshark-data', take: ['/usr/share/wireshark/**'] },
    { package: 'lsof', take: ['/usr/bin/lsof'] },
    { package: 'ncurses-base', take: ['/usr/share/terminfo/*/*'] },
    { package: 'netcat-openbsd', take: ['/usr/bin/nc.openbsd'] },
    { package: 'nftables', take: ['/usr/sbin/nft'] },
    { package: 'nghttp2-client', take: ['/usr/bin/nghttp'] },
    { package: 'openssl', take: ['/usr/bin/openssl'] },
    { package: 'procps', take: ['/usr/bin/ps', '/usr/bin/pgrep', '/usr/bin/top'] },
    { package: 'sed', take: ['/usr/bin/sed'] },
    { package: 'tcpdump', take: ['/usr/bin/tcpdump'] },
    { package: 'tshark', take: ['/usr/bin/tshark'] },
    { package: 'wireshark-common', take: ['/usr/bin/dumpcap', '/usr/bin/capinfos', '/usr/bin/editcap'] },
  ],
  links: { ...IPTABLES_LINKS, '/usr/bin/sh': 'bash', '/usr/bin/nc': 'nc.openbsd' },
  fileCapabilities: { '/usr/bin/dumpcap': ['net_raw'], '/usr/bin/tcpdump': ['net_raw'] },
  launchers: [],
  files: [],
};

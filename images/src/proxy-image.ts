// SPDX-License-Identifier: Apache-2.0
/*
 * The image of the sidecar: proxy, init step, network validator and readiness waiter at the paths that injected pods name (proxy-contract §1.7),
 * with iptables in both its forms. Only the init step's executable carries capabilities.
 */
import { UIDS } from './base.ts';
import { type DebianFiles, type ImageDescription, SEARCH_PATH } from './description.ts';

/** iptables for both kernel interfaces, IPv4 and IPv6, with all its extensions: `iptables-save` must be able to print rules of others. */
export const IPTABLES: DebianFiles = {
  package: 'iptables',
  take: ['/usr/sbin/xtables-nft-multi', '/usr/sbin/xtables-legacy-multi', '{lib}/xtables/*.so'],
};

const COMMANDS = ['', '-save', '-restore'];

/** The names under which the two programs are called. The plain names mean nft, as in Debian. */
export const IPTABLES_LINKS: Readonly<Record<string, string>> = Object.fromEntries(
  ['iptables', 'ip6tables'].flatMap((family) =>
    COMMANDS.flatMap((command) => [
      [`/usr/sbin/${family}${command}`, 'xtables-nft-multi'],
      [`/usr/sbin/${family}-nft${command}`, 'xtables-nft-multi'],
      [`/usr/sbin/${family}-legacy${command}`, 'xtables-legacy-multi'],
    ]),
  ),
);

/** Image `proxy`. */
export const PROXY_IMAGE: ImageDescription = {
  name: 'proxy',
  title: 'Weft proxy',
  description: 'The sidecar proxy of the Weft service mesh, with its init step, network validator and readiness waiter',
  user: `${UIDS.proxy}:${UIDS.proxy}`,
  entrypoint: ['/usr/lib/linkerd/linkerd2-proxy-identity'],
  environment: { PATH: SEARCH_PATH, LINKERD2_PROXY_LOG: 'warn,linkerd=info', LINKERD2_PROXY_LOG_FORMAT: 'plain' },
  hasNode: true,
  // Injected pods call `/bin/sleep` before the proxy stops.
  debian: [IPTABLES, { package: 'coreutils', take: ['/usr/bin/sleep'] }],
  links: IPTABLES_LINKS,
  fileCapabilities: {},
  launchers: [
    { path: '/usr/lib/linkerd/linkerd2-proxy-identity', app: 'proxy', bundle: 'main.js' },
    { path: '/usr/lib/linkerd/linkerd2-proxy', app: 'proxy', bundle: 'main.js' },
    {
      path: '/usr/lib/linkerd/linkerd2-proxy-init',
      app: 'proxy-init',
      bundle: 'proxy-init.js',
      capabilities: ['net_admin', 'net_raw'],
    },
    { path: '/usr/lib/linkerd/linkerd2-network-validator', app: 'proxy-init', bundle: 'network-validator.js' },
    { path: '/usr/lib/linkerd/linkerd-await', app: 'proxy-init', bundle: 'await.js' },
  ],
  files: [{ path: '/usr/lib/linkerd/linkerd2-proxy-version.txt', mode: 0o644, source: { text: '{version}\n' } }],
};

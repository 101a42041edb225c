// SPDX-License-Identifier: Apache-2.0
/*
 * What all images share, in one layer that is transferred and stored once for all of them: Debian's directory layout, the users, name lookup, the
 * certificates of public authorities, and the C and C++ libraries that Node needs. No shell and no package manager.
 */
import type { DebianFiles } from './description.ts';

/** User ids of the images' processes; the Kubernetes objects name the same numbers. */
export const UIDS = { proxy: 2102, controller: 2103, nobody: 65534 } as const;

/** Directories of the base; those named here with a mode other than 0755 say so. */
export const BASE_DIRECTORIES: Readonly<Record<string, number>> = {
  '/etc': 0o755,
  '/run': 0o755,
  '/tmp': 0o1777,
  '/usr/bin': 0o755,
  '/usr/sbin': 0o755,
  '/usr/lib64': 0o755,
  '/var/tmp': 0o1777,
};

/** Symbolic links of the base: the merged `/usr` and the old name of `/run`. */
export const BASE_LINKS: Readonly<Record<string, string>> = {
  '/bin': 'usr/bin',
  '/lib': 'usr/lib',
  '/lib64': 'usr/lib64',
  '/sbin': 'usr/sbin',
  '/var/run': '/run',
};

/** Text files of the base. */
export const BASE_FILES: readonly { readonly path: string; readonly mode: number; readonly text: string }[] = [
  {
    path: '/etc/passwd',
    mode: 0o644,
    text: `root:x:0:0:root:/:/nonexistent
linkerd-proxy:x:${UIDS.proxy}:${UIDS.proxy}:proxy:/:/nonexistent
weft-controller:x:${UIDS.controller}:${UIDS.controller}:controller:/:/nonexistent
nobody:x:${UIDS.nobody}:${UIDS.nobody}:nobody:/:/nonexistent
`,
  },
  {
    path: '/etc/group',
    mode: 0o644,
    text: `root:x:0:\nlinkerd-proxy:x:${UIDS.proxy}:\nweft-controller:x:${UIDS.controller}:\nnogroup:x:${UIDS.nobody}:\n`,
  },
  { path: '/etc/nsswitch.conf', mode: 0o644, text: 'passwd: files\ngroup: files\nhosts: files dns\n' },
];

/** Debian packages of the base. Node's libraries are found from its binary. */
export const BASE_DEBIAN: readonly DebianFiles[] = [
  { package: 'base-files', take: ['/etc/debian_version', '/usr/lib/os-release'] },
  { package: 'ca-certificates', take: ['/usr/share/ca-certificates/mozilla/*.crt'] },
];

/** Where the certificates are together in one file; the single ones are not kept. */
export const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';

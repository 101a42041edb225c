// SPDX-License-Identifier: Apache-2.0
/*
 * What can go wrong while installing rules, in words for whoever has to repair it: the failed command, what the system said, what to do.
 */

export type RedirectErrorCode = 'ERR_REDIRECT_OPTION' | 'ERR_REDIRECT_NO_BINARY' | 'ERR_REDIRECT_PERMISSION' | 'ERR_REDIRECT_COMMAND';

/** Match on `code`: an unusable option, no usable iptables, a process that may not change rules, or a command that failed. */
export class RedirectError extends Error {
  readonly code: RedirectErrorCode;

  constructor(code: RedirectErrorCode, message: string) {
    super(message);
    this.name = 'RedirectError';
    this.code = code;
  }
}

/** Debian packages by binary, since a missing binary is the most common failure on hosts. */
const PACKAGES: readonly (readonly [RegExp, string])[] = [
  [/^ip6?tables/, 'iptables'],
  [/^nsenter$/, 'util-linux'],
  [/^ip$/, 'iproute2'],
  [/^sysctl$/, 'procps'],
];

/** What to do about a binary that is not there. */
export function missingBinaryAdvice(binary: string): string {
  const found = PACKAGES.find(([pattern]) => pattern.test(binary));
  return found === undefined
    ? `${binary} was not found in PATH`
    : `${binary} was not found in PATH: install the Debian package ${found[1]}`;
}

const LOCK_FILE = /can't open lock file/i;
const LOCK_HELD = /xtables lock/i;
const PERMISSION = /permission denied|must be root|operation not permitted/i;

/** Whether a command failed because this process may not change rules: no other iptables will do better. */
export function isPermissionProblem(stderr: string): boolean {
  return PERMISSION.test(stderr) && !LOCK_FILE.test(stderr);
}

/** Whether a command failed because another one held the lock of the legacy iptables: trying again helps. */
export function isLockProblem(stderr: string): boolean {
  return LOCK_HELD.test(stderr);
}

/** Messages of iptables and friends that have one usual cause. */
const CAUSES: readonly (readonly [RegExp, string])[] = [
  [LOCK_FILE, 'the legacy iptables needs a writable /run (mount an emptyDir there), or choose --iptables-mode=nft'],
  [
    PERMISSION,
    'it needs the capabilities NET_ADMIN and NET_RAW in that network namespace: add both to the securityContext, run as root, or use the CNI plugin instead',
  ],
  [LOCK_HELD, 'another program changes the rules at the same time: pass --use-wait-flag'],
  [
    /ip6tables.*(nat|initialize)|address family not supported/i,
    'the kernel has no IPv6 NAT: load ip6table_nat (legacy) or nf_tables, or pass --ipv6=false',
  ],
  [
    /couldn't load (match|target)|no chain\/target\/match by that name|protocol not supported/i,
    'the kernel lacks a netfilter module: load nf_tables or ip_tables with nf_nat, xt_owner, xt_multiport, xt_comment and xt_REDIRECT, or choose another --iptables-mode',
  ],
  [/cannot open network namespace|setting the network namespace|no such file or directory/i, 'that network namespace does not exist'],
];

/** The likely cause of a failed command, from what it wrote; '' when unknown. */
export function commandAdvice(stderr: string): string {
  return CAUSES.find(([pattern]) => pattern.test(stderr))?.[1] ?? '';
}

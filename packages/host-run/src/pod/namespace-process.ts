// SPDX-License-Identifier: Apache-2.0
/*
 * One process inside a pod's network namespace: own host name, chosen user, own session (a Ctrl-C at the terminal must not reach it), ended by
 * the kernel when this process dies. What replaces what: ip → unshare → sh → setpriv → the command, all by exec, so the pid is the command's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { identifyProcess, type ProcessIdentity } from '../system/processes.ts';

/** Who a process runs as. */
export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
}

/** What to start and how. */
export interface NamespaceProcessOptions {
  readonly netns: string;
  readonly hostname: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** Absent: root. */
  readonly user?: ProcessUser;
  /** Neither capabilities nor a way to get them: for the proxy and the control plane. */
  readonly isConfined: boolean;
}

const SET_HOSTNAME = 'echo "$0" > /proc/sys/kernel/hostname; exec "$@"';

/** Starts it; `identity` is undefined when it ended at once. Its standard input is empty. */
export function startInNamespace(options: NamespaceProcessOptions): { child: ChildProcess; identity: ProcessIdentity | undefined } {
  const { user } = options;
  const privileges = [
    ...(user === undefined ? [] : ['--reuid', String(user.uid), '--regid', String(user.gid), '--clear-groups']),
    ...(options.isConfined ? ['--no-new-privs', '--bounding-set', '-all', '--inh-caps', '-all'] : []),
    '--pdeathsig',
    'KILL',
  ];
  const child = spawn(
    'ip',
    [
      'netns',
      'exec',
      options.netns,
      'unshare',
      '--uts',
      '--',
      'sh',
      '-c',
      SET_HOSTNAME,
      options.hostname,
      'setpriv',
      ...privileges,
      '--',
      ...options.command,
    ],
    { cwd: options.workingDirectory, env: options.environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  return { child, identity: child.pid === undefined ? undefined : identifyProcess(child.pid) };
}

/** Signals the command itself, or with `isWholeGroup` everything in its session's first group. */
export function signalProcess(child: ChildProcess, signal: NodeJS.Signals, isWholeGroup: boolean): void {
  // Node has reaped it: the pid may be another's.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(isWholeGroup ? -child.pid : child.pid, signal);
  } catch {
    // It ended between the look and the signal.
  }
}

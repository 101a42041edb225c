// SPDX-License-Identifier: Apache-2.0
/*
 * Running one command on this machine.
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';

/** Outcome of a command. */
export interface CommandResult {
  /** Exit status; undefined when the binary does not exist. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command given as words, with `input` on its standard input; never rejects for a command that fails. */
export type Exec = (command: readonly string[], input?: string) => Promise<CommandResult>;

/** One iptables call takes milliseconds; one that waits for the lock longer than this has lost it. */
const TIMEOUT_MS = 60_000;

/** Runs the command without a shell. */
export const runCommand: Exec = (command, input) =>
  new Promise((resolve) => {
    const [binary = '', ...args] = command;
    const child = execFile(binary, args, { timeout: TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve({ status: 0, stdout, stderr });
      else if (error.code === 'ENOENT') resolve(binary === 'sysctl' ? writeSysctl(args) : { status: undefined, stdout, stderr });
      else resolve({ status: typeof error.code === 'number' ? error.code : 1, stdout, stderr: stderr === '' ? error.message : stderr });
    });
    // A command that fails at once does not read what it is given.
    child.stdin?.on('error', () => undefined).end(input);
  });

/** What `sysctl -w name=value` does, for images that hold no sysctl: its own file below `root` gets the value. */
export function writeSysctl(args: readonly string[], root: string = '/proc/sys'): CommandResult {
  const match = /^([\w.]+)=(.*)$/s.exec(args[1] ?? '');
  if (args[0] !== '-w' || match === null) return { status: undefined, stdout: '', stderr: '' };
  const [, name = '', value = ''] = match;
  try {
    writeFileSync(`${root}/${name.replaceAll('.', '/')}`, value);
    return { status: 0, stdout: `${name} = ${value}\n`, stderr: '' };
  } catch (error) {
    return { status: 1, stdout: '', stderr: `${(error as Error).message} (a privileged container run as root may write it)` };
  }
}

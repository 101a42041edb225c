// SPDX-License-Identifier: Apache-2.0
/*
 * System commands that must succeed. What failed, and what the system said, is in the error.
 */
import { execFile } from 'node:child_process';
import { HostRunError } from '../errors.ts';

/** Runs a command and resolves with what it printed; rejects with HostRunError `ERR_RUN_COMMAND`. */
export type MustRun = (command: readonly string[], stdin?: string) => Promise<string>;

/** `ip` and `iptables` take milliseconds; one that takes this long is stuck. */
const TIMEOUT_MS = 30_000;

/** Runs without a shell, on this machine. */
export const mustRun: MustRun = (command, stdin) =>
  new Promise((resolve, reject) => {
    const [binary = '', ...args] = command;
    const child = execFile(binary, args, { timeout: TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout);
        return;
      }
      const said = stderr.trim() === '' ? error.message : stderr.trim();
      reject(new HostRunError('ERR_RUN_COMMAND', `\`${command.join(' ')}\` failed: ${said}`, error));
    });
    // A command that ends before it has read everything is reported by its status.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(stdin ?? '');
  });

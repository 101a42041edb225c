// SPDX-License-Identifier: Apache-2.0
/*
 * The CNI plugin `linkerd-cni` as a container runtime runs it: parameters in the environment, configuration on standard input, result or
 * error on standard output, log on standard error (proxy-contract §10.2). Built into one executable, for hosts have no Node.
 */
import { readFileSync, writeSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { openKubeconfig, runPlugin } from '@weft/cni';
import { runCommand } from '@weft/redirect';
import { Logger, parseLogFilter } from '@weft/telemetry';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

/** A container runtime's own PATH may lack where iptables and nsenter are. */
const HOST_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

async function main(): Promise<void> {
  if (process.env['CNI_COMMAND'] === undefined) {
    writeSync(STDERR, 'linkerd-cni: a CNI plugin; it is run by a container runtime, with CNI_COMMAND in its environment\n');
    return;
  }
  process.env['PATH'] = `${process.env['PATH'] ?? ''}:${HOST_PATH}`;
  const { output, exitCode, lookupMs } = await runPlugin({
    env: process.env,
    input: readFileSync(STDIN, 'utf8'),
    exec: runCommand,
    world: { open: openKubeconfig, now: () => performance.now(), sleep: (delayMs) => sleep(delayMs), random: Math.random },
    logger: (level) => {
      const filter = parseLogFilter(level === 'warning' ? 'warn' : level);
      return Logger.create({
        filter: 'error' in filter ? 'info' : filter,
        format: 'logfmt',
        target: 'linkerd-cni',
        write: (line) => void writeSync(STDERR, line),
      });
    },
  });
  // For the benchmark: what of the run was waiting for the API server.
  if (process.env['WEFT_CNI_TIMING'] !== undefined) writeSync(STDERR, `lookup_ms=${lookupMs.toFixed(2)}\n`);
  if (output !== '') writeSync(STDOUT, output);
  process.exit(exitCode);
}

// Everything that can fail in it is an outcome; what is left is a defect, and ends the process with a trace and status 1.
void main();

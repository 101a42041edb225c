// SPDX-License-Identifier: Apache-2.0
/*
 * The program behind `linkerd-await` (features INJ-25): asks the proxy's `/ready` until it says yes, then runs the command; with
 * `--shutdown` it posts `/shutdown` when the command has ended, so that a Job whose sidecar is an ordinary container completes (OP-07).
 * Exit codes: the command's; 69 when the proxy was not ready in time; 2 for a command line that cannot be used.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { adminRequest } from './admin-request.ts';
import { type AwaitFlags, parseAwaitFlags } from './await-flags.ts';
import { runChild } from './run-child.ts';

const EXIT_USAGE = 2;
/** EX_UNAVAILABLE. */
const EXIT_NOT_READY = 69;
/** The proxy may be busy ending connections when it is told to go. */
const SHUTDOWN_ATTEMPTS = 3;

/** Runs a command line; resolves with the exit code. */
export async function runAwait(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  if (args[0] === '--help' || args[0] === '-h') {
    process.stdout.write(HELP);
    return 0;
  }
  const flags = parseAwaitFlags(args);
  if (typeof flags === 'string') {
    say(flags);
    return EXIT_USAGE;
  }
  const reason = disabledBy(env);
  if (reason === undefined) {
    const problem = await untilReady(flags);
    if (problem !== undefined) {
      say(`the proxy was not ready on port ${flags.port} within ${flags.timeoutMs} ms: ${problem}`);
      return EXIT_NOT_READY;
    }
  } else {
    say(`not waiting: ${reason}`);
  }
  if (flags.command.length === 0) return 0;
  const outcome = await runChild(flags.command);
  if (outcome.problem !== undefined) say(outcome.problem);
  if (flags.isShutdown && reason === undefined) await shutDown(flags);
  return outcome.exitCode;
}

/** Why there is nothing to wait for: where a pod has no proxy, these are set. */
function disabledBy(env: Readonly<Record<string, string | undefined>>): string | undefined {
  for (const name of ['LINKERD_AWAIT_DISABLED', 'LINKERD_DISABLED']) {
    const value = env[name];
    if (value !== undefined && value !== '') return `${name} is set (${value})`;
  }
  return undefined;
}

/** Undefined once the proxy is ready; else what it said last, at the end of the time. */
async function untilReady({ port, backoffMs, timeoutMs, isVerbose }: AwaitFlags): Promise<string | undefined> {
  const startMs = performance.now();
  for (;;) {
    let problem: string;
    try {
      const status = await adminRequest('GET', '/ready', port);
      if (status >= 200 && status < 300) return undefined;
      problem = `it answers ${status}`;
    } catch (error) {
      problem = (error as Error).message;
    }
    if (isVerbose) say(`the proxy is not ready: ${problem}`);
    const leftMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : timeoutMs - (performance.now() - startMs);
    if (leftMs <= 0) return problem;
    await sleep(Math.min(backoffMs, leftMs));
  }
}

async function shutDown({ port, backoffMs }: AwaitFlags): Promise<void> {
  let problem = '';
  for (let attempt = 0; attempt < SHUTDOWN_ATTEMPTS; attempt++) {
    if (attempt > 0) await sleep(backoffMs);
    try {
      const status = await adminRequest('POST', '/shutdown', port);
      if (status >= 200 && status < 300) return;
      problem = `it answers ${status} (is its admin shutdown enabled?)`;
      if (status >= 400 && status < 500) break;
    } catch (error) {
      problem = (error as Error).message;
      if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return;
    }
  }
  say(`the proxy did not take /shutdown on port ${port}: ${problem}`);
}

function say(text: string): void {
  process.stderr.write(`linkerd-await: ${text}\n`);
}

const HELP = `Usage: linkerd-await [flags] [--] [command [args]]

Waits until the proxy is ready, then runs the command.

  -p, --port port       the proxy's admin port (default 4191)
  -b, --backoff time    between two questions (default 1s)
  -t, --timeout time    give up after this time; default: never
  -S, --shutdown        end the proxy when the command has ended
  -v, --verbose         say why it waits
      --help

LINKERD_AWAIT_DISABLED or LINKERD_DISABLED in the environment: do not wait.
`;

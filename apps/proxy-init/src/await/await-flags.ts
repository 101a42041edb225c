// SPDX-License-Identifier: Apache-2.0
/*
 * The command line of `linkerd-await`: flags, then `--` and the command, or the command at the first word that is no flag.
 */
import { parseDurationMs } from '@weft/redirect';

/** A parsed command line. */
export interface AwaitFlags {
  readonly port: number;
  /** Between two questions. */
  readonly backoffMs: number;
  /** How long to wait; undefined: for ever. */
  readonly timeoutMs: number | undefined;
  /** End the proxy when the command has ended. */
  readonly isShutdown: boolean;
  readonly isVerbose: boolean;
  /** The command and its arguments; empty: only wait. */
  readonly command: readonly string[];
}

const VALUE_FLAGS: Readonly<Record<string, string>> = {
  p: 'port',
  port: 'port',
  b: 'backoff',
  backoff: 'backoff',
  t: 'timeout',
  timeout: 'timeout',
};
const SWITCHES: Readonly<Record<string, string>> = { S: 'shutdown', shutdown: 'shutdown', v: 'verbose', verbose: 'verbose' };

/** Parses. Returns what is wrong, where something is. */
export function parseAwaitFlags(args: readonly string[]): AwaitFlags | string {
  const values = new Map([
    ['port', '4191'],
    ['backoff', '1s'],
  ]);
  const switches = new Set<string>();
  let index = 0;
  for (; index < args.length; index++) {
    const arg = args[index] as string;
    if (arg === '--') {
      index += 1;
      break;
    }
    const match = /^(?:--([a-z]+)|-([A-Za-z]))(?:=(.*))?$/s.exec(arg);
    if (match === null) {
      if (arg.startsWith('-')) return `unexpected argument ${arg}`;
      break;
    }
    const name = match[1] ?? match[2] ?? '';
    const valueFlag = VALUE_FLAGS[name];
    const switchFlag = SWITCHES[name];
    if (valueFlag !== undefined) {
      const value = match[3] ?? args[++index];
      if (value === undefined) return `--${valueFlag} needs a value`;
      values.set(valueFlag, value);
    } else if (switchFlag !== undefined && match[3] === undefined) switches.add(switchFlag);
    else return `unexpected argument ${arg}`;
  }
  const port = Number(values.get('port'));
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return `--port: ${values.get('port')} is not a port`;
  const backoffMs = parseDurationMs(values.get('backoff') ?? '');
  if (backoffMs === undefined || backoffMs === 0) return `--backoff: ${values.get('backoff')} is not a time such as 1s`;
  const timeout = values.get('timeout');
  const timeoutMs = timeout === undefined ? undefined : parseDurationMs(timeout);
  if (timeout !== undefined && timeoutMs === undefined) return `--timeout: ${timeout} is not a time such as 2m`;
  const command = args.slice(index);
  if (switches.has('shutdown') && command.length === 0) return '--shutdown needs a command to wait for';
  return { port, backoffMs, timeoutMs, isShutdown: switches.has('shutdown'), isVerbose: switches.has('verbose'), command };
}

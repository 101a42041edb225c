// SPDX-License-Identifier: Apache-2.0
/*
 * The command line of the network validator (proxy-contract §10.4; control-contract §4.4), as injectors pass it.
 */
import { isIP } from 'node:net';
import { RedirectError } from '../errors.ts';

/** A host and a port. */
export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

/** A parsed command line. */
export interface ValidatorFlags {
  /** Where the connection claims to go; nothing needs to be there. */
  readonly connect: SocketAddress;
  /** Where it must arrive: the outbound proxy's port. */
  readonly listen: SocketAddress;
  readonly timeoutMs: number;
  readonly logFormat: 'plain' | 'json';
  /** A level, or a filter such as `linkerd=debug,warn`. */
  readonly logLevel: string;
}

const DEFAULTS: Readonly<Record<string, string>> = {
  'log-format': 'plain',
  'log-level': 'info',
  'connect-addr': '1.1.1.1:20001',
  'listen-addr': '0.0.0.0:4140',
  timeout: '10s',
};

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Parses `--flag value` and `--flag=value`. Throws RedirectError `ERR_REDIRECT_OPTION` naming the flag. */
export function parseValidatorFlags(args: readonly string[]): ValidatorFlags {
  const given = new Map(Object.entries(DEFAULTS));
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] as string;
    const match = /^--([a-z-]+)(?:=(.*))?$/s.exec(arg);
    const name = match?.[1] ?? '';
    if (!Object.hasOwn(DEFAULTS, name)) throw new RedirectError('ERR_REDIRECT_OPTION', `unexpected argument ${arg}`);
    const value = match?.[2] ?? args[++index];
    if (value === undefined) refuse(name, 'needs a value');
    given.set(name, value);
  }
  const text = (name: string): string => given.get(name) ?? '';
  const logFormat = text('log-format');
  if (logFormat !== 'plain' && logFormat !== 'json') refuse('log-format', `${logFormat} is not plain or json`);
  return {
    connect: parseAddress('connect-addr', text('connect-addr')),
    listen: parseAddress('listen-addr', text('listen-addr')),
    timeoutMs: parseDurationMs(text('timeout')) ?? refuse('timeout', `${text('timeout')} is not a time such as 10s`),
    logFormat,
    logLevel: text('log-level'),
  };
}

/** `500ms`, `10s`, `2m` or `1h`, whole numbers, in milliseconds; undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d{1,6})(ms|s|m|h)$/.exec(text.trim());
  return match === null ? undefined : Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0);
}

function parseAddress(flag: string, text: string): SocketAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3] ?? -1);
  if (isIP(host) === 0 || port < 1 || port > 65_535)
    refuse(flag, `${text} is not an IP address and a port, such as 1.1.1.1:20001 or [::]:4140`);
  return { host, port };
}

function refuse(flag: string, reason: string): never {
  throw new RedirectError('ERR_REDIRECT_OPTION', `--${flag}: ${reason}`);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Command lines as the reference's charts and users write them: the Go components take `-name value` and `-name=value`, the Rust one
 * `--name value` (control-contract §1.1, §2.1, §3.1). All are understood for all sub-commands; values are checked here, so that a typo ends
 * the process with a usage error instead of a half-configured one.
 */
import { InvalidArgumentError } from 'commander';

/**
 * Turns Go-style flags into the form that commander reads: one leading dash becomes two for names longer than a letter. Arguments that do
 * not begin with a dash, and everything after `--`, stay.
 */
export function normaliseArguments(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  return argv.map((argument, index) => {
    if (end !== -1 && index >= end) return argument;
    return /^-[a-z][\w-]/.test(argument) ? `-${argument}` : argument;
  });
}

/** A boolean as Go's flag package reads it; also what a flag without a value means. */
export function parseBoolean(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  throw new InvalidArgumentError('expected true or false.');
}

/** A whole number. */
export function parseInteger(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}

/** Where to listen. */
export interface ListenAddress {
  /** '' for all addresses of both families. */
  readonly host: string;
  readonly port: number;
}

/** `:8086`, `127.0.0.1:8086`, `[::1]:8086`. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new InvalidArgumentError('expected an address such as :8086 or 127.0.0.1:8086.');
  return { host: match[1] ?? match[2] ?? '', port };
}

/** A comma-separated list without empty items. */
export function parseList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

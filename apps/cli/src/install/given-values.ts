// SPDX-License-Identifier: Apache-2.0
/* Values that a user gives as a whole: files and URLs after `--values`, then the `--set` flags, the later the stronger (features CLI-14). */
import { readFileSync } from 'node:fs';
import { mergeValues, parseYaml } from '@weft/chart';
import type { Dictionary } from '@weft/chart';
import type { Command } from 'commander';
import { CommandFailure } from '../command-context.ts';
import { applySet } from './set-flags.ts';

/** Time that a URL has to answer. */
export const VALUES_TIMEOUT_MS = 30_000;

/** The flags as commander gives them. */
export interface ValuesOptions {
  readonly values?: readonly string[];
  readonly set?: readonly string[];
  readonly setString?: readonly string[];
  readonly setFile?: readonly string[];
}

/** Adds `-f`, `--set`, `--set-string` and `--set-file`. */
export function addValuesFlags(command: Command): void {
  const repeated = (text: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), text];
  command
    .option('-f, --values <file>', 'file or URL with values; may be repeated', repeated)
    .option('--set <name=value,...>', 'values; may be repeated', repeated)
    .option('--set-string <name=value,...>', 'values that are text; may be repeated', repeated)
    .option('--set-file <name=file,...>', "values that are a file's text; may be repeated", repeated);
}

/** Rejects with CommandFailure for a file that cannot be read or is no mapping. */
export async function readGivenValues(options: ValuesOptions): Promise<Dictionary> {
  let values: Dictionary = {};
  for (const place of options.values ?? []) {
    const text = await readText(place);
    values = mergeValues(values, parseMapping(text, place));
  }
  for (const expression of options.set ?? []) applySet(values, expression);
  for (const expression of options.setString ?? []) applySet(values, expression, (text) => text);
  for (const expression of options.setFile ?? []) applySet(values, expression, readFile);
  return values;
}

/** A mapping of values in YAML. Throws CommandFailure. */
export function parseMapping(text: string, name: string): Dictionary {
  let value;
  try {
    value = parseYaml(text, name) ?? {};
  } catch (error) {
    throw new CommandFailure((error as Error).message, 1, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new CommandFailure(`${name}: not a mapping of values`);
  return value as Dictionary;
}

/** The text of a local file. Throws CommandFailure. */
export function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandFailure(`cannot read ${path}: ${(error as Error).message}`, 1, { cause: error });
  }
}

async function readText(place: string): Promise<string> {
  if (!/^https?:\/\//.test(place)) return readFile(place);
  try {
    const response = await fetch(place, { signal: AbortSignal.timeout(VALUES_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return await response.text();
  } catch (error) {
    throw new CommandFailure(`cannot read ${place}: ${(error as Error).message}`, 1, { cause: error });
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Checks of extensions (features CLI-39, EX-01): for each namespace labelled `linkerd.io/extension`, and each program on PATH whose
 * `_extension-metadata` says `checks: always`, `<program> check --output json` is run and its categories become part of ours. What a
 * program prints is not trusted: it is checked field by field.
 */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, delimiter } from 'node:path';
import { EXTENSION_PREFIXES, findExtension } from '../external-command.ts';
import { HINT_BASE } from './check.ts';
import type { CheckResult } from './check.ts';

/** Time that a program has to say what it is, and to check beyond `--wait`. */
export const METADATA_TIMEOUT_MS = 10_000;
/** Longest output that is read. */
const MAX_OUTPUT_BYTES: number = 16 * 1024 * 1024;
/** Programs on PATH that are asked what they are; more than that is no set of extensions. */
const MAX_PROGRAMS = 64;

/** Which extension, and its program; undefined when it is not on PATH. */
export interface ExtensionProgram {
  readonly name: string;
  readonly file?: string;
}

/** Extensions to check: those that the cluster names, in order, then those that always want it. */
export async function findExtensionPrograms(
  namesInCluster: readonly string[],
  path: string = process.env['PATH'] ?? '',
): Promise<readonly ExtensionProgram[]> {
  const programs = new Map<string, ExtensionProgram>();
  for (const name of [...new Set(namesInCluster)].toSorted()) {
    const file = findExtension(name, path);
    programs.set(name, { name, ...(file === undefined ? {} : { file }) });
  }
  for (const name of namesOnPath(path)) {
    const file = programs.has(name) ? undefined : findExtension(name, path);
    if (file !== undefined && (await wantsChecks(file))) programs.set(name, { name, file });
  }
  return [...programs.values()];
}

function namesOnPath(path: string): string[] {
  const names = new Set<string>();
  for (const directory of path.split(delimiter)) {
    let files: string[];
    try {
      files = readdirSync(directory === '' ? '.' : directory);
    } catch {
      continue;
    }
    for (const file of files) {
      const prefix = EXTENSION_PREFIXES.find((start) => file.startsWith(start));
      if (prefix !== undefined && names.size < MAX_PROGRAMS) names.add(file.slice(prefix.length));
    }
  }
  return [...names].toSorted();
}

async function wantsChecks(file: string): Promise<boolean> {
  const { stdout } = await runProgram(file, ['_extension-metadata'], METADATA_TIMEOUT_MS);
  const metadata = parseObject(stdout);
  return metadata?.['name'] === basename(file) && metadata['checks'] === 'always';
}

/** Runs one extension's checks; never rejects. */
export async function runExtensionCheck(
  { name, file }: ExtensionProgram,
  args: readonly string[],
  timeoutMs: number,
): Promise<readonly CheckResult[]> {
  const program = `linkerd-${name}`;
  if (file === undefined) {
    return [
      {
        category: program,
        description: `Linkerd extension command ${program} exists`,
        result: 'warning',
        hint: `${HINT_BASE}extensions`,
        error: `exec: "${program}": executable file not found in $PATH`,
      },
    ];
  }
  const { stdout, problem } = await runProgram(file, ['check', ...args, '--output', 'json'], timeoutMs);
  const results = readResults(stdout);
  if (results !== undefined) return results;
  const what = problem === '' ? stdout.trim().slice(0, 300) : problem;
  return [
    {
      category: program,
      description: `Running: ${basename(file)} check`,
      result: 'error',
      hint: `${HINT_BASE}extensions`,
      error: `invalid extension check output from "${name}" (JSON object expected):\n${what}`,
    },
  ];
}

/** A failing check ends with 1 and still prints its results. */
function runProgram(
  file: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<{ readonly stdout: string; readonly problem: string }> {
  const { promise, resolve } = Promise.withResolvers<{ stdout: string; problem: string }>();
  execFile(file, args, { timeout: timeoutMs, maxBuffer: MAX_OUTPUT_BYTES, encoding: 'utf8' }, (error, stdout, stderr) => {
    const lines = stderr.trim().slice(0, 2000);
    resolve({ stdout, problem: error === null ? '' : lines === '' ? error.message : lines });
  });
  return promise;
}

/** The results in a program's JSON, or undefined when it is none. */
export function readResults(text: string): readonly CheckResult[] | undefined {
  const report = parseObject(text);
  if (report === undefined || !Array.isArray(report['categories'])) return undefined;
  const results: CheckResult[] = [];
  for (const category of report['categories'] as readonly unknown[]) {
    if (!isObject(category) || typeof category['categoryName'] !== 'string') return undefined;
    for (const check of (category['checks'] ?? []) as readonly unknown[]) {
      if (!isObject(check) || typeof check['description'] !== 'string') return undefined;
      const { description, result, hint, error } = check;
      if (result !== 'success' && result !== 'warning' && result !== 'error') return undefined;
      results.push({
        category: category['categoryName'],
        description,
        result,
        ...(typeof hint === 'string' && hint !== '' ? { hint } : {}),
        ...(typeof error === 'string' && error !== '' ? { error } : {}),
      });
    }
  }
  return results;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

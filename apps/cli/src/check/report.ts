// SPDX-License-Identifier: Apache-2.0
/* How results are printed: table, short and JSON (features CLI-36 to CLI-38). */
import type { CheckResult } from './check.ts';

/** Forms of output. */
export const CHECK_OUTPUTS = ['table', 'json', 'short'] as const;
/** One of them. */
export type CheckOutput = (typeof CHECK_OUTPUTS)[number];

const MARKS: Readonly<Record<CheckResult['result'], string>> = { success: '√', warning: '‼', error: '×' };

/** Whether nothing failed; warnings do not count. */
export function isSuccess(results: readonly CheckResult[]): boolean {
  return results.every(({ result }) => result !== 'error');
}

/** Writes results as they come, each category under its heading. */
export class TableWriter {
  private readonly write: (text: string) => void;
  private readonly isShort: boolean;
  private category: string | undefined;

  constructor(write: (text: string) => void, isShort: boolean) {
    this.write = write;
    this.isShort = isShort;
  }

  add(result: CheckResult): void {
    if (this.isShort && result.result === 'success') return;
    if (result.category !== this.category) {
      if (this.category !== undefined) this.write('\n');
      this.write(heading(result.category, '-'));
      this.category = result.category;
    }
    this.write(line(result));
  }

  /** A heading over the categories that follow. */
  section(title: string): void {
    if (this.isShort) return;
    this.write(`\n${heading(title, '=')}\n`);
    this.category = undefined;
  }

  /** The verdict. */
  finish(results: readonly CheckResult[]): void {
    if (this.category !== undefined) this.write('\n');
    this.write(`Status check results are ${isSuccess(results) ? '√' : '×'}\n`);
    this.category = undefined;
  }
}

function heading(text: string, mark: string): string {
  return `${text}\n${mark.repeat(text.length)}\n`;
}

function line({ result, description, error, hint }: CheckResult): string {
  const lines = [`${MARKS[result]} ${description}`];
  if (error !== undefined) lines.push(...error.split('\n').map((text) => `    ${text}`));
  if (hint !== undefined) lines.push(`    see ${hint} for hints`);
  return `${lines.join('\n')}\n`;
}

/** The JSON of a run: categories in order, those without checks left out. */
export function jsonReport(results: readonly CheckResult[]): string {
  const categories: { categoryName: string; checks: object[] }[] = [];
  for (const { category, description, hint, error, result } of results) {
    let last = categories.at(-1);
    if (last?.categoryName !== category) {
      last = { categoryName: category, checks: [] };
      categories.push(last);
    }
    last.checks.push({ description, ...(hint === undefined ? {} : { hint }), ...(error === undefined ? {} : { error }), result });
  }
  return `${JSON.stringify({ success: isSuccess(results), categories }, undefined, 2)}\n`;
}

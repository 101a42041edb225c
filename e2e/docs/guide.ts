// SPDX-License-Identifier: Apache-2.0
/*
 * A guide as something that runs: its fenced blocks in order, with what is to be done with each. What a block must show stands in the
 * block itself, as a comment after the command, so that readers see what a test checks:
 *
 *   ```sh
 *   weft edges -n demo        # shows: traffic   web
 *   ```
 *
 * A `yaml` block is given to the API server in a dry run. A block that cannot run where the test runs says so in a comment above it,
 * `<!-- not run: reason -->`; every other one runs.
 */
import { readFileSync } from 'node:fs';

/** A fenced block. */
export interface Block {
  /** `sh`, `yaml`, or whatever the fence says; '' where it says nothing. */
  readonly language: string;
  readonly text: string;
  /** Line of the fence in the file, from 1. */
  readonly line: number;
  /** Pieces that its output must contain, in order; runs of spaces count as one. */
  readonly shows: readonly string[];
  /** Why it is not run; undefined for one that is. */
  readonly notRun: string | undefined;
}

/** Blocks that are never run: what a program prints, and diagrams. */
const SHOWN_ONLY: ReadonlySet<string> = new Set(['text', 'mermaid']);

/** Reads the blocks of a guide. Throws for a fence that does not end or has no language: it would be neither run nor refused. */
export function readGuide(path: string): readonly Block[] {
  return parseGuide(readFileSync(path, 'utf8'), path);
}

/** The blocks of `markdown`; `name` is for error texts. */
export function parseGuide(markdown: string, name: string): readonly Block[] {
  const lines = markdown.split('\n');
  const blocks: Block[] = [];
  let notRun: string | undefined;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    const fence = /^(\s*)```(\S*)\s*$/.exec(line);
    if (fence === null) {
      const reason = /^\s*<!-- not run: (.+) -->\s*$/.exec(line)?.[1];
      if (reason !== undefined) notRun = reason;
      else if (line.trim() !== '') notRun = undefined;
      continue;
    }
    const [, indent = '', language = ''] = fence;
    const end = lines.findIndex((other, index) => index > at && other.trim() === '```');
    if (end === -1) throw new Error(`${name}:${at + 1}: the block does not end`);
    if (language === '') throw new Error(`${name}:${at + 1}: the block has no language: sh, yaml, or text for what is only shown`);
    const text = lines
      .slice(at + 1, end)
      .map((one) => (one.startsWith(indent) ? one.slice(indent.length) : one))
      .join('\n');
    if (!SHOWN_ONLY.has(language)) {
      const shows = [...text.matchAll(/# shows: (.+)$/gm)].map(([, piece]) => (piece ?? '').trim());
      blocks.push({ language, text, line: at + 1, shows, notRun });
    }
    notRun = undefined;
    at = end;
  }
  return blocks;
}

/** The first of `pieces` that `output` lacks after those before it; undefined where all are there in order. */
export function firstMissing(output: string, pieces: readonly string[]): string | undefined {
  const text = output.replaceAll(/[ \t]+/g, ' ');
  let from = 0;
  for (const piece of pieces) {
    const wanted = piece.replaceAll(/[ \t]+/g, ' ');
    const at = text.indexOf(wanted, from);
    if (at === -1) return piece;
    from = at + wanted.length;
  }
  return undefined;
}

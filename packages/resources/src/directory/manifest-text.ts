// SPDX-License-Identifier: Apache-2.0
/*
 * Manifests in the text of one file: YAML or JSON, several documents, `List` kinds unfolded, each object with a way back to its lines so
 * that a fault can be shown where it stands. Pure: no file is read here.
 */
import { isNode, LineCounter, parseAllDocuments } from 'yaml';
import type { Document } from 'yaml';

import { isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';

/** Aliases that one document may resolve to, against documents that expand without bound. */
export const MAX_ALIASES = 1000;

/** One object of a file. */
export interface Manifest {
  readonly object: JsonObject;
  /** The line (from 1) of a field error's path (`spec.rules[0].name`), or of the nearest field above it that is there. */
  lineOf(path: string): number;
}

/** A fault that keeps a file from being read. */
export interface TextFault {
  readonly line: number;
  readonly reason: string;
}

type Path = readonly (string | number)[];

/** The steps of a field error's path. Keys with dots in them are found by `lineOf` only down to their parent. */
function stepsOf(path: string): Path {
  return path
    .split(/[.[\]]+/)
    .filter((step) => step !== '' && step !== '<nil>')
    .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
}

function lineAt(document: Document.Parsed, lines: LineCounter, base: Path, path: string): number {
  const steps = stepsOf(path);
  for (let depth = steps.length; depth >= 0; depth -= 1) {
    const full = [...base, ...steps.slice(0, depth)];
    const node: unknown = full.length === 0 ? document.contents : document.getIn(full, true);
    if (isNode(node) && node.range !== undefined && node.range !== null) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

function unfold(document: Document.Parsed, lines: LineCounter, value: unknown, base: Path): readonly Manifest[] | TextFault {
  if (value === null || value === undefined) return [];
  if (!isJsonObject(value))
    return { line: lineAt(document, lines, base, ''), reason: 'a manifest must be an object with apiVersion and kind' };
  const { kind, items } = value;
  if (typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items)) {
    const manifests: Manifest[] = [];
    for (const [index, item] of items.entries()) {
      const unfolded = unfold(document, lines, item, [...base, 'items', index]);
      if (!isManifests(unfolded)) return unfolded;
      manifests.push(...unfolded);
    }
    return manifests;
  }
  return [{ object: value, lineOf: (path) => lineAt(document, lines, base, path) }];
}

function isManifests(value: readonly Manifest[] | TextFault): value is readonly Manifest[] {
  return Array.isArray(value);
}

/** The objects in the text of a file, or the first fault. Empty documents do not count. */
export function parseManifests(text: string): { readonly manifests: readonly Manifest[] } | { readonly fault: TextFault } {
  const lines = new LineCounter();
  // Later duplicates of a key would silently win, so they are faults; they are by default.
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const manifests: Manifest[] = [];
  for (const document of documents) {
    const [error] = document.errors;
    if (error !== undefined) return { fault: { line: lines.linePos(error.pos[0]).line, reason: error.message } };
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (cause) {
      return { fault: { line: lineAt(document, lines, [], ''), reason: cause instanceof Error ? cause.message : String(cause) } };
    }
    const unfolded = unfold(document, lines, value, []);
    if (!isManifests(unfolded)) return { fault: unfolded };
    manifests.push(...unfolded);
  }
  return { manifests };
}

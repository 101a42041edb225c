// SPDX-License-Identifier: Apache-2.0
/*
 * Documents of a manifest's text, read as kubectl reads them (YAML 1.1 without timestamps, sexagesimal numbers and binary) and written back:
 * one that was not changed keeps its comments and its layout.
 */
import { parseAllDocuments, stringify, type Document, type DocumentOptions, type ParseOptions, type SchemaOptions, type Tags } from 'yaml';
import { CommandFailure } from '../command-context.ts';
import type { ManifestText } from './read-sources.ts';

/** A JSON object. */
export type ManifestObject = Readonly<Record<string, unknown>>;

/** One document that holds an object. */
export interface ManifestDocument {
  readonly object: ManifestObject;
  /** As it was written. */
  readonly original: string;
}

/** Nodes that aliases of one document may stand for. */
const MAX_ALIASES = 10_000;

const LEFT_OUT: ReadonlySet<string> = new Set(['timestamp', 'binary', 'omap', 'pairs', 'set'].map((name) => `tag:yaml.org,2002:${name}`));

const OPTIONS: ParseOptions & DocumentOptions & SchemaOptions = {
  version: '1.1',
  merge: true,
  prettyErrors: true,
  customTags: (tags: Tags): Tags =>
    tags.filter((tag) => typeof tag === 'string' || !(LEFT_OUT.has(tag.tag) || ('format' in tag && tag.format === 'TIME'))),
};

/** The documents of a text; empty ones are left out. Throws CommandFailure that names the place of a fault. */
export function readDocuments({ name, text }: ManifestText): ManifestDocument[] {
  const parsed = parseAllDocuments(text, OPTIONS);
  const documents: readonly Document.Parsed[] = Array.isArray(parsed) ? parsed : [];
  return documents.flatMap((document) => {
    const [fault] = document.errors;
    if (fault !== undefined) throw new CommandFailure(`${name}: ${fault.message}`);
    const value = valueOf(document, name);
    if (value === null || value === undefined) return [];
    if (typeof value !== 'object' || Array.isArray(value)) throw new CommandFailure(`${name}: a document is no object`);
    return [{ object: value as ManifestObject, original: document.toString({ lineWidth: 0, directives: false }) }];
  });
}

/** An object as a document, its fields in their order. */
export function writeDocument(object: ManifestObject): string {
  return stringify(object, { ...OPTIONS, lineWidth: 0, aliasDuplicateObjects: false });
}

function valueOf(document: Document.Parsed, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new CommandFailure(`${name}: ${error instanceof Error ? error.message : String(error)}`, 1, { cause: error });
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * YAML as Kubernetes' tools read and write it: version 1.1 with its many booleans and merge keys, but no timestamps, sexagesimal numbers
 * or binary tags; keys sorted on the way out.
 */
import {
  Document,
  parseAllDocuments,
  parseDocument,
  visit,
  type DocumentOptions,
  type ParseOptions,
  type ScalarTag,
  type SchemaOptions,
  type Tags,
} from 'yaml';
import { ChartError } from './errors.ts';
import { type Data, isDictionary, sortedKeys } from './template/data.ts';

/** Aliases of one document may stand for at most so many nodes. */
const MAX_ALIAS_COUNT = 10_000;

const LEFT_OUT = new Set([
  'tag:yaml.org,2002:timestamp',
  'tag:yaml.org,2002:binary',
  'tag:yaml.org,2002:omap',
  'tag:yaml.org,2002:pairs',
  'tag:yaml.org,2002:set',
]);

/** The library takes `.` and `+.` for numbers. */
const FLOAT = /^[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)$/;

const OPTIONS: ParseOptions & DocumentOptions & SchemaOptions = {
  version: '1.1',
  merge: true,
  prettyErrors: true,
  customTags: (tags: Tags): Tags =>
    tags.flatMap((tag): Tags => {
      if (typeof tag === 'string') return [tag];
      const { format } = tag as { format?: string };
      if (LEFT_OUT.has(tag.tag) || format === 'TIME') return [];
      const isFloat = tag.tag === 'tag:yaml.org,2002:float' && format === undefined && isPlainFloat(tag);
      return [isFloat ? ({ ...tag, test: FLOAT } as ScalarTag) : tag];
    }),
};

/** Whether a tag is that of floats without an exponent; those of infinity and of exponents are right. */
function isPlainFloat(tag: { readonly test?: RegExp }): boolean {
  return tag.test?.test('.') === true;
}

/** Text that some YAML reader could take for a number. */
const NUMBER_LIKE = /^[-+]?[0-9.][0-9a-fA-FxXoO_.+-]*$/;

/** Reads one document; throws `ERR_CHART_VALUES` with `source` and the place. */
export function parseYaml(source: string, name: string): Data {
  const document = parseDocument(source, OPTIONS);
  const [problem] = document.errors;
  if (problem !== undefined) throw new ChartError('ERR_CHART_VALUES', `${name}: ${problem.message}`);
  return (document.toJS({ maxAliasCount: MAX_ALIAS_COUNT }) ?? null) as Data;
}

/** Reads every document of a stream, without the empty ones. */
export function parseYamlStream(source: string, name: string): Data[] {
  const documents = parseAllDocuments(source, OPTIONS);
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const [problem] = document.errors;
    if (problem !== undefined) throw new ChartError('ERR_CHART_TEMPLATE', `${name} is not YAML after rendering: ${problem.message}`);
    const value = (document.toJS({ maxAliasCount: MAX_ALIAS_COUNT }) ?? null) as Data;
    return value === null ? [] : [value];
  });
}

/** Writes a value with sorted keys and without line folding; ends with a newline. */
export function writeYaml(value: Data): string {
  const document = new Document(ordered(value), {
    version: '1.1',
    customTags: OPTIONS.customTags ?? null,
    aliasDuplicateObjects: false,
  });
  visit(document, {
    Scalar: (_, node) => {
      if (typeof node.value === 'string' && NUMBER_LIKE.test(node.value)) node.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString({ lineWidth: 0, indentSeq: false, nullStr: 'null', directives: false });
}

/** JSON as Go writes it: sorted keys, no spaces, `<`, `>` and `&` escaped. */
export function writeJson(value: Data): string {
  return JSON.stringify(ordered(value)).replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Sorted copy; integers become numbers. */
function ordered(value: Data): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(ordered);
  if (!isDictionary(value)) return value;
  return Object.fromEntries(sortedKeys(value).map((key) => [key, ordered(value[key] ?? null)]));
}

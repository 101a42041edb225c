// SPDX-License-Identifier: Apache-2.0
/*
 * Text: printing, quoting, trimming, indenting, and the encodings that charts need.
 */
import { createHash } from 'node:crypto';
import { DataError, kindOf, printed, text, type Data } from '../template/data.ts';
import { asInteger, asList, asString, type TemplateFunction } from './types.ts';

/** Indentation and padding are bounded, so that no value can ask for gigabytes. */
const MAX_INDENT = 1_000;

const onText = (name: string, summary: string, map: (value: string) => Data): TemplateFunction => ({
  name,
  arity: [1, 1],
  summary,
  call: ([value]) => map(asString(value, 'the text')),
});

const onTwo = (name: string, summary: string, map: (first: string, value: string) => Data): TemplateFunction => ({
  name,
  arity: [2, 2],
  summary,
  call: ([first, value]) => map(asString(first, 'the first argument'), asString(value, 'the text')),
});

/** See the file's head. */
export const STRINGS: readonly TemplateFunction[] = [
  {
    name: 'printf',
    arity: [1, Infinity],
    summary: 'formatted text: %s %d %q %v %t %%',
    call: ([format, ...args]) => formatted(asString(format, 'the format'), args),
  },
  {
    name: 'print',
    arity: [1, Infinity],
    summary: 'texts joined; with a space between two that are no strings',
    call: (args) =>
      args
        .map((arg, index) => (index > 0 && typeof arg !== 'string' && typeof args[index - 1] !== 'string' ? ' ' : '') + text(arg))
        .join(''),
  },
  {
    name: 'quote',
    arity: [1, Infinity],
    summary: 'in double quotes; nothing for a missing value',
    call: (args) =>
      args
        .filter((arg) => arg !== null)
        .map((arg) => goQuoted(text(arg)))
        .join(' '),
  },
  {
    name: 'squote',
    arity: [1, Infinity],
    summary: 'in single quotes; nothing for a missing value',
    call: (args) =>
      args
        .filter((arg) => arg !== null)
        .map((arg) => `'${text(arg)}'`)
        .join(' '),
  },
  onText('trim', 'without white space at both ends', (value) => value.trim()),
  onText('upper', 'in capitals', (value) => value.toUpperCase()),
  onText('lower', 'in small letters', (value) => value.toLowerCase()),
  onText('b64enc', 'in base64', (value) => Buffer.from(value).toString('base64')),
  onText('sha256sum', 'the SHA-256 digest in hexadecimal', (value) => createHash('sha256').update(value).digest('hex')),
  onTwo('trimSuffix', 'without that end', (suffix, value) =>
    suffix !== '' && value.endsWith(suffix) ? value.slice(0, -suffix.length) : value,
  ),
  onTwo('trimPrefix', 'without that beginning', (prefix, value) => (value.startsWith(prefix) ? value.slice(prefix.length) : value)),
  onTwo('hasPrefix', 'whether it begins so', (prefix, value) => value.startsWith(prefix)),
  onTwo('hasSuffix', 'whether it ends so', (suffix, value) => value.endsWith(suffix)),
  onTwo('contains', 'whether it has that text in it', (part, value) => value.includes(part)),
  onTwo('splitList', 'its parts between separators', (separator, value) => value.split(separator)),
  onTwo('split', 'its parts between separators, as the map _0, _1, …', (separator, value) =>
    Object.fromEntries(value.split(separator).map((part, index) => [`_${index}`, part])),
  ),
  {
    name: 'join',
    arity: [2, 2],
    summary: 'a list as one text',
    call: ([separator, list]) =>
      asList(list, 'the list')
        .map((item) => (item === null ? '' : text(item)))
        .join(asString(separator, 'the separator')),
  },
  {
    name: 'replace',
    arity: [3, 3],
    summary: 'with every occurrence of the first replaced by the second',
    call: ([from, to, value]) =>
      asString(value, 'the text').replaceAll(asString(from, 'the first argument'), () => asString(to, 'the second argument')),
  },
  {
    name: 'trunc',
    arity: [2, 2],
    summary: 'its first bytes; with a negative count its last',
    call: ([count, value]) => {
      const bytes = Buffer.from(asString(value, 'the text'));
      const length = asInteger(count, 'the count');
      const cut = (length < 0 ? bytes.subarray(Math.max(0, bytes.length + length)) : bytes.subarray(0, length)).toString();
      if (cut.includes('\u{fffd}')) throw new DataError('trunc would cut a character in two');
      return cut;
    },
  },
  { name: 'indent', arity: [2, 2], summary: 'with spaces before every line', call: ([count, value]) => indented(count, value) },
  { name: 'nindent', arity: [2, 2], summary: 'as indent, on a new line', call: ([count, value]) => `\n${indented(count, value)}` },
];

function indented(count: Data | undefined, value: Data | undefined): string {
  const width = asInteger(count, 'the width');
  if (width < 0 || width > MAX_INDENT) throw new DataError(`an indentation of ${width} is outside 0 … ${MAX_INDENT}`);
  const pad = ' '.repeat(width);
  return pad + asString(value, 'the text').replaceAll('\n', `\n${pad}`);
}

/** Go's %q for the characters that occur in charts: control characters as escapes, everything else as it is. */
function goQuoted(value: string): string {
  const escaped = value.replace(/["\\]/g, '\\$&').replace(/[\u0000-\u001f\u007f]/g, (char) => {
    const short = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '\b': '\\b', '\f': '\\f', '\v': '\\v', '\u0007': '\\a' }[char];
    return short ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return `"${escaped}"`;
}

function formatted(format: string, args: readonly Data[]): string {
  let next = 0;
  const result = format.replace(/%(.?)/gs, (_, verb: string) => {
    if (verb === '%') return '%';
    if (next >= args.length) throw new DataError(`printf: no argument for %${verb}`);
    const arg = args[next++] ?? null;
    switch (verb) {
      case 's':
        return asString(arg, 'the argument of %s');
      case 'q':
        return goQuoted(asString(arg, 'the argument of %q'));
      case 'd':
        if (typeof arg !== 'bigint') throw new DataError(`printf: %d needs an integer, not ${kindOf(arg)}: use (int …)`);
        return String(arg);
      case 't':
        if (typeof arg !== 'boolean') throw new DataError(`printf: %t needs a boolean, not ${kindOf(arg)}`);
        return String(arg);
      case 'v':
        if (arg === null) throw new DataError('printf: %v of nothing');
        return printed(arg);
      default:
        throw new DataError(`printf: %${verb} is outside the subset`);
    }
  });
  if (next < args.length) throw new DataError('printf: more arguments than verbs');
  return result;
}

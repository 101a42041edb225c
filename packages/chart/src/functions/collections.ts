// SPDX-License-Identifier: Apache-2.0
/*
 * Lists and maps, and their YAML and JSON. As in sprig, `set`, `unset` and `merge` change the map that they are given.
 */
import { copyOf, DataError, isDictionary, isEmpty, isEqual, setKey, text, type Data, type Dictionary } from '../template/data.ts';
import { parseYaml, writeJson, writeYaml } from '../yaml-text.ts';
import { asDictionary, asInteger, asList, asString, type TemplateFunction } from './types.ts';

/** See the file's head. */
export const COLLECTIONS: readonly TemplateFunction[] = [
  { name: 'list', arity: [0, Infinity], summary: 'a list of the arguments', call: (args) => [...args] },
  {
    name: 'concat',
    arity: [1, Infinity],
    summary: 'lists joined',
    call: (args) => args.flatMap((list) => [...asList(list, 'every argument')]),
  },
  {
    name: 'has',
    arity: [2, 2],
    summary: 'whether a list holds a value',
    call: ([value, list]) => asList(list, 'the list').some((item) => isEqual(item, value ?? null)),
  },
  {
    name: 'dict',
    arity: [0, Infinity],
    summary: 'a map of keys and values',
    call: (args) => {
      const dictionary: Dictionary = {};
      for (let at = 0; at < args.length; at += 2) setKey(dictionary, text(args[at] ?? ''), args[at + 1] ?? '');
      return dictionary;
    },
  },
  {
    name: 'get',
    arity: [2, 2],
    summary: 'the value of a key, or empty text',
    call: ([map, key]) => own(asDictionary(map, 'the map'), asString(key, 'the key')) ?? '',
  },
  {
    name: 'hasKey',
    arity: [2, 2],
    summary: 'whether a map has a key',
    call: ([map, key]) => Object.hasOwn(asDictionary(map, 'the map'), asString(key, 'the key')),
  },
  {
    name: 'set',
    arity: [3, 3],
    summary: 'sets a key of a map',
    call: ([map, key, value]) => {
      const dictionary = asDictionary(map, 'the map');
      setKey(dictionary, asString(key, 'the key'), value ?? null);
      return dictionary;
    },
  },
  {
    name: 'unset',
    arity: [2, 2],
    summary: 'takes a key out of a map',
    call: ([map, key]) => {
      const dictionary = asDictionary(map, 'the map');
      delete dictionary[asString(key, 'the key')];
      return dictionary;
    },
  },
  {
    name: 'merge',
    arity: [1, Infinity],
    summary: 'fills what the first map lacks from the others, maps in maps too',
    call: ([target, ...sources]) => {
      const dictionary = asDictionary(target, 'the first map');
      for (const source of sources) fill(dictionary, asDictionary(source, 'every argument'));
      return dictionary;
    },
  },
  { name: 'deepCopy', arity: [1, 1], summary: 'a copy that shares nothing', call: ([value]) => copyOf(value ?? null) },
  {
    name: 'until',
    arity: [1, 1],
    summary: 'the integers from 0 up to a count',
    call: ([count]) => Array.from({ length: bounded(asInteger(count, 'the count')) }, (_, index) => BigInt(index)),
  },
  { name: 'toYaml', arity: [1, 1], summary: 'as YAML', call: ([value]) => writeYaml(value ?? null).replace(/\n$/, '') },
  {
    name: 'fromYaml',
    arity: [1, 1],
    summary: 'a map from YAML',
    call: ([source]) => asDictionary(parseYaml(asString(source, 'the text'), 'fromYaml'), 'the YAML'),
  },
  { name: 'toJson', arity: [1, 1], summary: 'as JSON', call: ([value]) => writeJson(value ?? null) },
];

/** `until` makes at most so many. */
const MAX_COUNT = 10_000;

function bounded(count: number): number {
  if (count > MAX_COUNT) throw new DataError(`until: ${count} is more than ${MAX_COUNT}`);
  return Math.max(0, count);
}

function own(dictionary: Dictionary, key: string): Data | undefined {
  return Object.hasOwn(dictionary, key) ? dictionary[key] : undefined;
}

/** What is empty in the target counts as missing, as in sprig's mergo; numbers are never replaced. */
function fill(target: Dictionary, source: Dictionary): void {
  for (const [key, value] of Object.entries(source)) {
    const present = own(target, key);
    if (present === undefined || (typeof present !== 'number' && isEmpty(present))) setKey(target, key, value);
    else if (isDictionary(present) && isDictionary(value)) fill(present, value);
  }
}

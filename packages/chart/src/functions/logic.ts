// SPDX-License-Identifier: Apache-2.0
/*
 * Comparison, choice and failure: Go's built-in functions and sprig's defaults. `and` and `or` are in the engine, as they leave arguments
 * unevaluated.
 */
import { DataError, isEmpty, isEqual, isTrue, order, text, type Data } from '../template/data.ts';
import { satisfies } from '../semantic-version.ts';
import { asString, type TemplateFunction } from './types.ts';

const ordered = (name: string, summary: string, holds: (result: number) => boolean): TemplateFunction => ({
  name,
  arity: [2, 2],
  summary,
  call: ([a, b]) => holds(order(a ?? null, b ?? null)),
});

/** See the file's head. */
export const LOGIC: readonly TemplateFunction[] = [
  { name: 'not', arity: [1, 1], summary: 'the opposite truth', call: ([value]) => !isTrue(value ?? null) },
  {
    name: 'eq',
    arity: [2, Infinity],
    summary: 'whether the first equals any other',
    call: ([first, ...others]) => others.some((other) => isEqual(first ?? null, other)),
  },
  { name: 'ne', arity: [2, 2], summary: 'whether two differ', call: ([a, b]) => !isEqual(a ?? null, b ?? null) },
  ordered('lt', 'less than', (result) => result < 0),
  ordered('le', 'less or equal', (result) => result <= 0),
  ordered('gt', 'greater than', (result) => result > 0),
  ordered('ge', 'greater or equal', (result) => result >= 0),
  {
    name: 'default',
    arity: [2, 2],
    summary: 'the second, or the first where that is empty',
    call: ([fallback, value]) => (isEmpty(value ?? null) ? (fallback ?? null) : (value ?? null)),
  },
  { name: 'empty', arity: [1, 1], summary: 'whether a value is empty', call: ([value]) => isEmpty(value ?? null) },
  {
    name: 'coalesce',
    arity: [1, Infinity],
    summary: 'the first that is not empty',
    call: (args) => args.find((value) => !isEmpty(value)) ?? null,
  },
  {
    name: 'ternary',
    arity: [3, 3],
    summary: 'the first where the third is true, else the second',
    call: ([yes, no, test]) => {
      if (typeof test !== 'boolean') throw new DataError('the test of ternary must be a boolean');
      return (test ? yes : no) ?? null;
    },
  },
  {
    name: 'required',
    arity: [2, 2],
    summary: 'the second; ends with the message where that is missing or empty text',
    call: ([message, value]) => {
      if (value === null || value === undefined || value === '') throw new DataError(asString(message, 'the message'));
      return value;
    },
  },
  {
    name: 'fail',
    arity: [1, 1],
    summary: 'ends the render with a message',
    call: ([message]) => {
      throw new DataError(asString(message, 'the message'));
    },
  },
  {
    name: 'semverCompare',
    arity: [2, 2],
    summary: 'whether a version fulfils a constraint',
    call: ([constraint, version]) => satisfies(asString(version, 'the version'), asString(constraint, 'the constraint')),
  },
  { name: 'lookup', arity: [4, 4], summary: 'always an empty map: nothing is read from the cluster', call: () => ({}) },
  {
    name: 'int',
    arity: [1, 1],
    summary: 'an integer, from a number or text; 0 for anything else',
    call: ([value]) => integer(value ?? null),
  },
  { name: 'int64', arity: [1, 1], summary: 'as int', call: ([value]) => integer(value ?? null) },
  {
    name: 'toString',
    arity: [1, 1],
    summary: 'a scalar as text',
    call: ([value]) => {
      if (value === null || value === undefined) throw new DataError('nothing has no text');
      return text(value);
    },
  },
];

function integer(value: Data): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return BigInt(Math.trunc(value));
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'string' && /^[+-]?(0|[1-9]\d*)$/.test(value)) return BigInt(value);
  return 0n;
}

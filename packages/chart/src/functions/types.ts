// SPDX-License-Identifier: Apache-2.0
/*
 * What a template function is, and how it takes its arguments apart. A wrong argument throws a `DataError`; the engine adds file and line.
 */
import { DataError, type Data, type Dictionary, isDictionary, kindOf } from '../template/data.ts';

/** What functions may ask of the running render. */
export interface FunctionContext {
  /** Runs a named template. */
  include(name: string, dot: Data): string;
  /** Runs a string as a template. */
  renderText(source: string, dot: Data): string;
  /** A file of the chart, '' where there is none. */
  file(path: string): string;
  /** Whether the cluster serves an API version, or a kind of it (`policy/v1`, `policy/v1/PodDisruptionBudget`). */
  hasApiVersion(version: string): boolean;
}

/** A function of the subset. */
export interface TemplateFunction {
  readonly name: string;
  /** How many arguments it takes at least, and at most (Infinity: any number). */
  readonly arity: readonly [number, number];
  /** One line for the reference page. */
  readonly summary: string;
  readonly call: (args: readonly Data[], context: FunctionContext) => Data;
}

/** The argument as a string. */
export function asString(value: Data | undefined, name: string): string {
  if (typeof value === 'string') return value;
  throw new DataError(`${name} must be a string, not ${kindOf(value ?? null)}`);
}

/** The argument as a list. */
export function asList(value: Data | undefined, name: string): readonly Data[] {
  if (Array.isArray(value)) return value as readonly Data[];
  throw new DataError(`${name} must be a list, not ${kindOf(value ?? null)}`);
}

/** The argument as a map. */
export function asDictionary(value: Data | undefined, name: string): Dictionary {
  if (value !== undefined && isDictionary(value)) return value;
  throw new DataError(`${name} must be a map, not ${kindOf(value ?? null)}`);
}

/** The argument as an integer made by a template. */
export function asInteger(value: Data | undefined, name: string): number {
  if (typeof value === 'bigint') return Number(value);
  throw new DataError(`${name} must be an integer, not ${kindOf(value ?? null)}`);
}

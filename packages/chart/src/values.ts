// SPDX-License-Identifier: Apache-2.0
/*
 * Merging of values, as Helm does it: maps are merged, everything else replaced, and null takes a default away.
 */
import { type Chart, chartValuesFile } from './chart.ts';
import { copyOf, type Data, type Dictionary, isDictionary, setKey } from './template/data.ts';

/** A chart's defaults, without those that are null (Helm drops them). */
export function defaultValues(chart: Chart): Dictionary {
  return withoutNulls(copyOf(chart.values));
}

/** The overrides of values-ha.yaml. */
export function haValues(chart: Chart): Dictionary {
  return chartValuesFile(chart, 'values-ha.yaml');
}

/**
 * Layers of values over each other, the last strongest, as several `-f` files: nulls are kept, so that they can take away defaults of the
 * chart later on. Nothing is shared with the arguments.
 */
export function mergeValues(...layers: readonly Dictionary[]): Dictionary {
  const result: Dictionary = {};
  for (const layer of layers) overlay(result, copyOf(layer));
  return result;
}

/** What templates see: the chart's defaults under the given values. `warnings` has a line for each value that was left out. */
export function coalesceValues(chart: Chart, given: Dictionary): { values: Dictionary; warnings: string[] } {
  const warnings: string[] = [];
  const values = copyOf(given);
  for (const [key, fallback] of Object.entries(copyOf(chart.values))) {
    if (!Object.hasOwn(values, key)) {
      if (fallback !== null) setKey(values, key, isDictionary(fallback) ? withoutNulls(fallback) : fallback);
      continue;
    }
    const value = values[key] ?? null;
    if (value === null) delete values[key];
    else if (isDictionary(value) && isDictionary(fallback)) fill(value, withoutNulls(fallback), key, warnings);
  }
  return { values, warnings };
}

/** Keys of the given values that no default has, by dotted path: probably misspelt. Maps that are free-form by default are not looked into. */
export function unknownValues(chart: Chart, given: Dictionary): string[] {
  const unknown: string[] = [];
  const definitions = member(chart.schema, 'definitions');
  const properties = (schema: Dictionary | undefined): Dictionary | undefined => {
    const reference = schema?.['$ref'];
    const resolved = typeof reference === 'string' ? member(definitions, reference.slice('#/definitions/'.length)) : schema;
    return member(resolved, 'properties');
  };
  const visit = (values: Dictionary, known: Dictionary | undefined, schema: Dictionary | undefined, path: string): void => {
    const described = properties(schema);
    for (const [key, value] of Object.entries(values)) {
      const isDescribed = described !== undefined && Object.hasOwn(described, key);
      const isDefault = known !== undefined && Object.hasOwn(known, key);
      if (!isDescribed && !isDefault && path + key !== 'global') {
        unknown.push(path + key);
        continue;
      }
      const fallback = known?.[key];
      const inner = described?.[key];
      const next = inner !== undefined && isDictionary(inner) ? inner : undefined;
      // A map that is empty by default and undescribed takes any key.
      const isOpen =
        properties(next) === undefined && (fallback === undefined || !isDictionary(fallback) || Object.keys(fallback).length === 0);
      const isFree = next !== undefined && properties(next) === undefined;
      if (isDictionary(value) && !isOpen && !isFree) {
        visit(value, fallback !== undefined && isDictionary(fallback) ? fallback : undefined, next, `${path}${key}.`);
      }
    }
  };
  visit(given, chart.values, chart.schema, '');
  return unknown;
}

function member(object: Dictionary | undefined, key: string): Dictionary | undefined {
  const found = object?.[key];
  return found !== undefined && isDictionary(found) ? found : undefined;
}

function overlay(target: Dictionary, source: Dictionary): void {
  for (const [key, value] of Object.entries(source)) {
    const present = Object.hasOwn(target, key) ? (target[key] ?? null) : null;
    if (isDictionary(value) && isDictionary(present)) overlay(present, value);
    else setKey(target, key, value);
  }
}

/** Puts defaults into given values; a null given for a default takes it away. */
function fill(target: Dictionary, defaults: Dictionary, path: string, warnings: string[]): void {
  for (const [key, fallback] of Object.entries(defaults)) {
    const place = `${path}.${key}`;
    if (!Object.hasOwn(target, key)) {
      setKey(target, key, fallback);
      continue;
    }
    const value: Data = target[key] ?? null;
    if (value === null) delete target[key];
    else if (isDictionary(fallback) && isDictionary(value)) fill(value, fallback, place, warnings);
    else if (isDictionary(fallback) !== isDictionary(value)) {
      warnings.push(
        `${place} is ${isDictionary(fallback) ? 'a map by default, and no map is given' : 'no map by default, and a map is given'}`,
      );
    }
  }
}

function withoutNulls(values: Dictionary): Dictionary {
  for (const [key, value] of Object.entries(values)) {
    if (value === null) delete values[key];
    else if (isDictionary(value)) withoutNulls(value);
  }
  return values;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Validation of values against a chart's values.schema.json (JSON Schema, draft 7), with messages that name the value and say what it may be.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Chart } from './chart.ts';
import { ChartError } from './errors.ts';
import type { Dictionary } from './template/data.ts';

/** Compiling a schema takes longer than rendering. */
const validators = new WeakMap<Dictionary, ValidateFunction>();

/** Throws `ERR_CHART_SCHEMA` with a line for each value that is wrong. */
export function validateValues(chart: Chart, values: Dictionary): void {
  if (chart.schema === undefined) return;
  let validate = validators.get(chart.schema);
  if (validate === undefined) {
    validate = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, verbose: true }).compile(chart.schema);
    validators.set(chart.schema, validate);
  }
  if (validate(values)) return;
  const problems = new Set((validate.errors ?? []).filter((error) => error.keyword !== 'if').map(problemOf));
  throw new ChartError('ERR_CHART_SCHEMA', [...problems]);
}

/** Longest text of a value in a message, in UTF-16 code units. */
const MAX_SHOWN_UNITS = 60;

function problemOf(error: ErrorObject): string {
  const path = error.instancePath.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');
  const name = path === '' ? 'the values' : path;
  const json = JSON.stringify(error.data) ?? 'undefined';
  // A key pasted into the wrong place must not end up in a terminal's history.
  const shown = /PEM$|\.caBundle$/.test(path) || json.includes('PRIVATE KEY') ? 'what was given' : shorten(json);
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'type':
      return `${name} must be of type ${String(params['type'])}, not ${shown}`;
    case 'enum':
      return `${name} must be one of ${(params['allowedValues'] as unknown[]).map((value) => JSON.stringify(value)).join(', ')}, not ${shown}`;
    case 'pattern':
      return `${name} must match ${String(params['pattern'])}, not ${shown}`;
    case 'not':
      return `${name} holds a private key: only certificates belong there`;
    case 'required':
      return `${name} lacks ${String(params['missingProperty'])}`;
    default:
      return `${name} ${error.message ?? 'is wrong'}, not ${shown}`;
  }
}

function shorten(text: string): string {
  return text.length <= MAX_SHOWN_UNITS ? text : `${text.slice(0, MAX_SHOWN_UNITS)}…`;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Checks a pruned and defaulted object against its schema. Paths and messages are those of an API server, since users meet them in
 * kubectl (captured verdicts are among the tests). Stops after MAX_ERRORS. Source: apiextensions/v1 JSONSchemaProps.
 */
import type { FieldError } from '../errors.ts';
import { equalJson, isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import { hasFormat } from './formats.ts';
import type { StructuralSchema } from './structural-schema.ts';

/** Errors reported for one object at most. */
export const MAX_ERRORS = 100;

/** What is wrong with `object`; empty when it satisfies the schema. */
export function schemaErrors(schema: StructuralSchema, object: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  checkValue(schema, '', object, errors);
  return errors.slice(0, MAX_ERRORS);
}

function invalid(path: string, value: unknown, text: string): FieldError {
  return { path, reason: 'FieldValueInvalid', message: `Invalid value: ${show(value)}: ${text}` };
}

/** Values are shown as JSON; objects and lists by their type, as API servers do. */
function show(value: unknown): string {
  if (Array.isArray(value)) return '"array"';
  return isJsonObject(value) ? '"object"' : JSON.stringify(value);
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function hasType(schema: StructuralSchema, value: unknown): boolean {
  const actual = typeName(value);
  if (value === null && schema.nullable) return true;
  if (schema.intOrString) return actual === 'integer' || actual === 'string';
  return schema.type === undefined || schema.type === actual || (schema.type === 'number' && actual === 'integer');
}

function checkValue(schema: StructuralSchema, path: string, value: unknown, errors: FieldError[]): void {
  if (errors.length >= MAX_ERRORS) return;
  if (!hasType(schema, value)) {
    const wanted = schema.intOrString ? 'integer,string' : String(schema.type);
    const actual = typeName(value);
    errors.push({
      path: path === '' ? '<nil>' : path,
      reason: 'FieldValueTypeInvalid',
      message: `Invalid value: "${actual}": ${path} in body must be of type ${wanted}: "${actual}"`,
    });
    return;
  }
  if (value === null) return;
  if (schema.enum !== undefined && !schema.enum.some((allowed) => equalJson(allowed, value))) {
    const names = schema.enum.map((allowed) => JSON.stringify(allowed)).join(', ');
    errors.push({ path, reason: 'FieldValueNotSupported', message: `Unsupported value: ${show(value)}: supported values: ${names}` });
  }
  checkCombinations(schema, path, value, errors);
  if (typeof value === 'string') checkString(schema, path, value, errors);
  else if (typeof value === 'number') checkNumber(schema, path, value, errors);
  else if (Array.isArray(value)) checkList(schema, path, value, errors);
  else if (isJsonObject(value)) checkObject(schema, path, value, errors);
  for (const rule of schema.rules) {
    if (!rule.holds(value)) errors.push({ path, reason: 'FieldValueInvalid', message: `Invalid value: ${rule.message}` });
  }
}

function checkString(schema: StructuralSchema, path: string, value: string, errors: FieldError[]): void {
  // Length by code points, as the schema counts; patterns only run on strings that are not over-long.
  const length = Array.from(value).length;
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    errors.push({ path, reason: 'FieldValueTooLong', message: `Too long: may not be more than ${schema.maxLength} bytes` });
    return;
  }
  if (schema.minLength !== undefined && length < schema.minLength) {
    errors.push(invalid(path, value, `${path} in body should be at least ${schema.minLength} chars long`));
  }
  if (schema.pattern !== undefined && !schema.pattern.test(value)) {
    errors.push(invalid(path, value, `${path} in body should match '${schema.pattern.source.replaceAll('\\/', '/')}'`));
  }
  if (schema.format !== undefined && !hasFormat(schema.format, value)) {
    errors.push(invalid(path, value, `${path} in body must be of type ${schema.format}: ${JSON.stringify(value)}`));
  }
}

function checkNumber(schema: StructuralSchema, path: string, value: number, errors: FieldError[]): void {
  if (schema.minimum !== undefined && value < schema.minimum) {
    errors.push(invalid(path, value, `${path} in body should be greater than or equal to ${schema.minimum}`));
  }
  if (schema.maximum !== undefined && value > schema.maximum) {
    errors.push(invalid(path, value, `${path} in body should be less than or equal to ${schema.maximum}`));
  }
  if (schema.format === 'int32' && (value < -(2 ** 31) || value > 2 ** 31 - 1)) {
    errors.push(invalid(path, value, `${path} in body must be of type int32: "${value}"`));
  }
}

function checkList(schema: StructuralSchema, path: string, value: readonly unknown[], errors: FieldError[]): void {
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    errors.push({ path, reason: 'FieldValueTooMany', message: `Too many: ${value.length}: must have at most ${schema.maxItems} items` });
  }
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    errors.push(invalid(path, value.length, `${path} in body should have at least ${schema.minItems} items`));
  }
  if (schema.listType === 'set' || schema.listType === 'map') checkDuplicates(schema, path, value, errors);
  if (schema.items === undefined) return;
  for (const [index, item] of value.entries()) checkValue(schema.items, `${path}[${index}]`, item, errors);
}

function checkDuplicates(schema: StructuralSchema, path: string, value: readonly unknown[], errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [index, item] of value.entries()) {
    const identity =
      schema.listType === 'map'
        ? Object.fromEntries(schema.listMapKeys.map((key) => [key, isJsonObject(item) ? item[key] : undefined]))
        : item;
    const key = JSON.stringify(identity);
    if (seen.has(key)) errors.push({ path: `${path}[${index}]`, reason: 'FieldValueDuplicate', message: `Duplicate value: ${key}` });
    seen.add(key);
  }
}

function checkObject(schema: StructuralSchema, path: string, value: JsonObject, errors: FieldError[]): void {
  for (const name of schema.required) {
    if (!Object.hasOwn(value, name)) errors.push({ path: joined(path, name), reason: 'FieldValueRequired', message: 'Required value' });
  }
  const size = Object.keys(value).length;
  if (schema.maxProperties !== undefined && size > schema.maxProperties) {
    errors.push({ path, reason: 'FieldValueTooMany', message: `Too many: ${size}: must have at most ${schema.maxProperties} items` });
  }
  if (schema.minProperties !== undefined && size < schema.minProperties) {
    errors.push(invalid(path, value, `${path} in body should have at least ${schema.minProperties} properties`));
  }
  for (const [key, item] of Object.entries(value)) {
    // The envelope is checked by the rules for every kind.
    if (path === '' && (key === 'metadata' || key === 'apiVersion' || key === 'kind')) continue;
    const child = schema.properties.get(key) ?? schema.additional;
    if (child !== undefined) checkValue(child, joined(path, key), item, errors);
  }
}

function joined(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function errorsOf(schema: StructuralSchema, path: string, value: unknown): readonly FieldError[] {
  const errors: FieldError[] = [];
  checkValue(schema, path, value, errors);
  return errors;
}

function checkCombinations(schema: StructuralSchema, path: string, value: unknown, errors: FieldError[]): void {
  for (const part of schema.allOf) checkValue(part, path, value, errors);
  // Combined parts say which fields must be there and have no types of their own (structural schemas).
  if (schema.anyOf.length > 0 && !schema.anyOf.some((part) => errorsOf(part, path, value).length === 0)) {
    errors.push({
      path: '<nil>',
      reason: 'FieldValueInvalid',
      message: `Invalid value: "": "${path}" must validate at least one schema (anyOf)`,
    });
    errors.push(...errorsOf(schema.anyOf[0] as StructuralSchema, path, value));
  }
  if (schema.oneOf.length > 0) {
    const failures = schema.oneOf.map((part) => errorsOf(part, path, value));
    const valid = failures.filter((list) => list.length === 0).length;
    if (valid !== 1) {
      const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`;
      errors.push({
        path: '<nil>',
        reason: 'FieldValueInvalid',
        message: `Invalid value: "": "${path}" must validate one and only one schema (oneOf). ${found}`,
      });
      if (valid === 0) errors.push(...(failures[0] ?? []));
    }
  }
  if (schema.not !== undefined && errorsOf(schema.not, path, value).length === 0) {
    errors.push({ path: '<nil>', reason: 'FieldValueInvalid', message: `Invalid value: "": "${path}" must not validate the schema (not)` });
  }
}

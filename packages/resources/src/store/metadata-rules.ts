// SPDX-License-Identifier: Apache-2.0
/*
 * Rules for names, labels and annotations that hold for every kind, with the messages of an API server (Kubernetes, "Object Names and
 * IDs", "Labels and Selectors", "Annotations"). Patterns are anchored and without nested repetition over the same characters, and names
 * are length-checked first, so matching is cheap on hostile input.
 */
import type { FieldError } from '../errors.ts';
import { isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';

/** Longest DNS-1123 subdomain, the usual limit of `metadata.name`. */
export const MAX_NAME_BYTES = 253;
/** Longest DNS-1123 label: namespaces, label values, the name part of a label key. */
export const MAX_LABEL_BYTES = 63;
/** All annotations of an object together, keys and values. */
export const MAX_ANNOTATIONS_BYTES: number = 256 * 1024;

const LABEL_1123 = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED_NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const LABEL_1123_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character " +
  "(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an " +
  "alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " +
  "alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/** How a kind names its objects. */
export type NameStyle = 'subdomain' | 'label' | 'label-1035';

/** Whether `text` is a DNS-1123 label. */
export function isDnsLabel(text: string): boolean {
  return text.length <= MAX_LABEL_BYTES && LABEL_1123.test(text);
}

/** Whether `text` is a DNS-1123 subdomain; its labels may be long, only the whole is limited (as API servers check it). */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= MAX_NAME_BYTES && text.split('.').every((label) => LABEL_1123.test(label));
}

function invalid(path: string, value: unknown, text: string): FieldError {
  return { path, reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${text}` };
}

/** A field that must be there and is not. */
export function required(path: string, text = ''): FieldError {
  return { path, reason: 'FieldValueRequired', message: text === '' ? 'Required value' : `Required value: ${text}` };
}

function nameErrors(path: string, name: unknown, style: NameStyle): readonly FieldError[] {
  if (typeof name !== 'string' || name === '') return [required(path, 'name or generateName is required')];
  const limit = style === 'subdomain' ? MAX_NAME_BYTES : MAX_LABEL_BYTES;
  if (name.length > limit) return [invalid(path, name, `must be no more than ${limit} characters`)];
  if (style === 'subdomain') return isDnsSubdomain(name) ? [] : [invalid(path, name, SUBDOMAIN_TEXT)];
  if (style === 'label') return isDnsLabel(name) ? [] : [invalid(path, name, LABEL_1123_TEXT)];
  return LABEL_1035.test(name) ? [] : [invalid(path, name, LABEL_1035_TEXT)];
}

/** What is wrong with a qualified key (`prefix/name`), or undefined. */
function qualifiedNameFault(key: string): string | undefined {
  const slash = key.indexOf('/');
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const name = key.slice(slash + 1);
  if (prefix !== undefined && !isDnsSubdomain(prefix)) return `prefix part ${SUBDOMAIN_TEXT}`;
  if (name === '') return 'name part must be non-empty';
  if (name.length > MAX_LABEL_BYTES) return `name part must be no more than ${MAX_LABEL_BYTES} characters`;
  return QUALIFIED_NAME.test(name) ? undefined : QUALIFIED_TEXT;
}

/** What is wrong with a map of labels at `path` (also a selector's `matchLabels`). */
export function labelErrors(path: string, labels: unknown): readonly FieldError[] {
  if (labels === undefined || labels === null) return [];
  if (!isJsonObject(labels)) return [invalid(path, labels, 'must be of type map')];
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(labels)) {
    const fault = qualifiedNameFault(key);
    if (fault !== undefined) errors.push(invalid(path, key, fault));
    if (typeof value !== 'string') errors.push(invalid(`${path}.${key}`, value, 'must be of type string'));
    else if (value.length > MAX_LABEL_BYTES) errors.push(invalid(path, value, `must be no more than ${MAX_LABEL_BYTES} characters`));
    else if (value !== '' && !QUALIFIED_NAME.test(value)) errors.push(invalid(path, value, VALUE_TEXT));
  }
  return errors;
}

function annotationErrors(path: string, annotations: unknown): readonly FieldError[] {
  if (annotations === undefined || annotations === null) return [];
  if (!isJsonObject(annotations)) return [invalid(path, annotations, 'must be of type map')];
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    const fault = qualifiedNameFault(key.toLowerCase());
    if (fault !== undefined) errors.push(invalid(path, key, fault));
    if (typeof value !== 'string') errors.push(invalid(`${path}.${key}`, value, 'must be of type string'));
    else bytes += key.length + value.length;
  }
  if (bytes > MAX_ANNOTATIONS_BYTES) {
    errors.push({ path, reason: 'FieldValueTooLong', message: `Too long: may not be more than ${MAX_ANNOTATIONS_BYTES} bytes` });
  }
  return errors;
}

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  name: (value) => typeof value === 'string',
  namespace: (value) => typeof value === 'string',
  uid: (value) => typeof value === 'string',
  resourceVersion: (value) => typeof value === 'string',
  labels: isJsonObject,
  annotations: isJsonObject,
  finalizers: (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  ownerReferences: (value) =>
    Array.isArray(value) &&
    value.every((item) => isJsonObject(item) && ['apiVersion', 'kind', 'name'].every((field) => typeof item[field] === 'string')),
};

/** The first field of `metadata` that has not even the right type, or undefined; null counts as absent. */
export function mistypedMetadata(metadata: JsonObject): string | undefined {
  return Object.keys(TYPES).find((field) => (metadata[field] ?? undefined) !== undefined && TYPES[field]?.(metadata[field]) === false);
}

/** What is wrong with a set-based label selector at `path`. */
export function labelSelectorErrors(path: string, selector: unknown): readonly FieldError[] {
  if (!isJsonObject(selector)) return [required(path)];
  const { matchLabels, matchExpressions = [] } = selector;
  const errors: FieldError[] = [...labelErrors(`${path}.matchLabels`, matchLabels)];
  if (!Array.isArray(matchExpressions)) return [...errors, invalid(`${path}.matchExpressions`, matchExpressions, 'must be of type list')];
  for (const [index, item] of (matchExpressions as unknown[]).entries()) {
    const { key, operator, values = [] } = isJsonObject(item) ? item : {};
    const at = `${path}.matchExpressions[${index}]`;
    if (typeof key !== 'string') errors.push(required(`${at}.key`));
    if (!['In', 'NotIn', 'Exists', 'DoesNotExist'].includes(operator as string)) {
      errors.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
    }
    if (!Array.isArray(values)) errors.push(invalid(`${at}.values`, values, 'must be of type list'));
  }
  return errors;
}

/** What is wrong with the metadata of an object whose namespace is already filled in. */
export function metadataErrors(metadata: JsonObject, isNamespaced: boolean, style: NameStyle): readonly FieldError[] {
  const errors = [...nameErrors('metadata.name', metadata['name'], style)];
  const namespace = metadata['namespace'];
  if (isNamespaced) errors.push(...nameErrors('metadata.namespace', namespace, 'label'));
  else if (namespace !== '') {
    errors.push({ path: 'metadata.namespace', reason: 'FieldValueForbidden', message: 'Forbidden: not allowed on this type' });
  }
  errors.push(...labelErrors('metadata.labels', metadata['labels']));
  errors.push(...annotationErrors('metadata.annotations', metadata['annotations']));
  return errors;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * `config.linkerd.io/proxy-additional-env`, a JSON list of environment variables (control-contract §4.3, feature ANN-27): merged by name,
 * workload over namespace over installation. An entry that an API server would refuse makes the whole value unusable, since it would
 * take the pod with it.
 */
import { objectOf, textOf } from '../json-object.ts';
import type { EnvValue } from '../values.ts';

/** Variables in one annotation. */
export const MAX_ADDITIONAL_ENV = 256;

/** The variables of an annotation, or what is wrong with it. */
export function parseAdditionalEnv(text: string): readonly EnvValue[] | { readonly error: string } {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return { error: 'is not JSON' };
  }
  if (!Array.isArray(list)) return { error: 'is not a list' };
  if (list.length > MAX_ADDITIONAL_ENV) return { error: `has more than ${MAX_ADDITIONAL_ENV} entries` };
  const variables: EnvValue[] = [];
  for (const [index, item] of list.entries()) {
    const variable = readVariable(item);
    if (typeof variable === 'string') return { error: `entry ${index + 1} ${variable}` };
    variables.push(variable);
  }
  return variables;
}

/** Later lists win; a variable keeps the place where its name came first. */
export function mergeEnv(...lists: readonly (readonly EnvValue[])[]): readonly EnvValue[] {
  const merged = new Map<string, EnvValue>();
  for (const variable of lists.flat()) merged.set(variable.name, variable);
  return [...merged.values()];
}

// The names that API servers accept: printable ASCII but `=`.
const ENV_NAME = /^[\x21-\x3c\x3e-\x7e]{1,256}$/;
const SOURCES: ReadonlySet<string> = new Set(['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef']);

function readVariable(item: unknown): EnvValue | string {
  const entry = objectOf(item);
  const name = textOf(entry['name']);
  if (!ENV_NAME.test(name)) return 'has no valid name';
  const unknown = Object.keys(entry).find((key) => !['name', 'value', 'valueFrom'].includes(key));
  if (unknown !== undefined) return 'has a member other than name, value and valueFrom';
  const { value, valueFrom } = entry;
  if (valueFrom === undefined || valueFrom === null) {
    if (value !== undefined && value !== null && typeof value !== 'string') return 'has a value that is not a text';
    return typeof value === 'string' ? { name, value } : { name };
  }
  if (textOf(value) !== '' || (value !== undefined && value !== null && typeof value !== 'string')) return 'has both value and valueFrom';
  const sources = Object.entries(objectOf(valueFrom));
  if (sources.length !== 1 || !SOURCES.has(sources[0]?.[0] ?? '')) return 'has a valueFrom that names no single source';
  const [[kind, source] = ['', undefined]] = sources;
  if (!isSource(kind, objectOf(source))) return `has an incomplete ${kind}`;
  return { name, valueFrom };
}

/** Whether the members that an API server asks for are there. */
function isSource(kind: string, source: Readonly<Record<string, unknown>>): boolean {
  const has = (member: string): boolean => textOf(source[member]) !== '';
  if (kind === 'fieldRef') return has('fieldPath');
  if (kind === 'resourceFieldRef') return has('resource');
  if (kind === 'fileKeyRef') return has('key') && has('path') && has('volumeName');
  return has('key') && has('name');
}

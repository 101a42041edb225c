// SPDX-License-Identifier: Apache-2.0
/*
 * The CEL rules that our CustomResourceDefinitions carry, by form. An API server evaluates CEL; a directory of manifests gets the same
 * verdicts from this short list of forms, each read as a whole and never evaluated as a language. Source: Gateway API,
 * x-kubernetes-validations of HTTPRoute and GRPCRoute.
 */
import { isJsonObject } from '../json-values.ts';

/** A rule on one value. */
export interface RuleCheck {
  readonly message: string;
  readonly holds: (value: unknown) => boolean;
}

const MUST_BE_NIL = /^!\(has\(self\.(\w+)\) && self\.type != '(\w+)'\)$/;
const MUST_BE_SET = /^!\(!has\(self\.(\w+)\) && self\.type == '(\w+)'\)$/;
const AT_MOST_ONE_OF_TYPE = /^self\.filter\(f, f\.type == '(\w+)'\)\.size\(\) <= 1$/;
const NOT_BOTH_TYPES = /^!\(self\.exists\(f, f\.type == '(\w+)'\) && self\.exists\(f, f\.type == '(\w+)'\)\)$/;

function field(value: unknown, name: string): unknown {
  return isJsonObject(value) ? value[name] : undefined;
}

function typesIn(value: unknown): unknown[] {
  return Array.isArray(value) ? value.map((item) => field(item, 'type')) : [];
}

/** Rules that are known by their whole text. */
const BY_TEXT: Readonly<Record<string, (value: unknown) => boolean>> = {
  "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true": (value) =>
    field(value, 'group') !== '' || field(value, 'kind') !== 'Service' || field(value, 'port') !== undefined,
  'has(self.type) ? has(self.service) || has(self.method) : true': (value) =>
    field(value, 'type') === undefined || field(value, 'service') !== undefined || field(value, 'method') !== undefined,
  "(self.type in ['Exact','PathPrefix']) ? self.value.startsWith('/') : true": (value) =>
    !['Exact', 'PathPrefix'].includes(String(field(value, 'type'))) || String(field(value, 'value')).startsWith('/'),
};

/** The check behind a rule, or undefined where the rule has none of the known forms. */
export function ruleForm(rule: string): ((value: unknown) => boolean) | undefined {
  const nil = MUST_BE_NIL.exec(rule);
  if (nil !== null) return (value) => field(value, nil[1] ?? '') === undefined || field(value, 'type') === nil[2];
  const set = MUST_BE_SET.exec(rule);
  if (set !== null) return (value) => field(value, set[1] ?? '') !== undefined || field(value, 'type') !== set[2];
  const single = AT_MOST_ONE_OF_TYPE.exec(rule);
  if (single !== null) return (value) => typesIn(value).filter((type) => type === single[1]).length <= 1;
  const both = NOT_BOTH_TYPES.exec(rule);
  if (both !== null) return (value) => !(typesIn(value).includes(both[1]) && typesIn(value).includes(both[2]));
  return Object.hasOwn(BY_TEXT, rule) ? BY_TEXT[rule] : undefined;
}

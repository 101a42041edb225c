// SPDX-License-Identifier: Apache-2.0
/*
 * The schema of a custom kind, read from its CustomResourceDefinition and compiled once: patterns become RegExps, x-kubernetes
 * extensions become fields. Structural schemas only (no $ref). Rules in CEL (x-kubernetes-validations) are understood in the few forms
 * that rule-forms.ts lists; the others are named in `unsupportedRules`. Source: Kubernetes, "Extend the Kubernetes API with
 * CustomResourceDefinitions", apiextensions/v1 JSONSchemaProps.
 */
import { isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import { ruleForm } from './rule-forms.ts';
import type { RuleCheck } from './rule-forms.ts';

/** A compiled schema node. Absent fields do not constrain. */
export interface StructuralSchema {
  readonly type?: string | undefined;
  readonly nullable: boolean;
  readonly intOrString: boolean;
  /** Keeps fields that the schema does not name, in this object (not below named ones). */
  readonly preservesUnknown: boolean;
  readonly properties: ReadonlyMap<string, StructuralSchema>;
  readonly additional?: StructuralSchema | undefined;
  readonly items?: StructuralSchema | undefined;
  readonly required: readonly string[];
  readonly default?: unknown;
  readonly enum?: readonly unknown[] | undefined;
  readonly format?: string | undefined;
  readonly pattern?: RegExp | undefined;
  readonly minLength?: number | undefined;
  readonly maxLength?: number | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly minItems?: number | undefined;
  readonly maxItems?: number | undefined;
  readonly minProperties?: number | undefined;
  readonly maxProperties?: number | undefined;
  readonly allOf: readonly StructuralSchema[];
  readonly anyOf: readonly StructuralSchema[];
  readonly oneOf: readonly StructuralSchema[];
  readonly not?: StructuralSchema | undefined;
  /** 'set' and 'map' lists refuse duplicates. */
  readonly listType?: string | undefined;
  readonly listMapKeys: readonly string[];
  readonly rules: readonly RuleCheck[];
}

/** A compiled schema, and the CEL rules in it that nothing checks here. */
export interface CompiledSchema {
  readonly schema: StructuralSchema;
  readonly unsupportedRules: readonly string[];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function compileAll(list: unknown, path: string, unsupported: string[]): StructuralSchema[] {
  return Array.isArray(list) ? list.map((item, index) => compileNode(item, `${path}[${index}]`, unsupported)) : [];
}

function compileRules(list: unknown, path: string, unsupported: string[]): RuleCheck[] {
  const checks: RuleCheck[] = [];
  for (const item of Array.isArray(list) ? (list as unknown[]) : []) {
    const rule = isJsonObject(item) ? text(item['rule']) : undefined;
    if (rule === undefined) continue;
    const holds = ruleForm(rule);
    if (holds === undefined) unsupported.push(`${path}: ${rule}`);
    else checks.push({ holds, message: (isJsonObject(item) ? text(item['message']) : undefined) ?? `failed rule: ${rule}` });
  }
  return checks;
}

function compileNode(raw: unknown, path: string, unsupported: string[]): StructuralSchema {
  // `additionalProperties: true` and an absent schema accept everything.
  const node: JsonObject = isJsonObject(raw) ? raw : { 'x-kubernetes-preserve-unknown-fields': true };
  const properties = new Map<string, StructuralSchema>();
  for (const [name, child] of Object.entries(isJsonObject(node['properties']) ? node['properties'] : {})) {
    properties.set(name, compileNode(child, `${path}.${name}`, unsupported));
  }
  const additional = node['additionalProperties'];
  const pattern = text(node['pattern']);
  return {
    type: text(node['type']),
    nullable: node['nullable'] === true,
    intOrString: node['x-kubernetes-int-or-string'] === true,
    preservesUnknown: node['x-kubernetes-preserve-unknown-fields'] === true,
    properties,
    additional: additional === undefined || additional === false ? undefined : compileNode(additional, `${path}.*`, unsupported),
    items: node['items'] === undefined ? undefined : compileNode(node['items'], `${path}[]`, unsupported),
    required: Array.isArray(node['required']) ? (node['required'] as string[]) : [],
    ...(node['default'] === undefined ? {} : { default: node['default'] }),
    enum: Array.isArray(node['enum']) ? (node['enum'] as unknown[]) : undefined,
    format: text(node['format']),
    pattern: pattern === undefined ? undefined : new RegExp(pattern, 'u'),
    minLength: count(node['minLength']),
    maxLength: count(node['maxLength']),
    minimum: count(node['minimum']),
    maximum: count(node['maximum']),
    minItems: count(node['minItems']),
    maxItems: count(node['maxItems']),
    minProperties: count(node['minProperties']),
    maxProperties: count(node['maxProperties']),
    allOf: compileAll(node['allOf'], path, unsupported),
    anyOf: compileAll(node['anyOf'], path, unsupported),
    oneOf: compileAll(node['oneOf'], path, unsupported),
    not: node['not'] === undefined ? undefined : compileNode(node['not'], path, unsupported),
    listType: text(node['x-kubernetes-list-type']),
    listMapKeys: Array.isArray(node['x-kubernetes-list-map-keys']) ? (node['x-kubernetes-list-map-keys'] as string[]) : [],
    rules: compileRules(node['x-kubernetes-validations'], path, unsupported),
  };
}

/** Compiles an `openAPIV3Schema`. Throws SyntaxError where a pattern is not a regular expression. */
export function compileSchema(openApiSchema: unknown): CompiledSchema {
  const unsupportedRules: string[] = [];
  return { schema: compileNode(openApiSchema, '', unsupportedRules), unsupportedRules };
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What a store knows of a kind: its versions, which of them have a status subresource, whether it counts generations, and the rules that
 * default, prune and validate its objects. Built-in kinds carry rules written by hand, custom ones the schema of their
 * CustomResourceDefinition.
 */
import type { FieldError } from '../errors.ts';
import type { JsonObject } from '../json-values.ts';
import type { ResourceKind } from '../types.ts';
import type { NameStyle } from './metadata-rules.ts';

/** Changes an object on its way in, or says what is wrong with it. */
export interface ObjectRules {
  /** Drops what the kind does not know and fills what the writer left out; may change `object`. `old` is set for a change. */
  normalise(object: JsonObject, old: JsonObject | undefined): void;
  /** What is wrong with the object; empty when it may be stored. `old` is set for a change. */
  validate(object: JsonObject, old: JsonObject | undefined): readonly FieldError[];
}

/** One version of a kind. */
export interface TypeVersion {
  readonly name: string;
  readonly hasStatus: boolean;
  /** Status of a new object. */
  readonly initialStatus?: JsonObject;
  readonly rules: ObjectRules;
}

/** A kind in all its versions; objects are kept in `storageVersion`. */
export interface ResourceType {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
  readonly nameStyle: NameStyle;
  readonly storageVersion: string;
  /** Served versions by name. */
  readonly versions: ReadonlyMap<string, TypeVersion>;
  /** Whether a replacement must name the version that it replaces, as API servers want of custom kinds and Leases. */
  readonly needsVersion: boolean;
  /** Whether `metadata.generation` counts changes outside metadata and status. */
  readonly hasGeneration: boolean;
}

/** Key of a type in a store. */
export function typeKey(type: { readonly group: string; readonly kind: string }): string {
  return `${type.group}/${type.kind}`;
}

/** Rules that accept everything as it is. */
export const openRules: ObjectRules = {
  normalise: () => undefined,
  validate: () => [],
};

/** A type without schema for a registered custom kind: every field is kept, nothing is defaulted. */
export function openType(kind: ResourceKind): ResourceType {
  return {
    group: kind.group,
    kind: kind.kind,
    plural: kind.plural,
    isNamespaced: kind.isNamespaced,
    nameStyle: 'subdomain',
    storageVersion: kind.version,
    versions: new Map([[kind.version, { name: kind.version, hasStatus: true, rules: openRules }]]),
    needsVersion: true,
    hasGeneration: true,
  };
}

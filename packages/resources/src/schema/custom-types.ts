// SPDX-License-Identifier: Apache-2.0
/*
 * Custom kinds from their CustomResourceDefinitions (apiextensions.k8s.io/v1), the same files that the chart installs in a cluster. Only
 * conversion strategy None exists here: an object read in another version is pruned and defaulted by that version's schema.
 */
import { isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import type { ResourceType, TypeVersion } from '../store/resource-type.ts';
import { normaliseObject } from './normalise.ts';
import { compileSchema } from './structural-schema.ts';
import { schemaErrors } from './validate.ts';

/** The kinds that some CustomResourceDefinitions define. */
export interface CustomTypes {
  readonly types: readonly ResourceType[];
  /** CEL rules that are not checked here, as `plural.group/version.path: rule`. */
  readonly unsupportedRules: readonly string[];
}

function object(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

function versionOf(raw: JsonObject, owner: string, unsupportedRules: string[]): TypeVersion {
  const name = String(raw['name']);
  const { schema, unsupportedRules: unsupported } = compileSchema(object(raw['schema'])['openAPIV3Schema']);
  unsupportedRules.push(...unsupported.map((rule) => `${owner}/${name}${rule}`));
  return {
    name,
    hasStatus: object(raw['subresources'])['status'] !== undefined,
    rules: {
      normalise: (value) => normaliseObject(schema, value),
      validate: (value) => schemaErrors(schema, value),
    },
  };
}

/** Reads definitions. Throws Error where one has no name, no served storage version, or a pattern that is not a regular expression. */
export function customTypes(definitions: readonly unknown[]): CustomTypes {
  const unsupportedRules: string[] = [];
  const types = definitions.map((definition): ResourceType => {
    const spec = object(object(definition)['spec']);
    const names = object(spec['names']);
    const { kind, plural } = names;
    const { group } = spec;
    if (typeof group !== 'string' || typeof kind !== 'string' || typeof plural !== 'string') {
      throw new Error('a CustomResourceDefinition needs spec.group, spec.names.kind and spec.names.plural');
    }
    const owner = `${plural}.${group}`;
    const rawVersions = (Array.isArray(spec['versions']) ? (spec['versions'] as unknown[]) : []).map((raw) => object(raw));
    const versions = rawVersions.filter((raw) => raw['served'] === true).map((raw) => versionOf(raw, owner, unsupportedRules));
    const storage = rawVersions.find((raw) => raw['storage'] === true && raw['served'] === true);
    if (storage === undefined) throw new Error(`the CustomResourceDefinition of ${owner} has no served version that is stored`);
    return {
      group,
      kind,
      plural,
      isNamespaced: spec['scope'] !== 'Cluster',
      nameStyle: 'subdomain',
      storageVersion: String(storage['name']),
      versions: new Map(versions.map((version) => [version.name, version])),
      needsVersion: true,
      hasGeneration: true,
    };
  });
  return { types, unsupportedRules };
}

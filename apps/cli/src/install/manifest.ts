// SPDX-License-Identifier: Apache-2.0
/*
 * What install and its relatives print: objects as YAML documents or one JSON List, on standard output and nothing else there, so that it
 * can be piped to kubectl.
 */
import { writeYaml } from '@weft/chart';
import type { Dictionary, RenderedObject } from '@weft/chart';
import { Option } from 'commander';
import type { Command } from 'commander';

/** Forms of output. */
export const MANIFEST_OUTPUTS = ['yaml', 'json'] as const;
/** One of them. */
export type ManifestOutput = (typeof MANIFEST_OUTPUTS)[number];

/** Adds `-o, --output`. */
export function addOutputFlag(command: Command): void {
  command.addOption(new Option('-o, --output <format>', 'form of the manifests').choices(MANIFEST_OUTPUTS).default('yaml'));
}

/** The text of objects, in the order given. */
export function printObjects(objects: readonly RenderedObject[], output: ManifestOutput): string {
  if (output === 'json') {
    // Integers that templates made are bigints, all far below 2^53.
    const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);
    return `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, plain, 2)}\n`;
  }
  return objects.map((object) => `---\n${writeYaml(object)}`).join('');
}

/** What the API server needs to delete an object. */
export function reference(object: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}): RenderedObject {
  const { name, namespace = '' } = object.metadata;
  const metadata: Dictionary = namespace === '' ? { name } : { name, namespace };
  return { apiVersion: object.apiVersion, kind: object.kind, metadata };
}

/** `apps/Deployment linkerd/linkerd-identity`, without the version: the same object in another version is the same. */
export function objectKey(object: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}): string {
  const group = object.apiVersion.includes('/') ? (object.apiVersion.split('/')[0] as string) : '';
  return `${group}/${object.kind} ${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

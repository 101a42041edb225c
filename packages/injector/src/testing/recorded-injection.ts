// SPDX-License-Identifier: Apache-2.0
/*
 * The recorded injections of the reference: what its webhook was asked and answered, the namespace, and the object that came out of the API
 * server. For tests.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AdmissionRequest, JsonPatchOperation } from '@weft/webhook';
import { parse } from 'yaml';
import type { NamespaceFacts, WorkloadOwner } from '../inject-pod.ts';
import { objectOf, objectsOf, textOf, type JsonObject } from '../json-object.ts';
import { readInjectorValues, type InjectorValues } from '../values.ts';

const directory = new URL('../testdata/vectors/injection/', import.meta.url);

export interface RecordedInjection {
  readonly name: string;
  readonly request: AdmissionRequest;
  readonly object: JsonObject;
  readonly namespace: NamespaceFacts;
  readonly owner: WorkloadOwner | undefined;
  readonly response: { readonly allowed: boolean; readonly message: string; readonly patch: readonly JsonPatchOperation[] | 'not JSON' };
  /** The object in the API server, or the error. */
  readonly injected: JsonObject;
}

export function recordedNames(): readonly string[] {
  return readdirSync(fileURLToPath(directory), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
}

export function recordedValuesText(): string {
  return readText('values.yaml');
}

export function recordedValues(): InjectorValues {
  return readInjectorValues(parse(recordedValuesText()));
}

export function recordedTrustAnchors(): string {
  return readText('trust-roots.pem');
}

export function readRecorded(name: string): RecordedInjection {
  const { request, response } = JSON.parse(readText(`${name}/admission.json`)) as { request: AdmissionRequest; response: JsonObject };
  const namespace = objectOf(parse(readText(`${name}/namespace.yaml`)) as unknown);
  const metadata = objectOf(namespace['metadata']);
  const object = objectOf(request.object);
  const patch = response['patch'] ?? [];
  return {
    name,
    request,
    object,
    namespace: { name: textOf(metadata['name']), annotations: objectOf(metadata['annotations']) as Record<string, string> },
    owner: ownerOf(object),
    response: {
      allowed: response['allowed'] === true,
      message: textOf(objectOf(response['status'])['message']),
      patch: Array.isArray(patch) ? (patch as JsonPatchOperation[]) : 'not JSON',
    },
    injected: JSON.parse(readText(`${name}/injected.json`)) as JsonObject,
  };
}

/** The recorded ReplicaSet belongs to a Deployment; the others stand for themselves. */
function ownerOf(object: JsonObject): WorkloadOwner | undefined {
  const [reference] = objectsOf(objectOf(object['metadata'])['ownerReferences']);
  if (reference === undefined) return undefined;
  const [kind, name] = [textOf(reference['kind']), textOf(reference['name'])];
  return kind === 'ReplicaSet' ? { kind: 'Deployment', name: name.slice(0, name.lastIndexOf('-')) } : { kind, name };
}

function readText(path: string): string {
  return readFileSync(new URL(path, directory), 'utf8');
}

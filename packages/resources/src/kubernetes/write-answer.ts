// SPDX-License-Identifier: Apache-2.0
/*
 * Writes as an API server takes them: POST, PUT, PATCH (merge and apply), DELETE, on objects and on their status. Source: Kubernetes API
 * concepts, "Resource operations", "Server-Side Apply".
 */
import { ResourceError } from '../errors.ts';
import { isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import type { WriteOptions } from '../store/object-store.ts';
import type { Resource, ResourceInput } from '../types.ts';
import type { ApiRequest } from './api-request.ts';
import { toWire } from './wire-object.ts';

/** Status and body of an answer. */
export interface Answer {
  readonly status: number;
  readonly body: JsonObject;
}

const MERGE = 'application/merge-patch+json';
const APPLY = ['application/apply-patch+yaml', 'application/apply-patch+json'];

function badRequest(message: string): ResourceError {
  return new ResourceError('ERR_INVALID', message, { status: 400, reason: 'BadRequest' });
}

/** The object in the body, with the namespace and name that the path gives. */
function inputOf({ body, path, type }: ApiRequest): ResourceInput {
  if (!isJsonObject(body) || !isJsonObject(body['metadata'])) throw badRequest('the body must be an object with metadata');
  const metadata = { ...body['metadata'] };
  if (type.isNamespaced && path.namespace === '') throw badRequest('an empty namespace may not be set');
  if (type.isNamespaced) metadata['namespace'] ??= path.namespace;
  if (type.isNamespaced && metadata['namespace'] !== path.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (path.name !== undefined) metadata['name'] ??= path.name;
  if (path.name !== undefined && metadata['name'] !== path.name) {
    throw badRequest(`the name of the object (${String(metadata['name'])}) does not match the name on the URL (${path.name})`);
  }
  return { ...body, metadata } as unknown as ResourceInput;
}

function optionsOf({ query }: ApiRequest): WriteOptions {
  const fieldManager = query.get('fieldManager');
  return {
    ...(fieldManager === null ? {} : { fieldManager }),
    isDryRun: query.get('dryRun') === 'All',
    isForced: query.get('force') === 'true',
  };
}

function patch(request: ApiRequest, name: string): Resource {
  const { store, gvk, path, contentType, body } = request;
  const options = optionsOf(request);
  const isStatus = path.subresource === 'status';
  if (APPLY.includes(contentType)) {
    const manager = options.fieldManager;
    if (manager === undefined)
      throw badRequest('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch');
    const input = inputOf(request);
    return isStatus ? store.applyStatus(gvk, input, manager, options) : store.apply(gvk, input, manager, options);
  }
  if (contentType !== MERGE) {
    throw new ResourceError(
      'ERR_INVALID',
      `the body of the request was in an unknown format - accepted media types include: ${MERGE}, ${APPLY[0]}`,
      {
        status: 415,
        reason: 'UnsupportedMediaType',
      },
    );
  }
  if (!isJsonObject(body)) throw badRequest('a merge patch must be an object');
  return isStatus ? store.patchStatus(gvk, path.namespace, name, body, options) : store.patch(gvk, path.namespace, name, body, options);
}

function remove(request: ApiRequest, name: string): Answer {
  const { store, gvk, path, body } = request;
  const wanted = isJsonObject(body) && isJsonObject(body['preconditions']) ? body['preconditions'] : {};
  const { metadata } = store.get(gvk, path.namespace, name);
  for (const field of ['uid', 'resourceVersion'] as const) {
    if (wanted[field] !== undefined && wanted[field] !== metadata[field]) {
      throw new ResourceError(
        'ERR_CONFLICT',
        `Precondition failed: ${field} in precondition: ${JSON.stringify(wanted[field])}, in object meta: ${metadata[field]}`,
      );
    }
  }
  if (optionsOf(request).isDryRun !== true) store.delete(gvk, path.namespace, name);
  return { status: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name, uid: metadata.uid } } };
}

/** Carries out a write. Throws ResourceError. */
export function answerWrite(request: ApiRequest): Answer {
  const { store, gvk, path, method } = request;
  const { name, subresource } = path;
  if (subresource !== undefined && subresource !== 'status') {
    throw new ResourceError('ERR_NOT_FOUND', 'the server could not find the requested resource');
  }
  if (method === 'POST' && name === undefined)
    return { status: 201, body: toWire(store.create(gvk, inputOf(request), optionsOf(request))) };
  if (method === 'PUT' && name !== undefined) {
    const input = inputOf(request);
    const options = optionsOf(request);
    return {
      status: 200,
      body: toWire(subresource === 'status' ? store.updateStatus(gvk, input, options) : store.update(gvk, input, options)),
    };
  }
  if (method === 'PATCH' && name !== undefined) return { status: 200, body: toWire(patch(request, name)) };
  if (method === 'DELETE' && name !== undefined && subresource === undefined) return remove(request, name);
  throw new ResourceError('ERR_INVALID', 'the server does not allow this method on the requested resource', {
    status: 405,
    reason: 'MethodNotAllowed',
  });
}

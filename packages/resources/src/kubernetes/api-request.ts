// SPDX-License-Identifier: Apache-2.0
/*
 * A request to the HTTP face, taken apart: whose path names a kind that is served.
 */
import type { ObjectStore } from '../store/object-store.ts';
import type { ResourceType } from '../store/resource-type.ts';
import type { Gvk } from '../types.ts';
import type { ResourcePath } from './resource-path.ts';

/** One request, taken apart. */
export interface ApiRequest {
  readonly store: ObjectStore;
  readonly type: ResourceType;
  readonly gvk: Gvk;
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
  readonly method: string;
  readonly contentType: string;
  readonly body: unknown;
}

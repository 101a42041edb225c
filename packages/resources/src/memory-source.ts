// SPDX-License-Identifier: Apache-2.0
/*
 * A world without files or cluster, for tests and for programs that make up their own: the same store and the same rules as the
 * directory source.
 */
import { randomUUID } from 'node:crypto';

import { builtInTypes } from './builtin/builtin-types.ts';
import type { ClusterIpAllocator } from './builtin/cluster-ips.ts';
import { ServiceKind } from './kinds/core.ts';
import type { Service } from './kinds/core.ts';
import { customKinds } from './kinds/registry.ts';
import { localSource } from './local-source.ts';
import type { LocalSource } from './local-source.ts';
import { ObjectStore } from './store/object-store.ts';
import type { AdmissionRule } from './store/object-store.ts';
import { openType } from './store/resource-type.ts';
import type { ResourceType } from './store/resource-type.ts';
import type { ResourceInput } from './types.ts';

/** Changes kept for watches to resume from, unless told otherwise. */
export const DEFAULT_MAX_LOGGED_CHANGES = 1000;

/** Options that the memory and the directory source share. */
export interface LocalSourceOptions {
  /** Milliseconds since the epoch. Default: the system clock. */
  readonly nowMs?: () => number;
  /** Default: random UUIDs. */
  readonly newUid?: () => string;
  /** Consulted after schema validation for each write but of status; the first refusal counts. */
  readonly admit?: readonly AdmissionRule[];
  /** Gives services their cluster IPs (`clusterIpsFrom`). Without it they keep what they are written with. */
  readonly allocateClusterIp?: ClusterIpAllocator;
  /** Changes kept for watches to resume from; default 1,000. */
  readonly maxLoggedChanges?: number;
}

/** What a memory source is made of. */
export interface MemorySourceOptions extends LocalSourceOptions {
  /** Objects there from the start, as they stood elsewhere (uid, creationTimestamp and status are kept). */
  readonly objects?: readonly ResourceInput[];
  /** Custom kinds with their schemas, see `customTypes`. Default: every registered custom kind, without schema. */
  readonly customTypes?: readonly ResourceType[];
}

/** The store behind a local source, and behind the HTTP face. */
export function createObjectStore(options: LocalSourceOptions, customTypes: readonly ResourceType[]): ObjectStore {
  const { allocateClusterIp: allocate } = options;
  const isTaken = (address: string): boolean => store.list(ServiceKind).some((service) => (service as Service).spec?.clusterIP === address);
  const builtIn =
    allocate === undefined ? {} : { allocateClusterIp: (namespace: string, name: string) => allocate(namespace, name, isTaken) };
  const store = new ObjectStore({
    types: [...builtInTypes(builtIn), ...customTypes],
    nowMs: options.nowMs ?? Date.now,
    newUid: options.newUid ?? randomUUID,
    admit: options.admit ?? [],
    maxLoggedChanges: options.maxLoggedChanges ?? DEFAULT_MAX_LOGGED_CHANGES,
    createsMissingNamespaces: true,
  });
  return store;
}

/** A source in memory. `source.store` gives synchronous access and `seed`. Throws ResourceError when a given object is invalid. */
export function createMemorySource(options: MemorySourceOptions = {}): LocalSource {
  const store = createObjectStore(options, options.customTypes ?? customKinds.map((kind) => openType(kind)));
  for (const object of options.objects ?? []) store.seed(object);
  return localSource(store);
}

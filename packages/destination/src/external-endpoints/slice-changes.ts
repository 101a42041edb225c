// SPDX-License-Identifier: Apache-2.0
/*
 * What to write so that a Service's slices hold its wanted endpoints (control-contract §1.12): endpoints stay in the slice that they are in,
 * new ones fill slices that are being changed anyway, then others with room, then new ones; a slice that is left empty goes. Pure.
 */
import type { Endpoint, EndpointSlice, ResourceInput, Service } from '@weft/resources';

import { HEADLESS_LABEL, MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from '../records/annotations.ts';
import { isHeadless, portsKey, type EndpointGroup } from './wanted-endpoints.ts';

/** Value of the managed-by label of slices that are ours. */
export const SLICE_MANAGER = 'linkerd-external-workloads-controller';
/** Endpoints in one slice, as Kubernetes' own controller has it by default. */
export const MAX_ENDPOINTS_PER_SLICE = 100;

/** Writes for one Service. */
export interface SliceChanges {
  readonly create: readonly ResourceInput[];
  /** With the version that they were made from. */
  readonly update: readonly ResourceInput[];
  readonly delete: readonly EndpointSlice[];
}

interface Draft {
  readonly slice: EndpointSlice;
  readonly endpoints: Endpoint[];
  isChanged: boolean;
}

/** Compares what is with what is wanted. `newName` gives a name for a new slice. */
export function sliceChanges(
  service: Service,
  groups: readonly EndpointGroup[],
  existing: readonly EndpointSlice[],
  newName: () => string,
  maxEndpoints: number = MAX_ENDPOINTS_PER_SLICE,
): SliceChanges {
  const labels = sliceLabels(service);
  const create: ResourceInput[] = [];
  const update: ResourceInput[] = [];
  const unused = new Set(existing);
  for (const group of groups) {
    const drafts = existing
      .filter((slice) => slice.addressType === group.addressType && portsKey(slice.ports ?? []) === portsKey(group.ports))
      .map((slice) => draftOf(slice, group, labels));
    const placed = new Set(drafts.flatMap(({ endpoints }) => endpoints.map((endpoint) => endpoint.targetRef?.name ?? '')));
    const fresh = [...group.endpoints].filter(([name]) => !placed.has(name)).map(([, endpoint]) => endpoint);
    for (const draft of drafts.toSorted((a, b) => Number(b.isChanged) - Number(a.isChanged))) {
      const added = fresh.splice(0, Math.max(0, maxEndpoints - draft.endpoints.length));
      if (added.length > 0) draft.isChanged = true;
      draft.endpoints.push(...added);
      if (draft.endpoints.length === 0) continue;
      unused.delete(draft.slice);
      if (draft.isChanged) update.push(updated(draft, labels, service));
    }
    while (fresh.length > 0) create.push(created(service, group, labels, newName(), fresh.splice(0, maxEndpoints)));
  }
  return { create, update, delete: [...unused] };
}

/** What of a slice may stay, each endpoint as it is now; one that is in an earlier slice as well is taken there. */
function draftOf(slice: EndpointSlice, group: EndpointGroup, labels: Readonly<Record<string, string>>): Draft {
  const before = slice.endpoints ?? [];
  const endpoints = before.flatMap(({ targetRef }) => group.endpoints.get(targetRef?.name ?? '') ?? []);
  const isSame = endpoints.length === before.length && endpoints.every((endpoint, index) => isSameEndpoint(endpoint, before[index]));
  return { slice, endpoints, isChanged: !isSame || !isSameRecord(slice.metadata.labels, labels) };
}

function isSameEndpoint(a: Endpoint, b: Endpoint | undefined): boolean {
  return (
    b !== undefined &&
    a.addresses.join() === b.addresses.join() &&
    a.conditions?.ready === b.conditions?.ready &&
    a.conditions?.serving === b.conditions?.serving &&
    a.conditions?.terminating === b.conditions?.terminating &&
    (a.hostname ?? '') === (b.hostname ?? '') &&
    (a.zone ?? '') === (b.zone ?? '') &&
    a.targetRef?.name === b.targetRef?.name &&
    a.targetRef?.uid === b.targetRef?.uid
  );
}

function isSameRecord(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

function sliceLabels(service: Service): Readonly<Record<string, string>> {
  const { [HEADLESS_LABEL]: _headless, ...labels } = service.metadata.labels;
  return {
    ...labels,
    [SERVICE_NAME_LABEL]: service.metadata.name,
    [MANAGED_BY_LABEL]: SLICE_MANAGER,
    ...(isHeadless(service) ? { [HEADLESS_LABEL]: '' } : {}),
  };
}

function created(
  service: Service,
  { addressType, ports }: EndpointGroup,
  labels: Readonly<Record<string, string>>,
  name: string,
  endpoints: readonly Endpoint[],
): ResourceInput {
  const { namespace } = service.metadata;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels, ownerReferences: [ownerOf(service)] },
    addressType,
    ports,
    endpoints,
  };
}

function updated({ slice, endpoints }: Draft, labels: Readonly<Record<string, string>>, service: Service): ResourceInput {
  const { name, namespace, resourceVersion, annotations } = slice.metadata;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, resourceVersion, annotations, labels, ownerReferences: [ownerOf(service)] },
    addressType: slice.addressType,
    ports: slice.ports ?? [],
    endpoints,
  };
}

function ownerOf({ metadata }: Service): {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: boolean;
  readonly blockOwnerDeletion: boolean;
} {
  const { name, uid } = metadata;
  return { apiVersion: 'v1', kind: 'Service', name, uid, controller: true, blockOwnerDeletion: true };
}

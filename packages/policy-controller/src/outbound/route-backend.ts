// SPDX-License-Identifier: Apache-2.0
/*
 * Backends of route rules (control-contract §3.3, features RT-07, RT-08): a Service balances, an EgressNetwork forwards to where the client
 * wanted to go, everything else fails with a message. A failing backend keeps its weight: its share of requests must not move to the others.
 */
import type { BackendRef, RouteFilter } from '@weft/resources';
import { type RouteFilterInit, routeFilters } from '../route/route-filter.ts';
import { POLICY_GROUP } from '../inbound/authz-message.ts';
import { isPort } from '../parse/port-set.ts';
import type { LoadInit } from './load-biaser.ts';
import {
  type BackendInit,
  type MetadataInit,
  type OutboundParent,
  QUEUE,
  forwardBackend,
  portMetadata,
  serviceBackend,
} from './outbound-parent.ts';

/** A backend of a rule. With `failure` it takes no traffic: requests that fall to it fail with that message. */
export interface RouteBackend {
  readonly weight: number;
  readonly backend: BackendInit;
  readonly failure: string | undefined;
  readonly filters: readonly RouteFilterInit[];
}

/** Whether objects exist now. */
export interface BackendLookup {
  hasService(namespace: string, name: string): boolean;
  hasEgressNetwork(namespace: string, name: string): boolean;
  readonly clusterDomain: string;
}

type RouteBackendRef = BackendRef & { readonly filters?: readonly RouteFilter[] };

const DEFAULT_WEIGHT = 1;

/** Messages that other tools know. */
export const EGRESS_NEEDS_EGRESS_PARENT = 'EgressNetwork backend needs to be on a route that has an EgressNetwork parent';
const EGRESS_NEEDS_SAME_PARENT = 'Route with EgressNetwork backend needs to have the same EgressNetwork as a parent';

/** Resolves a backend of a rule on `parent`. Its namespace, where it names none, is the parent's. */
export function resolveBackend(ref: RouteBackendRef, parent: OutboundParent, load: LoadInit, lookup: BackendLookup): RouteBackend {
  const weight = ref.weight ?? DEFAULT_WEIGHT;
  const kind = backendKind(ref);
  if (kind === undefined) return invalidBackend(weight, `unsupported backend type ${ref.group ?? 'core'} ${ref.kind ?? '<empty>'}`);
  const filters = routeFilters(ref.filters);
  if (!filters.ok) return invalidBackend(weight, `unsupported backend filter: ${filters.reason}`);
  const namespace = ref.namespace ?? parent.namespace;
  const resolved = kind === 'Service' ? resolveService(ref, namespace, load, lookup) : resolveEgressNetwork(ref, namespace, parent, lookup);
  if (typeof resolved === 'string') return invalidBackend(weight, resolved);
  return { weight, ...resolved, filters: resolved.failure === undefined ? filters.value : [] };
}

/** The kind of a backend, or undefined if it is not ours. */
export function backendKind(ref: BackendRef): 'Service' | 'EgressNetwork' | undefined {
  const group = (ref.group ?? '').toLowerCase();
  const kind = (ref.kind ?? 'Service').toLowerCase();
  if (kind === 'service' && (group === '' || group === 'core')) return 'Service';
  return kind === 'egressnetwork' && group === POLICY_GROUP ? 'EgressNetwork' : undefined;
}

/** A backend that is none, with a default name instead of a resource's. */
export function invalidBackend(weight: number, failure: string): RouteBackend {
  return { weight, backend: failingBackend({ kind: { case: 'default', value: 'invalid' } }), failure, filters: [] };
}

type Resolved = Pick<RouteBackend, 'backend' | 'failure'>;

function resolveService(ref: BackendRef, namespace: string, load: LoadInit, lookup: BackendLookup): Resolved | string {
  const { name, port } = ref;
  if (port === undefined || !isPort(port)) return `missing port for backend Service ${name}`;
  const target = { kind: 'Service', namespace, name, port } as const;
  if (lookup.hasService(namespace, name)) return { backend: serviceBackend(target, load, lookup.clusterDomain), failure: undefined };
  return { backend: failingBackend(portMetadata(target)), failure: `Service not found ${name}` };
}

function resolveEgressNetwork(ref: BackendRef, namespace: string, parent: OutboundParent, lookup: BackendLookup): Resolved {
  const { name } = ref;
  const target = { kind: 'EgressNetwork', namespace, name, port: ref.port ?? parent.port } as const;
  const metadata = portMetadata(target);
  const failing = (failure: string): Resolved => ({ backend: failingBackend(metadata), failure });
  if (!lookup.hasEgressNetwork(namespace, name)) return failing(`EgressNetwork not found ${name}`);
  if (parent.kind !== 'EgressNetwork') return failing(EGRESS_NEEDS_EGRESS_PARENT);
  if (parent.namespace !== namespace || parent.name !== name) return failing(EGRESS_NEEDS_SAME_PARENT);
  return { backend: forwardBackend(metadata, parent.originalDestination), failure: undefined };
}

function failingBackend(metadata: MetadataInit): BackendInit {
  return { metadata, queue: QUEUE };
}

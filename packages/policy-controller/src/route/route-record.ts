// SPDX-License-Identifier: Apache-2.0
/*
 * A route of any of the five kinds as the controller keeps it, and its parents (control-contract §3.2 to §3.4, features RT-01 to RT-04): a
 * Server (inbound), a Service or an EgressNetwork (outbound). A parent is named by one key, under which routes are found and depended on.
 */
import type { GRPCRoute, HTTPRoute, ParentRef, RouteParentStatus, TCPRoute, TLSRoute } from '@weft/resources';
import { compareText } from '../inbound/server-info.ts';
import { POLICY_GROUP } from '../inbound/authz-message.ts';
import { readConditions } from '../parse/conditions.ts';
import { routePatternSize } from './pattern-budget.ts';

export const GATEWAY_GROUP = 'gateway.networking.k8s.io';

export type RouteKindName = 'HTTPRoute' | 'GRPCRoute' | 'TLSRoute' | 'TCPRoute';

export type ParentKind = 'Server' | 'Service' | 'EgressNetwork';

/** A supported parent of a route, its namespace filled in. */
export interface RouteParent {
  readonly kind: ParentKind;
  readonly namespace: string;
  readonly name: string;
  readonly port: number | undefined;
  readonly sectionName: string | undefined;
}

interface RouteRecordBase {
  readonly group: string;
  readonly namespace: string;
  readonly name: string;
  /** RFC 3339, seconds. */
  readonly creationTimestamp: string;
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly parents: readonly RouteParent[];
  readonly statuses: readonly RouteParentStatus[];
  /** Of all patterns in its matches. */
  readonly patternSize: number;
}

export interface HttpRouteRecord extends RouteRecordBase {
  readonly kind: 'HTTPRoute';
  readonly spec: HTTPRoute['spec'];
}

export interface GrpcRouteRecord extends RouteRecordBase {
  readonly kind: 'GRPCRoute';
  readonly spec: GRPCRoute['spec'];
}

export interface TlsRouteRecord extends RouteRecordBase {
  readonly kind: 'TLSRoute';
  readonly spec: TLSRoute['spec'];
}

export interface TcpRouteRecord extends RouteRecordBase {
  readonly kind: 'TCPRoute';
  readonly spec: TCPRoute['spec'];
}

export type RouteRecord = HttpRouteRecord | GrpcRouteRecord | TlsRouteRecord | TcpRouteRecord;

/** The record of an object of this kind. Throws a TypeError for one of impossible shape. */
export function routeRecord(group: string, kind: RouteKindName, object: HTTPRoute | GRPCRoute | TLSRoute | TCPRoute): RouteRecord {
  const { namespace, name, creationTimestamp, resourceVersion, annotations } = object.metadata;
  return {
    kind,
    group,
    namespace,
    name,
    creationTimestamp,
    resourceVersion,
    annotations,
    parents: (object.spec?.parentRefs ?? []).flatMap((ref) => routeParent(ref, namespace) ?? []),
    statuses: wellFormed(object.status?.parents ?? []),
    patternSize: kind === 'HTTPRoute' || kind === 'GRPCRoute' ? routePatternSize(object.spec) : 0,
    spec: object.spec,
    // The caller knows which spec goes with which kind; the type system cannot follow it through the union.
  } as RouteRecord;
}

/** Entries that name a parent, their conditions as far as they are some; others say nothing. */
function wellFormed(entries: readonly RouteParentStatus[]): RouteParentStatus[] {
  return entries.flatMap((entry: Partial<RouteParentStatus> | null) => {
    if (typeof entry?.parentRef !== 'object' || entry.parentRef === null) return [];
    const { parentRef, controllerName = '', conditions } = entry;
    return [{ ...entry, parentRef, controllerName, conditions: readConditions(conditions) }];
  });
}

/** The parent that a reference names, or undefined for kinds that are not ours. */
export function routeParent(ref: ParentRef, routeNamespace: string): RouteParent | undefined {
  const kind = parentKind(ref);
  if (kind === undefined) return undefined;
  return { kind, namespace: ref.namespace ?? routeNamespace, name: ref.name, port: ref.port, sectionName: ref.sectionName };
}

/** Key of a parent, whatever the port. */
export function parentKey(parent: Pick<RouteParent, 'kind' | 'namespace' | 'name'>): string {
  return `${parent.kind}/${parent.namespace}/${parent.name}`;
}

/** Identity of a route among all of them. */
export function routeKey(route: Pick<RouteRecord, 'group' | 'kind' | 'namespace' | 'name'>): string {
  return `${route.group}/${route.kind}/${route.namespace}/${route.name}`;
}

/** Oldest first, then by name; namespace and group decide what is left, so that the order never depends on arrival. */
export function byRouteAge(a: RouteRecord, b: RouteRecord): number {
  return (
    compareText(a.creationTimestamp, b.creationTimestamp) ||
    compareText(a.name, b.name) ||
    compareText(a.group, b.group) ||
    compareText(a.namespace, b.namespace)
  );
}

function parentKind(ref: ParentRef): ParentKind | undefined {
  const group = (ref.group ?? '').toLowerCase();
  const kind = ref.kind?.toLowerCase();
  if (kind === 'service' && (group === '' || group === 'core')) return 'Service';
  if (group !== POLICY_GROUP) return undefined;
  if (kind === 'server') return 'Server';
  return kind === 'egressnetwork' ? 'EgressNetwork' : undefined;
}

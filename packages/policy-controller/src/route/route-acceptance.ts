// SPDX-License-Identifier: Apache-2.0
/*
 * Which routes are attached to a parent (control-contract §3.2, §3.3; features RT-04, RT-05, RT-16): a route takes effect only once its
 * status says that the parent accepted it, so that all controllers and proxies agree on which of two conflicting routes rules.
 */
import { type RouteParent, type RouteRecord, routeParent } from './route-record.ts';

/** The name under which this controller writes route status. */
export const CONTROLLER_NAME = 'linkerd.io/policy-controller';

/** The Server that a route is on, seen from the inbound side. */
export type InboundAttachment = 'attached' | 'pending' | 'illegal';

/**
 * How a route stands to a Server of its namespace. A parent reference to a Server of another namespace, or with a port or section, makes the
 * whole route illegal.
 */
export function inboundAttachment(route: RouteRecord, serverName: string): InboundAttachment {
  let isNamed = false;
  for (const parent of route.parents) {
    if (parent.kind !== 'Server') continue;
    if (parent.namespace !== route.namespace || parent.port !== undefined || parent.sectionName !== undefined) return 'illegal';
    if (parent.name === serverName) isNamed = true;
  }
  const isAccepted = route.statuses.some((status) => {
    if (status.controllerName !== CONTROLLER_NAME || !saysAccepted(status)) return false;
    const parent = routeParent(status.parentRef, route.namespace);
    return parent?.kind === 'Server' && parent.name === serverName;
  });
  return isNamed && isAccepted ? 'attached' : 'pending';
}

/** A parent as seen from the outbound side: one port of a Service or EgressNetwork. */
export interface OutboundParentRef {
  readonly kind: 'Service' | 'EgressNetwork';
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

/** Whether a route is attached to that port. A reference without a port means all ports of a Service; an EgressNetwork needs one. */
export function isAttachedOutbound(route: RouteRecord, target: OutboundParentRef): boolean {
  const isNamed = route.parents.some(
    (parent) => isSameObject(parent, target) && (parent.port === undefined ? target.kind === 'Service' : parent.port === target.port),
  );
  if (!isNamed) return false;
  return route.statuses.some((status) => {
    const parent = routeParent(status.parentRef, route.namespace);
    if (parent === undefined || !isSameObject(parent, target)) return false;
    return (parent.port === undefined || parent.port === target.port) && saysAccepted(status);
  });
}

function isSameObject(parent: RouteParent, target: OutboundParentRef): boolean {
  return parent.kind === target.kind && parent.namespace === target.namespace && parent.name === target.name;
}

function saysAccepted(status: RouteRecord['statuses'][number]): boolean {
  return (status.conditions ?? []).some(({ type, status: value }) => type === 'Accepted' && value === 'True');
}

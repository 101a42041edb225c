// SPDX-License-Identifier: Apache-2.0
/*
 * From a target to its policy, reading the index and naming what was read (control-contract §3.3), so that the policy follows every object it
 * depends on: its parent, the routes of that parent, and the existence of each backend.
 */
import type { EncodedMessage } from '@weft/grpc-server';
import { outbound } from '@weft/proto';
import type { Track } from '../index/dependency-graph.ts';
import { encodePolicy } from '../index/policy-value.ts';
import { type PolicyIndex, objectKey } from '../index/policy-index.ts';
import { clusterIpKey } from './cluster-ip-index.ts';
import { routesKey } from '../index/route-index.ts';
import { ipKey } from '../parse/ip-network.ts';
import { withinPatternBudget } from '../route/pattern-budget.ts';
import { isAttachedOutbound } from '../route/route-acceptance.ts';
import { type RouteRecord, byRouteAge, parentKey, routeKey } from '../route/route-record.ts';
import { FORBIDDEN_FILTER } from './connection-route.ts';
import { durationOf } from '../parse/duration.ts';
import { firstAvailable } from './distribution.ts';
import type { EgressParent, OutboundParent, ServiceParent, SocketAddress } from './outbound-parent.ts';
import { forwardBackend, portMetadata } from './outbound-parent.ts';
import { DETECT_TIMEOUT_MS, type OutboundInputs, type OutboundPolicyInit, outboundPolicy } from './outbound-policy.ts';
import type { OutboundTarget } from './outbound-target.ts';
import { NO_SETTINGS, type ServiceInfo } from './service-info.ts';

type EncodedPolicy = EncodedMessage<typeof outbound.OutboundPolicySchema>;

/** A name of the policy that a target has for a namespace: equal names, equal policies. */
export function policyName(target: OutboundTarget, sourceNamespace: string): string {
  const address = 'address' in target && target.address !== undefined ? `${ipKey(target.address.ip)}:${target.address.port}` : '';
  const object = target.kind === 'outside' ? '' : `${target.namespace}/${target.name}`;
  const port = 'port' in target ? target.port : '';
  return `outbound/${sourceNamespace}/${target.kind}/${object}:${port}@${address}`;
}

/**
 * The policy of a target now. Undefined when the target is no longer what the client asked about: its address belongs to another Service, or its
 * EgressNetwork is gone.
 */
export function derivePolicy(
  index: PolicyIndex,
  target: OutboundTarget,
  sourceNamespace: string,
  lastKnown: { service: ServiceInfo | undefined },
  track: Track,
): EncodedPolicy | undefined {
  switch (target.kind) {
    case 'outside':
      return encode(egressFallback(target.address));
    case 'undefined-port':
      return encode(undefinedPort(target));
    case 'service':
      if (target.address !== undefined && isTaken(index, target, target.address, track)) return undefined;
      return servicePolicy(index, target, sourceNamespace, lastKnown, track);
    case 'egress-network': {
      const parent = egressParent(index, target, sourceNamespace, track);
      return parent === undefined ? undefined : parentPolicy(index, parent, track);
    }
  }
}

/** Shared by all namespaces that see no consumer route of their own, unless it rests on what only this stream remembers. */
function servicePolicy(
  index: PolicyIndex,
  target: { readonly namespace: string; readonly name: string; readonly port: number },
  sourceNamespace: string,
  lastKnown: { service: ServiceInfo | undefined },
  track: Track,
): EncodedPolicy {
  const { namespace, name, port } = target;
  const parent = serviceParent(index, target, sourceNamespace, lastKnown, track);
  const isRemembered = index.services.get(namespace, name) !== lastKnown.service;
  const hasOwnRoutes = sourceNamespace !== namespace && routesOf(index, parent, sourceNamespace, track).length > 0;
  if (isRemembered || hasOwnRoutes) return parentPolicy(index, parent, track);
  return index.shared.get(`${namespace}/${name}:${port}`, track, (sharedTrack) => parentPolicy(index, parent, sharedTrack));
}

function parentPolicy(index: PolicyIndex, parent: OutboundParent, track: Track): EncodedPolicy {
  const all = inputs(index, parent, track);
  try {
    return encode(outboundPolicy(parent, all));
  } catch {
    // A value that the wire has no room for, from a source without schema: only the routes that hold one are left out.
    return encode(outboundPolicy(parent, { ...all, routes: all.routes.filter((route) => isEncodable(route, parent, all)) }));
  }
}

function isEncodable(route: RouteRecord, parent: OutboundParent, all: OutboundInputs): boolean {
  try {
    encode(outboundPolicy(parent, { ...all, routes: [route] }));
    return true;
  } catch (error) {
    all.onInvalidRoute(route, error instanceof Error ? error.message : String(error));
    return false;
  }
}

function encode(policy: OutboundPolicyInit): EncodedPolicy {
  return encodePolicy(outbound.OutboundPolicySchema, policy);
}

/** Whether the address went to another Service. One that belongs to nobody may come back, so it does not count. */
function isTaken(
  index: PolicyIndex,
  target: { readonly namespace: string; readonly name: string },
  { ip }: SocketAddress,
  track: Track,
): boolean {
  track(clusterIpKey(ipKey(ip)));
  const owner = index.clusterIps.owner(ip);
  return owner !== undefined && (owner.namespace !== target.namespace || owner.name !== target.name);
}

function serviceParent(
  index: PolicyIndex,
  target: { readonly namespace: string; readonly name: string; readonly port: number },
  sourceNamespace: string,
  lastKnown: { service: ServiceInfo | undefined },
  track: Track,
): ServiceParent {
  const { namespace, name, port } = target;
  track(objectKey('service', namespace, name));
  // A stream outlives its Service (the reference sends nothing when one is deleted), so the Service's last settings do too.
  const service = index.services.get(namespace, name) ?? lastKnown.service;
  lastKnown.service = service;
  const settings = service?.settings ?? NO_SETTINGS;
  return {
    kind: 'Service',
    namespace,
    name,
    port,
    sourceNamespace,
    settings,
    isOpaque: (settings.opaquePorts ?? index.config.defaultOpaquePorts).has(port),
    appProtocol: service?.ports.get(port) ?? '',
  };
}

function egressParent(
  index: PolicyIndex,
  target: { readonly namespace: string; readonly name: string; readonly address: SocketAddress },
  sourceNamespace: string,
  track: Track,
): EgressParent | undefined {
  const { namespace, name, address } = target;
  track(objectKey('egress-network', namespace, name));
  const egress = index.egressNetworks.get(namespace, name);
  if (egress === undefined) return undefined;
  return {
    kind: 'EgressNetwork',
    namespace,
    name,
    port: address.port,
    sourceNamespace,
    settings: egress.settings,
    isOpaque: (egress.settings.opaquePorts ?? index.config.defaultOpaquePorts).has(address.port),
    trafficPolicy: egress.trafficPolicy,
    originalDestination: address,
  };
}

function inputs(index: PolicyIndex, parent: OutboundParent, track: Track): OutboundInputs {
  return {
    routes: attachedRoutes(index, parent, track),
    allowL5dRequestHeaders: index.config.allowL5dRequestHeaders,
    clusterDomain: index.config.clusterDomain,
    hasService(namespace, name) {
      track(objectKey('service', namespace, name));
      return index.services.get(namespace, name) !== undefined;
    },
    hasEgressNetwork(namespace, name) {
      track(objectKey('egress-network', namespace, name));
      return index.egressNetworks.get(namespace, name) !== undefined;
    },
    onInvalidRoute: (route, reason) => index.reportOnce(route, 'ignoring a route', { route: routeKey(route), reason }),
  };
}

function attachedRoutes(index: PolicyIndex, parent: OutboundParent, track: Track): RouteRecord[] {
  // Producer routes are seen by every client, consumer routes by clients of their own namespace only.
  const routes = [...new Set([parent.namespace, parent.sourceNamespace])].flatMap((namespace) => routesOf(index, parent, namespace, track));
  return withinPatternBudget(routes.sort(byRouteAge), (route, reason) =>
    index.reportOnce(route, 'ignoring a route', { route: routeKey(route), reason }),
  );
}

/** The routes of one namespace that are attached to a parent, in no order. */
function routesOf(index: PolicyIndex, parent: OutboundParent, namespace: string, track: Track): RouteRecord[] {
  const key = parentKey(parent);
  track(routesKey(key, namespace));
  return [...index.routes.ofParent(key, namespace)].filter((route) => isAttachedOutbound(route, parent));
}

/** Refuses everything; a later definition of the port does not change it, as in the reference. */
function undefinedPort(target: { readonly namespace: string; readonly name: string; readonly port: number }): OutboundPolicyInit {
  return {
    protocol: {
      kind: {
        case: 'opaque',
        value: {
          routes: [
            {
              metadata: { kind: { case: 'default', value: 'undefined-port' } },
              rules: [{ backends: { kind: { case: 'empty', value: {} } }, filters: [FORBIDDEN_FILTER] }],
            },
          ],
        },
      },
    },
    metadata: portMetadata({ ...target, kind: 'Service' }),
  };
}

/** Lets everything through to where it was going. */
function egressFallback(address: SocketAddress): OutboundPolicyInit {
  const metadata = { kind: { case: 'default', value: 'egress-fallback' } } as const;
  const backends = firstAvailable({ backend: forwardBackend(metadata, address) });
  const http = { routes: [{ metadata, rules: [{ matches: [{}], backends }] }] };
  return {
    protocol: {
      kind: {
        case: 'detect',
        value: {
          timeout: durationOf(DETECT_TIMEOUT_MS),
          opaque: { routes: [{ metadata, rules: [{ backends }] }] },
          http1: http,
          http2: http,
        },
      },
    },
    metadata,
  };
}

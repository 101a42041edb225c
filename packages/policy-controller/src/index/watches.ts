// SPDX-License-Identifier: Apache-2.0
/*
 * The watches of the controller (control-contract §3.1): every kind that policy reads, cluster-wide; of pods only the meshed ones. Kinds that the
 * source does not serve when the process starts are left out for its lifetime.
 */
import {
  AuthorizationPolicyKind,
  EgressNetworkKind,
  ExternalWorkloadKind,
  GRPCRouteKind,
  HTTPLocalRateLimitPolicyKind,
  HTTPRouteKind,
  MeshTLSAuthenticationKind,
  NetworkAuthenticationKind,
  PodKind,
  PolicyHTTPRouteKind,
  type Resource,
  type ResourceKind,
  type ResourceSource,
  type Selector,
  ServerAuthorizationKind,
  ServerKind,
  ServiceKind,
  TCPRouteKind,
  TLSRouteKind,
  type Watch,
} from '@weft/resources';
import { POLICY_GROUP } from '../inbound/authz-message.ts';
import { GATEWAY_GROUP } from '../route/route-record.ts';
import type { PolicyClock, PolicyLog } from '../types.ts';
import type { ObjectCache } from './object-cache.ts';
import type { PolicyIndex } from './policy-index.ts';

export interface Watches {
  /** Resolves once every watch has given its initial list. */
  readonly synced: Promise<void>;
  close(): void;
}

/** Label that the injector puts on meshed pods, with the namespace of their control plane. */
const CONTROL_PLANE_LABEL = 'linkerd.io/control-plane-ns';

/** Milliseconds between questions to a source that does not answer. */
const RETRY_MS = 1000;

/** Watches everything into the index. */
export function startWatches(index: PolicyIndex, source: ResourceSource, log: PolicyLog, clock: PolicyClock): Watches {
  const open: Watch[] = [];
  let isClosed = false;

  async function follow<R extends Resource, T>(kind: ResourceKind<R>, cache: ObjectCache<R, T>, selector?: Selector): Promise<void> {
    if (!(await isServed(kind))) {
      log.info('not watching a kind that is not served', { group: kind.group, version: kind.version, kind: kind.kind });
      return;
    }
    if (isClosed) return;
    await new Promise<void>((resolve) => {
      open.push(
        source.watch(kind, selector, (event) => {
          if (event.type === 'synced') resolve();
          else cache.handle(event);
        }),
      );
    });
  }

  /** Asks until there is an answer: a source that is away when the process starts must not end it. */
  async function isServed(kind: ResourceKind): Promise<boolean> {
    for (;;) {
      try {
        return await source.supports(kind);
      } catch (error) {
        if (isClosed) return false;
        log.warn('the source does not answer', { kind: kind.kind, error: error instanceof Error ? error.message : String(error) });
        await new Promise<void>((resolve) => {
          clock.setTimer(resolve, RETRY_MS);
        });
      }
    }
  }

  // Whose control plane injected a pod does not matter: every meshed pod may ask.
  const meshed: Selector = { hasLabels: [CONTROL_PLANE_LABEL] };
  const followed = [
    follow(PodKind, index.pods, meshed),
    follow(ExternalWorkloadKind, index.externalWorkloads),
    follow(ServerKind, index.servers),
    follow(ServerAuthorizationKind, index.serverAuthorizations),
    follow(AuthorizationPolicyKind, index.authorizationPolicies),
    follow(MeshTLSAuthenticationKind, index.meshTlsAuthentications),
    follow(NetworkAuthenticationKind, index.networkAuthentications),
    follow(HTTPLocalRateLimitPolicyKind, index.rateLimits),
    follow(EgressNetworkKind, index.egressNetworks),
    follow(ServiceKind, index.services),
    follow(PolicyHTTPRouteKind, index.routeCache(POLICY_GROUP, 'HTTPRoute')),
    follow(HTTPRouteKind, index.routeCache(GATEWAY_GROUP, 'HTTPRoute')),
    follow(GRPCRouteKind, index.routeCache(GATEWAY_GROUP, 'GRPCRoute')),
    follow(TLSRouteKind, index.routeCache(GATEWAY_GROUP, 'TLSRoute')),
    follow(TCPRouteKind, index.routeCache(GATEWAY_GROUP, 'TCPRoute')),
  ];
  return {
    synced: Promise.all(followed).then(() => undefined),
    close() {
      isClosed = true;
      for (const watch of open) watch.close();
    },
  };
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Objects whose status this controller writes, each with what its status should say now and whether it says so already (control-contract §3.4).
 * The comparison is a derived value: it changes when the object does, or anything that the verdict was read from.
 */
import {
  EgressNetworkKind,
  GRPCRouteKind,
  HTTPLocalRateLimitPolicyKind,
  HTTPRouteKind,
  PolicyHTTPRouteKind,
  type ResourceKind,
  TCPRouteKind,
  TLSRouteKind,
} from '@weft/resources';
import { POLICY_GROUP } from '../inbound/authz-message.ts';
import type { Derivation, Track } from '../index/dependency-graph.ts';
import { type PolicyIndex, type StatusSubject, objectKey } from '../index/policy-index.ts';
import { routeDependencyKey } from '../index/route-index.ts';
import { type RouteRecord, routeKey } from '../route/route-record.ts';
import { sameConditions, timedConditions } from './conditions.ts';
import { egressNetworkVerdict, rateLimitVerdict } from './policy-status.ts';
import { hasForeignEntries, hasVerdicts, routeVerdicts, statusParents } from './route-status.ts';

/** What is to be written. */
export interface StatusPatch {
  /** Status with conditions timed by `now` where they changed. */
  body(now: string): Readonly<Record<string, unknown>>;
  /** Tells two patches apart; times are not part of it. */
  readonly fingerprint: string;
}

/** The kind to patch, for a subject. */
export function kindOfSubject({ group, kind }: StatusSubject): ResourceKind {
  switch (kind) {
    case 'HTTPRoute':
      return group === POLICY_GROUP ? PolicyHTTPRouteKind : HTTPRouteKind;
    case 'GRPCRoute':
      return GRPCRouteKind;
    case 'TLSRoute':
      return TLSRouteKind;
    case 'TCPRoute':
      return TCPRouteKind;
    case 'HTTPLocalRateLimitPolicy':
      return HTTPLocalRateLimitPolicyKind;
    case 'EgressNetwork':
      return EgressNetworkKind;
  }
}

/** Identity of a subject. */
export function subjectKey({ group, kind, namespace, name }: StatusSubject): string {
  return `${group}/${kind}/${namespace}/${name}`;
}

/** What is to be written to a subject's status; undefined while it says what it should, or does not exist. */
export function statusDerivation(index: PolicyIndex, subject: StatusSubject): Derivation<StatusPatch | undefined> {
  return {
    compute(track) {
      try {
        return computePatch(index, subject, track);
      } catch (error) {
        // Of impossible shape, from a source without schema: nothing can be said of it until it changes.
        index.reportFault(subject, error instanceof Error ? error.message : String(error));
        return undefined;
      }
    },
    equal: (a, b) => a?.fingerprint === b?.fingerprint,
  };
}

function computePatch(index: PolicyIndex, subject: StatusSubject, track: Track): StatusPatch | undefined {
  const { kind, namespace, name } = subject;
  switch (kind) {
    case 'HTTPLocalRateLimitPolicy':
      track(objectKey('rate-limit', namespace, name));
      return rateLimitPatch(index, namespace, name, track);
    case 'EgressNetwork':
      track(objectKey('egress-network', namespace, name));
      return egressNetworkPatch(index, namespace, name);
    default:
      track(routeDependencyKey(routeKey({ ...subject, kind })));
      return routePatch(index, index.routes.get(routeKey({ ...subject, kind })), track);
  }
}

function routePatch(index: PolicyIndex, route: RouteRecord | undefined, track: Track): StatusPatch | undefined {
  if (route === undefined) return undefined;
  const verdicts = routeVerdicts(index, route, track);
  if (hasVerdicts(route, verdicts)) return undefined;
  return {
    body: (now) => ({
      // A merge patch replaces the list; where others write to it too, it must be the list that we read.
      ...(hasForeignEntries(route) ? { metadata: { resourceVersion: route.resourceVersion } } : {}),
      status: { parents: statusParents(route, verdicts, now) },
    }),
    fingerprint: JSON.stringify([verdicts, route.resourceVersion]),
  };
}

function rateLimitPatch(index: PolicyIndex, namespace: string, name: string, track: Track): StatusPatch | undefined {
  const limit = index.rateLimits.get(namespace, name);
  if (limit === undefined) return undefined;
  const verdicts = [rateLimitVerdict(index, limit, track)];
  const targetRef = { group: POLICY_GROUP, kind: 'Server', name: limit.serverName };
  const { status } = limit;
  if (sameConditions(status?.conditions, verdicts) && status?.targetRef?.name === limit.serverName) return undefined;
  return {
    body: (now) => ({ status: { conditions: timedConditions(verdicts, status?.conditions, now), targetRef } }),
    fingerprint: JSON.stringify([verdicts, targetRef, status]),
  };
}

/** Conditions of other types are not ours, and stay. */
function egressNetworkPatch(index: PolicyIndex, namespace: string, name: string): StatusPatch | undefined {
  const egress = index.egressNetworks.get(namespace, name);
  if (egress === undefined) return undefined;
  const verdicts = [egressNetworkVerdict(egress, index.config.clusterNetworks)];
  const current = egress.status?.conditions ?? [];
  const own = current.filter(({ type }) => type === 'Accepted');
  if (sameConditions(own, verdicts)) return undefined;
  const foreign = current.filter(({ type }) => type !== 'Accepted');
  return {
    body: (now) => ({ status: { conditions: [...foreign, ...timedConditions(verdicts, own, now)] } }),
    fingerprint: JSON.stringify([verdicts, current]),
  };
}

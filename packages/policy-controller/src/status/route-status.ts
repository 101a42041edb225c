// SPDX-License-Identifier: Apache-2.0
/*
 * What the status of a route should say (control-contract §3.4, features RT-08, RT-13, RT-14): per supported parent whether it accepts the
 * route, and for outbound parents whether every backend can be resolved. Entries of other controllers are kept as they are.
 */
import type { BackendRef, RouteParentStatus } from '@weft/resources';
import { POLICY_GROUP } from '../inbound/authz-message.ts';
import type { Track } from '../index/dependency-graph.ts';
import { type PolicyIndex, objectKey } from '../index/policy-index.ts';
import { rivalsKey } from '../index/route-index.ts';
import { EGRESS_NEEDS_EGRESS_PARENT, backendKind } from '../outbound/route-backend.ts';
import { CONTROLLER_NAME } from '../route/route-acceptance.ts';
import type { RouteParent, RouteRecord } from '../route/route-record.ts';
import { ACCEPTED, RESOLVED_REFS, type Verdict, notAccepted, sameConditions, timedConditions, unresolvedRefs } from './conditions.ts';

/** One entry that this controller owns. */
export interface ParentVerdict {
  readonly parentRef: Readonly<Record<string, string | number>>;
  readonly verdicts: readonly Verdict[];
}

/** Kinds that win over a kind on the same parent. */
const STRONGER_KINDS: Readonly<Record<RouteRecord['kind'], readonly RouteRecord['kind'][]>> = {
  GRPCRoute: [],
  HTTPRoute: ['GRPCRoute'],
  TLSRoute: ['GRPCRoute', 'HTTPRoute'],
  TCPRoute: ['GRPCRoute', 'HTTPRoute', 'TLSRoute'],
};

/** The verdicts on a route, one per supported parent, in the order of the route's references. */
export function routeVerdicts(index: PolicyIndex, route: RouteRecord, track: Track): ParentVerdict[] {
  return route.parents.map((parent) => ({ parentRef: statusParentRef(parent), verdicts: parentVerdicts(index, route, parent, track) }));
}

/** Whether the route's status says so already. */
export function hasVerdicts(route: RouteRecord, verdicts: readonly ParentVerdict[]): boolean {
  const own = route.statuses.filter(isOwn);
  return (
    own.length === verdicts.length &&
    verdicts.every(({ parentRef, verdicts: wanted }, i) => {
      const entry = own[i];
      return entry !== undefined && sameParentRef(entry, parentRef) && sameConditions(entry.conditions, wanted);
    })
  );
}

/** The `status.parents` to write: the entries of others, then ours. */
export function statusParents(route: RouteRecord, verdicts: readonly ParentVerdict[], now: string): RouteParentStatus[] {
  const foreign = route.statuses.filter((entry) => !isOwn(entry));
  const own = verdicts.map(({ parentRef, verdicts: wanted }) => {
    const before = route.statuses.find((entry) => isOwn(entry) && sameParentRef(entry, parentRef));
    return { parentRef, controllerName: CONTROLLER_NAME, conditions: timedConditions(wanted, before?.conditions, now) };
  });
  return [...foreign, ...own] as RouteParentStatus[];
}

/** Whether another controller has written to the route's status too. */
export function hasForeignEntries(route: RouteRecord): boolean {
  return route.statuses.some((entry) => !isOwn(entry));
}

function isOwn(entry: RouteParentStatus): boolean {
  return entry.controllerName === CONTROLLER_NAME;
}

function sameParentRef(entry: RouteParentStatus, wanted: ParentVerdict['parentRef']): boolean {
  const ref = Object.entries(entry.parentRef).filter(([, value]) => value !== undefined);
  return ref.length === Object.keys(wanted).length && ref.every(([key, value]) => wanted[key] === value);
}

/** The reference as status carries it: the core group spelt out, the namespace always there, a port only where ports mean something. */
function statusParentRef({ kind, namespace, name, port }: RouteParent): ParentVerdict['parentRef'] {
  const ref = { group: kind === 'Service' ? 'core' : POLICY_GROUP, kind, namespace, name };
  return kind === 'Server' || port === undefined ? ref : { ...ref, port };
}

function parentVerdicts(index: PolicyIndex, route: RouteRecord, parent: RouteParent, track: Track): Verdict[] {
  if (parent.kind === 'Server') {
    track(objectKey('server', parent.namespace, parent.name));
    return [index.servers.get(parent.namespace, parent.name) === undefined ? notAccepted('NoMatchingParent') : ACCEPTED];
  }
  const accepted = parent.kind === 'Service' ? serviceVerdict(index, parent, track) : egressNetworkVerdict(index, parent, track);
  const isConflicted = accepted.status === 'True' && hasStrongerRival(index, route, parent, track);
  return [isConflicted ? notAccepted('RouteReasonConflicted') : accepted, backendVerdict(index, route, parent, track)];
}

function serviceVerdict(index: PolicyIndex, { namespace, name }: RouteParent, track: Track): Verdict {
  track(objectKey('service', namespace, name));
  const service = index.services.get(namespace, name);
  if (service === undefined) return notAccepted('NoMatchingParent');
  return service.isHeadless || service.isExternalName ? notAccepted('NoMatchingParent', 'parent service must have a ClusterIP') : ACCEPTED;
}

function egressNetworkVerdict(index: PolicyIndex, { namespace, name }: RouteParent, track: Track): Verdict {
  track(objectKey('egress-network', namespace, name));
  const egress = index.egressNetworks.get(namespace, name);
  if (egress === undefined) return notAccepted('NoMatchingParent');
  const isAccepted = (egress.status?.conditions ?? []).some(({ type, status }) => type === 'Accepted' && status === 'True');
  return isAccepted ? ACCEPTED : notAccepted('NoMatchingParent', 'EgressNetwork parent has not been accepted');
}

/**
 * Any existing route counts as a rival, accepted or not; references with and without port do not meet. Only routes that rule over the same
 * clients are rivals: those of the parent's namespace, and those of the route's own. Else anyone could switch a Service's routes off from a
 * namespace of theirs, by naming the Service in a stronger kind of route.
 */
function hasStrongerRival(index: PolicyIndex, route: RouteRecord, parent: RouteParent, track: Track): boolean {
  for (const namespace of new Set([parent.namespace, route.namespace])) {
    track(rivalsKey(parent, namespace));
    for (const kind of STRONGER_KINDS[route.kind]) if (index.routes.hasRival(parent, namespace, kind)) return true;
  }
  return false;
}

/** The first backend that cannot be resolved decides. */
function backendVerdict(index: PolicyIndex, route: RouteRecord, parent: RouteParent, track: Track): Verdict {
  for (const ref of backendRefs(route)) {
    const verdict = backendRefVerdict(index, route, parent, ref, track);
    if (verdict !== undefined) return verdict;
  }
  return RESOLVED_REFS;
}

function* backendRefs(route: RouteRecord): Iterable<BackendRef> {
  for (const rule of route.spec?.rules ?? []) yield* rule.backendRefs ?? [];
}

function backendRefVerdict(
  index: PolicyIndex,
  route: RouteRecord,
  parent: RouteParent,
  ref: BackendRef,
  track: Track,
): Verdict | undefined {
  const kind = backendKind(ref);
  if (kind === undefined) return unresolvedRefs('InvalidKind');
  const namespace = ref.namespace ?? route.namespace;
  if (kind === 'Service') {
    track(objectKey('service', namespace, ref.name));
    return index.services.get(namespace, ref.name) === undefined ? unresolvedRefs('BackendNotFound') : undefined;
  }
  if (parent.kind !== 'EgressNetwork' || parent.namespace !== namespace || parent.name !== ref.name) {
    return unresolvedRefs('InvalidKind', EGRESS_NEEDS_EGRESS_PARENT);
  }
  track(objectKey('egress-network', namespace, ref.name));
  return index.egressNetworks.get(namespace, ref.name) === undefined ? unresolvedRefs('BackendNotFound') : undefined;
}

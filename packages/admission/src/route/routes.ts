// SPDX-License-Identifier: Apache-2.0
/*
 * Routes of both groups (control-contract §3.5). The Gateway API's own schema rules are its CRDs' business; these are what a mesh needs
 * besides.
 */
import { parseGoDuration } from '@weft/policy-controller/syntax';
import type { Field } from '../field.ts';
import { quote } from '../findings.ts';
import { reviewFilters, reviewGrpcMatches, reviewHttpMatches } from './read-match.ts';
import { type MeshParent, readMeshParents, reviewOutboundAnnotations, reviewParents } from './route-parents.ts';

/** A route under review. */
export interface ReviewedRoute {
  readonly metadata: Field;
  readonly spec: Field;
  readonly namespace: string;
}

/** Reviews a route; nothing is said of one without a parent in the mesh. */
export type ReviewRoute = (route: ReviewedRoute) => void;

/** policy.linkerd.io HTTPRoute. A backend without port is admitted, as by the reference, and warned of. */
export function reviewPolicyHttpRoute(route: ReviewedRoute): void {
  reviewHttpRoute(route, (field, reason) => field.warn(reason));
}

/** gateway.networking.k8s.io HTTPRoute. */
export function reviewGatewayHttpRoute(route: ReviewedRoute): void {
  reviewHttpRoute(route, (field, reason) => field.refuse(reason));
}

/** GRPCRoute. */
export function reviewGrpcRoute(route: ReviewedRoute): void {
  const parents = readMeshParents(route.spec, route.namespace);
  if (parents.length === 0) return;
  reviewParents(parents, route.namespace);
  reviewOutboundAnnotations(route.metadata, parents, 'grpc');
  for (const rule of route.spec.get('rules').items()) {
    if (!rule.isObject()) continue;
    reviewGrpcMatches(rule.get('matches'));
    reviewFilters(rule.get('filters'), 'route');
    reviewBackends(rule, (field, reason) => field.refuse(reason));
  }
}

/** TLSRoute and TCPRoute: one rule, since there is nothing to tell two apart by. */
export function reviewConnectionRoute(route: ReviewedRoute): void {
  const parents = readMeshParents(route.spec, route.namespace);
  if (parents.length === 0) return;
  reviewParents(parents, route.namespace);
  const rules = route.spec.get('rules');
  const count = rules.items().length;
  if (count !== 1) rules.refuse(`exactly one rule is supported, not ${count}; put the backends into one rule, with weights`);
}

type Complain = (field: Field, reason: string) => void;

function reviewHttpRoute(route: ReviewedRoute, onMissingPort: Complain): void {
  const parents: readonly MeshParent[] = readMeshParents(route.spec, route.namespace);
  if (parents.length === 0) return;
  reviewParents(parents, route.namespace);
  reviewOutboundAnnotations(route.metadata, parents, 'http');
  for (const rule of route.spec.get('rules').items()) {
    if (!rule.isObject()) continue;
    reviewHttpMatches(rule.get('matches'));
    reviewFilters(rule.get('filters'), 'route');
    reviewTimeouts(rule.get('timeouts'));
    reviewBackends(rule, onMissingPort);
  }
}

function reviewTimeouts(field: Field): void {
  if (!field.isObject()) return;
  const requestMs = readTimeout(field.get('request'));
  const backendMs = readTimeout(field.get('backendRequest'));
  // 0 is no timeout (GEP-2257).
  if (requestMs === undefined || backendMs === undefined || requestMs === 0 || backendMs <= requestMs) return;
  const backend = field.get('backendRequest');
  backend.refuse(`must not be greater than timeouts.request (${quote(String(field.get('request').value))})`);
}

function readTimeout(field: Field): number | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const parsed = parseGoDuration(text);
  if (parsed.ok) return parsed.value;
  field.refuse(`${quote(text)} is no timeout; write a duration such as 500ms, 10s or 1m30s, not negative`);
  return undefined;
}

function reviewBackends(rule: Field, onMissingPort: Complain): void {
  for (const backend of rule.get('backendRefs').items()) {
    if (!backend.isObject()) continue;
    backend.get('name').requiredText();
    const group = (backend.get('group').text() ?? '').toLowerCase();
    const kind = (backend.get('kind').text() ?? 'Service').toLowerCase();
    const port = backend.get('port').integer(0, 65_535);
    const isService = kind === 'service' && (group === '' || group === 'core');
    if (isService && !port) onMissingPort(backend, 'a backend that is a Service needs a port; requests to it fail without one');
    reviewFilters(backend.get('filters'), 'backend');
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The two reviews (control-contract §3.5, §4.6), as the policy process and sp-validator serve them. Pure: the answer depends on the request
 * alone, so that replicas agree and an object's fate does not hang on what happens to exist.
 */
import { Field } from './field.ts';
import { Findings, quote } from './findings.ts';
import { reviewMeshTlsAuthentication, reviewNetworkAuthentication } from './policy/authentications.ts';
import { reviewAuthorizationPolicy, reviewServerAuthorization } from './policy/authorizations.ts';
import { GATEWAY_GROUP, kindName, POLICY_GROUP } from './policy/object-ref.ts';
import { reviewRateLimit } from './policy/rate-limit.ts';
import { reviewEgressNetwork, reviewServer } from './policy/server.ts';
import { reviewConnectionRoute, reviewGatewayHttpRoute, reviewGrpcRoute, reviewPolicyHttpRoute, type ReviewRoute } from './route/routes.ts';
import { reviewServiceProfileObject } from './service-profile/service-profile.ts';
import type { ReviewAnswer, ReviewRequest } from './types.ts';

const PROFILE_GROUP = 'linkerd.io';
const BAD_REQUEST = 400;

type ReviewSpec = (spec: Field, namespace: string | undefined) => void;

const POLICY_SPECS: Readonly<Record<string, ReviewSpec>> = {
  AuthorizationPolicy: reviewAuthorizationPolicy,
  EgressNetwork: reviewEgressNetwork,
  HTTPLocalRateLimitPolicy: reviewRateLimit,
  MeshTLSAuthentication: reviewMeshTlsAuthentication,
  NetworkAuthentication: reviewNetworkAuthentication,
  Server: reviewServer,
  ServerAuthorization: reviewServerAuthorization,
};

const GATEWAY_ROUTES: Readonly<Record<string, ReviewRoute>> = {
  GRPCRoute: reviewGrpcRoute,
  HTTPRoute: reviewGatewayHttpRoute,
  TCPRoute: reviewConnectionRoute,
  TLSRoute: reviewConnectionRoute,
};

/** Reviews a policy.linkerd.io object or a Gateway API route. Never throws; other kinds are refused, since nobody should send them. */
export function reviewPolicy(request: ReviewRequest): ReviewAnswer {
  const { group, kind } = request.kind;
  const review = policyReview(group, kind);
  if (review === undefined) {
    return { allowed: false, message: `unsupported kind ${quote(kindName(request.kind))}; this webhook reviews policies and routes only` };
  }
  if (!isReviewed(request)) return { allowed: true };
  const findings = new Findings();
  const object = new Field(request.object, '', findings);
  // A list or a text in place of the object has no path of its own to tell.
  if (!isJsonObject(request.object)) findings.shape('object', 'must be an object');
  else review(object, request.namespace ?? object.get('metadata').get('namespace').text());
  const prefix = `${kind} is invalid: `;
  return group === GATEWAY_GROUP ? gatewayAnswer(findings, prefix) : answer(findings, prefix);
}

/** Reviews a ServiceProfile. Never throws. */
export function reviewServiceProfile(request: ReviewRequest): ReviewAnswer {
  const { group, kind } = request.kind;
  if (group !== PROFILE_GROUP || kind !== 'ServiceProfile') {
    const message = `unsupported kind ${quote(kindName(request.kind))}; this webhook reviews ServiceProfiles only`;
    return { allowed: false, message, code: BAD_REQUEST };
  }
  if (!isReviewed(request)) return { allowed: true };
  const findings = new Findings();
  const profile = new Field(request.object, '', findings);
  if (!isJsonObject(request.object)) findings.shape('object', 'must be an object');
  else reviewServiceProfileObject(profile);
  const name = profile.get('metadata').get('name').value;
  const verdict = answer(findings, `ServiceProfile ${quote(typeof name === 'string' ? name : '')} is invalid: `);
  return verdict.allowed ? verdict : { ...verdict, code: BAD_REQUEST };
}

function policyReview(group: string, kind: string): ReviewSpec | undefined {
  const route =
    group === POLICY_GROUP && kind === 'HTTPRoute'
      ? reviewPolicyHttpRoute
      : group === GATEWAY_GROUP && Object.hasOwn(GATEWAY_ROUTES, kind)
        ? GATEWAY_ROUTES[kind]
        : undefined;
  if (route !== undefined) {
    return (object, namespace) => {
      const spec = object.get('spec');
      if (spec.isRequiredObject()) route({ metadata: object.get('metadata'), spec, namespace: namespace ?? '' });
    };
  }
  const review = group === POLICY_GROUP && Object.hasOwn(POLICY_SPECS, kind) ? POLICY_SPECS[kind] : undefined;
  if (review === undefined) return undefined;
  return (object, namespace) => {
    const spec = object.get('spec');
    if (spec.isRequiredObject()) review(spec, namespace);
  };
}

/** Removals and subresources are not reviewed, nor an object that is going: a finalizer must be able to leave a bad one. */
function isReviewed({ operation, subResource, object }: ReviewRequest): boolean {
  if ((operation !== 'CREATE' && operation !== 'UPDATE') || (subResource ?? '') !== '') return false;
  const metadata = isJsonObject(object) ? object['metadata'] : undefined;
  return !isJsonObject(metadata) || (metadata['deletionTimestamp'] ?? undefined) === undefined;
}

function answer(findings: Findings, prefix: string): ReviewAnswer {
  const faults = [...findings.shapes, ...findings.rules];
  if (faults.length === 0) return { allowed: true, ...warningsOf(findings.warnings) };
  return { allowed: false, message: `${prefix}${findings.render(faults)}`, ...warningsOf(findings.warnings) };
}

/** A shape that we do not know may be one of a later version of the Gateway API: admitted, but said. */
function gatewayAnswer(findings: Findings, prefix: string): ReviewAnswer {
  if (findings.shapes.length === 0) return answer(findings, prefix);
  const warning = `admitted without review, since the mesh cannot read it: ${findings.render(findings.shapes)}`;
  return { allowed: true, warnings: [warning] };
}

function warningsOf(warnings: readonly string[]): { warnings?: string[] } {
  return warnings.length === 0 ? {} : { warnings: [...warnings] };
}

function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

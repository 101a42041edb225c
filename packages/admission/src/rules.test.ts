// SPDX-License-Identifier: Apache-2.0
/* Rules that no captured case shows: what is passed over, what is only warned of, and where an object of another controller begins. */
import { createMemorySource, EgressNetworkKind, ServiceKind, type Resource } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { admissionRules } from './admission-rules.ts';
import { reviewPolicy, reviewServiceProfile } from './review.ts';
import type { ReviewAnswer, ReviewRequest } from './types.ts';

const POLICY = 'policy.linkerd.io';
const GATEWAY = 'gateway.networking.k8s.io';

function request(group: string, kind: string, spec: string, more: Partial<ReviewRequest> = {}, metadata = ''): ReviewRequest {
  const object: unknown = { metadata: parse(metadata || '{name: x}') as unknown, spec: parse(spec) as unknown };
  return { kind: { group, version: 'v1', kind }, operation: 'CREATE', namespace: 'ns', object, ...more };
}

const review = (group: string, kind: string, spec: string, metadata?: string): ReviewAnswer =>
  reviewPolicy(request(group, kind, spec, {}, metadata));

const profile = (spec: string, metadata?: string): ReviewAnswer =>
  reviewServiceProfile(request('linkerd.io', 'ServiceProfile', spec, {}, metadata));

/** allowed, refused, or warned of. */
function verdict({ allowed, warnings }: ReviewAnswer): string {
  if (!allowed) return 'refused';
  return warnings === undefined ? 'allowed' : 'warned';
}

const SERVICE = '{group: core, kind: Service, name: s, port: 80}';

describe('[AZ-16] what is reviewed', () => {
  const bad = '{targetRef: {kind: Pod, name: p}, requiredAuthenticationRefs: []}';

  it.each<[string, Partial<ReviewRequest>, string, boolean]>([
    ['a creation', {}, '', false],
    ['a change', { operation: 'UPDATE' }, '', false],
    ['a removal', { operation: 'DELETE', object: null }, '', true],
    ['a subresource', { subResource: 'status' }, '', true],
    ['an object that is going', { operation: 'UPDATE' }, '{deletionTimestamp: "2026-01-01T00:00:00Z"}', true],
  ])('%s', (_, more, metadata, isAllowed) => {
    expect(reviewPolicy(request(POLICY, 'AuthorizationPolicy', bad, more, metadata)).allowed).toBe(isAllowed);
  });

  it.each([
    ['policy.linkerd.io', 'Gateway'],
    ['gateway.networking.k8s.io', 'Gateway'],
    ['', 'Pod'],
  ])('%s %s is refused by both, as nobody should send it', (group, kind) => {
    expect([reviewPolicy(request(group, kind, '{}')).allowed, reviewServiceProfile(request(group, kind, '{}')).allowed]).toEqual([
      false,
      false,
    ]);
  });

  it('a refused profile has the code of a bad request', () => {
    expect(profile('{routes: 1}')).toMatchObject({ allowed: false, code: 400 });
  });
});

describe('[AZ-16] policies', () => {
  it.each([
    ['Server', '{podSelector: {}, port: 0x50}', 'allowed'],
    ['Server', '{podSelector: {}, port: "8080"}', 'warned'],
    ['Server', '{podSelector: {}, port: 80.5}', 'refused'],
    ['Server', '{podSelector: {}}', 'refused'],
    ['Server', '{podSelector: {matchLabels: {a: 1}}, port: 80}', 'refused'],
    ['Server', '{podSelector: {matchExpressions: [{key: a, operator: Is}]}, port: 80}', 'refused'],
    ['Server', '{podSelector: {matchExpressions: [{key: a, operator: In, values: [b]}]}, port: 80, accessPolicy: audit}', 'allowed'],
    ['ServerAuthorization', '{server: {name: s}, client: {meshTLS: {serviceAccounts: [{name: a}]}}}', 'allowed'],
    ['ServerAuthorization', '{server: {name: s}, client: {meshTLS: {unauthenticatedTLS: true, serviceAccounts: [{name: a}]}}}', 'refused'],
    ['ServerAuthorization', '{server: {name: s}}', 'refused'],
    ['AuthorizationPolicy', '{targetRef: {group: POLICY.linkerd.io, kind: server, name: s}, requiredAuthenticationRefs: []}', 'allowed'],
    ['AuthorizationPolicy', '{targetRef: {kind: Server, name: s}, requiredAuthenticationRefs: []}', 'refused'],
    ['AuthorizationPolicy', '{targetRef: {group: policy.linkerd.io, kind: Server, name: s}}', 'refused'],
    ['MeshTLSAuthentication', '{identityRefs: [{kind: Namespace}, {kind: ServiceAccount, name: a, namespace: b}]}', 'allowed'],
    ['MeshTLSAuthentication', '{identities: ["spiffe://a.b/c", "*.x.y", "a-b.c"]}', 'allowed'],
    ['MeshTLSAuthentication', '{identities: ["spiffe://"]}', 'refused'],
    ['MeshTLSAuthentication', '{identities: ["spiffe://td/a/../b"]}', 'refused'],
    ['MeshTLSAuthentication', '{identities: ["spiffe://TD/a"]}', 'refused'],
    ['MeshTLSAuthentication', '{identities: ["spiffe://td/a%20b"]}', 'refused'],
    ['MeshTLSAuthentication', '{identities: ["A.b"]}', 'refused'],
    ['NetworkAuthentication', '{}', 'refused'],
    ['EgressNetwork', '{trafficPolicy: Maybe}', 'refused'],
    [
      'HTTPLocalRateLimitPolicy',
      '{targetRef: {group: policy.linkerd.io, kind: Server, name: s}, total: {requestsPerSecond: 1.5}}',
      'refused',
    ],
    ['HTTPLocalRateLimitPolicy', '{targetRef: {group: policy.linkerd.io, kind: Server, name: s}, overrides: [null]}', 'refused'],
  ])('%s %s is %s', (kind, spec, expected) => {
    expect(verdict(review(POLICY, kind, spec))).toBe(expected);
  });
});

describe('[AZ-16] routes', () => {
  it.each([
    [POLICY, 'HTTPRoute', `{parentRefs: [${SERVICE}], rules: [{backendRefs: [{name: b}]}]}`, 'warned'],
    [GATEWAY, 'HTTPRoute', `{parentRefs: [${SERVICE}], rules: [{backendRefs: [{name: b}]}]}`, 'refused'],
    [GATEWAY, 'HTTPRoute', `{parentRefs: [${SERVICE}], rules: [{backendRefs: [{name: b, kind: Other, group: x}]}]}`, 'allowed'],
    [GATEWAY, 'GRPCRoute', `{parentRefs: [${SERVICE}], rules: [{backendRefs: [{name: b, port: 0}]}]}`, 'refused'],
    [POLICY, 'HTTPRoute', `{parentRefs: [${SERVICE}], rules: [{timeouts: {request: 0s, backendRequest: 2s}}]}`, 'allowed'],
    [POLICY, 'HTTPRoute', `{parentRefs: [${SERVICE}], rules: [{timeouts: {request: -1s}}]}`, 'refused'],
    [POLICY, 'HTTPRoute', '{parentRefs: [{group: policy.linkerd.io, kind: Server, name: s, namespace: other}]}', 'warned'],
    [POLICY, 'HTTPRoute', '{parentRefs: [{group: policy.linkerd.io, kind: EgressNetwork, name: e, port: 443}]}', 'allowed'],
    [POLICY, 'HTTPRoute', `{parentRefs: [${SERVICE}], rules: [{filters: [{type: URLRewrite}]}]}`, 'warned'],
    [POLICY, 'HTTPRoute', `{parentRefs: [${SERVICE}], rules: [{matches: [{headers: [{name: "a b", value: c}]}]}]}`, 'refused'],
    [
      POLICY,
      'HTTPRoute',
      `{parentRefs: [${SERVICE}], rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: "b\\nc"}]}}]}]}`,
      'refused',
    ],
    [POLICY, 'HTTPRoute', '{parentRefs: 1}', 'refused'],
    [GATEWAY, 'HTTPRoute', '{parentRefs: 1}', 'warned'],
    [GATEWAY, 'HTTPRoute', `{parentRefs: [${SERVICE}], rules: [{matches: [{path: 1}]}]}`, 'warned'],
    [GATEWAY, 'TCPRoute', `{parentRefs: [${SERVICE}], rules: []}`, 'refused'],
  ])('%s %s %s is %s', (group, kind, spec, expected) => {
    expect(verdict(review(group, kind, spec))).toBe(expected);
  });

  it('of an ingress alone are its business, whatever they say', () => {
    const spec =
      '{parentRefs: [{kind: Gateway, name: g}], rules: [{backendRefs: [{name: b}], matches: [{path: {type: RegularExpression, value: (}}]}, {}]}';
    expect([GATEWAY, POLICY].map((group) => review(group, 'HTTPRoute', spec))).toEqual([{ allowed: true }, { allowed: true }]);
    expect(review(GATEWAY, 'TCPRoute', '{parentRefs: [{kind: Gateway, name: g}], rules: [{}, {}]}')).toEqual({ allowed: true });
  });

  it('annotations matter to outbound parents only', () => {
    const metadata = '{annotations: {retry.linkerd.io/http: never}}';
    expect(review(POLICY, 'HTTPRoute', `{parentRefs: [${SERVICE}]}`, metadata).allowed).toBe(false);
    expect(review(POLICY, 'HTTPRoute', '{parentRefs: [{group: policy.linkerd.io, kind: Server, name: s}]}', metadata).allowed).toBe(true);
  });
});

describe('[AZ-16] ServiceProfiles', () => {
  const route = (condition: string, more = ''): string => `{routes: [{name: r, condition: ${condition}${more}}]}`;

  it.each([
    [route('{all: [{method: GET}, {not: {pathRegex: /x}}]}'), 'allowed'],
    [route('{all: [{method: GET}, {not: {}}]}'), 'refused'],
    [route('{any: [null]}'), 'refused'],
    [route('{not: {patRegex: /x}}'), 'refused'],
    [route('{method: GET}', ', timeout: -1.5h'), 'allowed'],
    [route('{method: GET}', ', responseClasses: [{isFailure: true}]'), 'refused'],
    [route('{method: GET}', ', responseClasses: [{condition: {status: {min: 500}}}]'), 'allowed'],
    [route('{method: GET}', ', responseClasses: [{condition: {status: {}}}]'), 'allowed'],
    [route('{method: get}'), 'warned'],
    [route('{pathRegex: (}'), 'warned'],
    ['{routes: [null]}', 'refused'],
    ['{routes: [{name: "", condition: {method: GET}}]}', 'refused'],
    ['{extra: 1}', 'refused'],
    ['{opaquePorts: ["80", "90-91"]}', 'allowed'],
    ['{retryBudget: {retryRatio: 0.2, minRetriesPerSecond: -1, ttl: 10s}}', 'refused'],
    ['{retryBudget: {retryRatio: 0.2, minRetriesPerSecond: 1}}', 'refused'],
    ['{dstOverrides: [{authority: a, weight: 500m}]}', 'allowed'],
    ['{dstOverrides: [{authority: a, weight: x}]}', 'refused'],
    ['{dstOverrides: [{weight: 1}]}', 'warned'],
  ])('%s is %s', (spec, expected) => {
    expect(verdict(profile(spec))).toBe(expected);
  });

  it('is named by a DNS name', () => {
    expect(['{name: a_b}', '{name: A.b}', '{generateName: a-}'].map((metadata) => profile('{}', metadata).allowed)).toEqual([
      false,
      false,
      true,
    ]);
  });
});

describe('[AZ-16] as rules of a source', () => {
  it('refuse what the webhooks refuse, tell warnings, and let other kinds be', () => {
    const warnings: string[] = [];
    const source = createMemorySource({
      admit: admissionRules((object: Resource, warning) => warnings.push(`${object.kind} ${object.metadata.name}: ${warning}`)),
    });
    const metadata = { name: 'x', namespace: 'ns' };
    const apiVersion = 'policy.linkerd.io/v1alpha1';
    const egress = { apiVersion, kind: 'EgressNetwork', metadata, spec: { trafficPolicy: 'Allow', networks: [] } };
    expect(() => source.store.create(EgressNetworkKind, egress)).toThrow(/at least one network/);
    source.store.create(ServiceKind, { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ port: 80 }] } });
    source.store.create(
      { group: 'policy.linkerd.io', version: 'v1beta3', kind: 'Server' },
      { apiVersion: 'policy.linkerd.io/v1beta3', kind: 'Server', metadata, spec: { podSelector: {}, port: 'Web' } },
    );
    expect(warnings).toEqual([expect.stringMatching(/^Server x: spec\.port: no container port can be named "Web"/)]);
  });
});

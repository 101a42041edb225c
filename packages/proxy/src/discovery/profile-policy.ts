// SPDX-License-Identifier: Apache-2.0
/*
 * Routing by a ServiceProfile (proxy-contract §5.3, §2.5): where a profile names a service and says how its traffic is split, that wins over the
 * policy; a gateway goes by the service that the profile names in any case. Both become the same snapshot that policies become, so that the data path
 * knows one kind of route. The profile's own routes (classes, retries, timeouts) are not part of it.
 */
import type { Backend, Distribution, HttpRouteMatch, Meta, OutboundPolicy, Profile, Route } from '@weft/routing';

/** Load estimate of balancers that a profile names (§6.1). */
const PROFILE_RTT_MS = 30;
const PROFILE_DECAY_MS = 10_000;
const ANY: HttpRouteMatch = { path: { kind: 'prefix', value: '/' }, headers: [], queryParams: [], method: undefined };

/**
 * The distribution that `profile` asks for at `port`; undefined where it leaves routing to the policy. With `isComplete` the named service itself is
 * enough.
 */
export function profileBackends(profile: Profile, port: number, isComplete: boolean): Distribution | undefined {
  const { fullyQualifiedName, overrides } = profile;
  if (fullyQualifiedName === '') return undefined;
  if (overrides.length > 0) {
    const backends = overrides.map(({ authority, weight }) => ({ backend: backendOf(authority.replace(/\.(?=:\d+$)/, '')), weight }));
    return { kind: 'randomAvailable', backends };
  }
  return isComplete ? { kind: 'firstAvailable', backends: [backendOf(`${fullyQualifiedName}:${port}`)] } : undefined;
}

/** The policy with its routes replaced by one to `backends`; how a connection is read stays as `policy` says. */
export function profilePolicy(policy: OutboundPolicy | undefined, backends: Distribution): OutboundPolicy {
  const meta: Meta = policy?.meta ?? { kind: 'default', name: 'profile' };
  const routeMeta: Meta = { kind: 'default', name: 'profile' };
  const http: Route<HttpRouteMatch> = {
    meta: routeMeta,
    hosts: [],
    rules: [{ matches: [ANY], filters: [], backends, requestTimeoutMs: undefined }],
  };
  const opaque: Route<never> = { meta: routeMeta, hosts: [], rules: [{ matches: [], filters: [], backends, requestTimeoutMs: undefined }] };
  // A gRPC policy's routes would want gRPC matches; HTTP/2 ones serve gRPC as well.
  const protocol =
    policy === undefined || policy.protocol === 'invalid' ? 'detect' : policy.protocol === 'grpc' ? 'http2' : policy.protocol;
  return { meta, protocol, http1: [http], http2: [http], grpc: [], opaque: policy?.protocol === 'tls' ? policy.opaque : [opaque] };
}

/** `name.namespace.svc.…:port` as a Service; anything else without a meta of its own. */
function backendOf(path: string): Backend {
  const [, name, namespace, port] = /^([^.:]+)\.([^.:]+)\.svc\.[^:]*:(\d+)$/.exec(path) ?? [];
  const meta: Meta =
    name === undefined || namespace === undefined
      ? { kind: 'default', name: 'unknown' }
      : { kind: 'resource', resource: { group: 'core', kind: 'Service', name, namespace, section: '', port: Number(port) } };
  return { meta, filters: [], target: { kind: 'balance', path, defaultRttMs: PROFILE_RTT_MS, decayMs: PROFILE_DECAY_MS } };
}

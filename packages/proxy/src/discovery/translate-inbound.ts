// SPDX-License-Identifier: Apache-2.0
/* Inbound Server messages → snapshots (proxy-contract §5.5 "Inbound Server"), and the built-in default policies (§5.4). */
import { defaultPolicy, loopbackAuthorization } from '@weft/authz';
import type { Authn_PermitMeshTLS, Authz, GrpcRoute, HttpLocalRateLimit, HttpRoute, Server } from '@weft/proto/inbound';
import type {
  Authorization,
  Filter,
  GrpcRouteMatch,
  HttpRouteMatch,
  InboundPolicy,
  InboundRateLimit,
  InboundRoute,
  Meta,
} from '@weft/routing';
import {
  TranslationError,
  durationMs,
  grpcFailure,
  grpcMatch,
  headerModifier,
  hostMatch,
  httpFailure,
  httpMatch,
  ipText,
  metaOf,
  redirectFilter,
  required,
} from './translate-common.ts';

/** Throws TranslationError where the message breaks the contract. */
export function inboundPolicy(server: Server): InboundPolicy {
  const meta = serverMeta(server.labels);
  // Whatever the control plane says, a pod may talk to itself (§5.4).
  const authorizations = [...server.authorizations.map(authorization), loopbackAuthorization()];
  const base = { meta, authorizations, detectTimeoutMs: 10_000, httpRoutes: [], grpcRoutes: [], rateLimit: undefined } as const;
  const kind = required(server.protocol, 'protocol').kind;
  switch (kind.case) {
    case 'detect':
      return {
        ...base,
        protocol: 'detect',
        detectTimeoutMs: durationMs(required(kind.value.timeout, 'detect timeout')),
        httpRoutes: kind.value.httpRoutes.map(httpRoute),
        rateLimit: rateLimit(kind.value.httpLocalRateLimit),
      };
    case 'http1':
    case 'http2':
      return {
        ...base,
        protocol: kind.case,
        httpRoutes: kind.value.routes.map(httpRoute),
        rateLimit: rateLimit(kind.value.localRateLimit),
      };
    case 'grpc':
      return { ...base, protocol: 'grpc', grpcRoutes: kind.value.routes.map(grpcRoute) };
    case 'opaque':
    case 'tls':
      return { ...base, protocol: kind.case };
    case undefined:
      throw new TranslationError('protocol has no kind');
    default:
      return kind satisfies never;
  }
}

/** A built-in default policy for a port (§5.4). */
export function builtInPolicy(name: string, clusterNetworks: readonly string[], isOpaque: boolean): InboundPolicy {
  return {
    meta: { group: '', kind: 'default', name },
    protocol: isOpaque ? 'opaque' : 'detect',
    detectTimeoutMs: 10_000,
    authorizations: defaultPolicy(name, clusterNetworks),
    httpRoutes: [],
    grpcRoutes: [],
    rateLimit: undefined,
  };
}

function rateLimit(limit: HttpLocalRateLimit | undefined): InboundRateLimit | undefined {
  if (limit === undefined) return undefined;
  return {
    meta: metaOf(limit.metadata),
    totalPerSecond: limit.total?.requestsPerSecond,
    identityPerSecond: limit.identity?.requestsPerSecond,
    overrides: limit.overrides.map(({ limit: own, clients }) => ({
      perSecond: own?.requestsPerSecond ?? 0,
      identities: clients?.identities.map(({ name }) => name) ?? [],
    })),
  };
}

/** `labels.name` is required; `default:<x>` is the legacy form of a default policy. */
function serverMeta(labels: Readonly<Record<string, string>>): InboundPolicy['meta'] {
  const name = required(labels['name'], 'label name');
  if (name.startsWith('default:')) return { group: '', kind: 'default', name: name.slice('default:'.length) };
  return { group: labels['group'] ?? 'policy.linkerd.io', kind: labels['kind'] ?? 'server', name };
}

function authorization(authz: Authz): Authorization {
  if (authz.networks.length === 0) throw new TranslationError('authorization has no networks');
  const permit = required(authz.authentication, 'authentication').permit;
  let authentication: Authorization['authentication'];
  switch (permit.case) {
    case 'unauthenticated':
      authentication = { kind: 'unauthenticated' };
      break;
    case 'meshTLS':
      authentication = meshTls(permit.value);
      break;
    case undefined:
      throw new TranslationError('authentication has no permit');
    default:
      authentication = permit satisfies never;
  }
  return {
    meta: authzMeta(authz),
    networks: authz.networks.map((network) => ({
      net: cidr(network.net),
      except: network.except.map(cidr),
    })),
    authentication,
  };
}

function meshTls(permit: Authn_PermitMeshTLS): Authorization['authentication'] {
  switch (permit.clients.case) {
    case 'unauthenticated':
      return { kind: 'tls' };
    case 'identities':
      return {
        kind: 'identities',
        identities: permit.clients.value.identities.map((identity) => identity.name),
        suffixes: permit.clients.value.suffixes.map((suffix) => suffix.parts.join('.')),
      };
    case undefined:
      throw new TranslationError('mesh TLS permits nobody');
    default:
      return permit.clients satisfies never;
  }
}

function cidr(network: { readonly ip?: Parameters<typeof ipText>[0]; readonly prefixLen: number } | undefined): string {
  const present = required(network, 'network');
  return `${ipText(present.ip)}/${present.prefixLen}`;
}

/** Metadata, or the legacy labels. */
function authzMeta(authz: Authz): Meta {
  if (authz.metadata?.kind.case !== undefined) return metaOf(authz.metadata);
  const name = required(authz.labels['name'], 'authorization metadata');
  if (name.startsWith('default:')) return { kind: 'default', name: name.slice('default:'.length) };
  return {
    kind: 'resource',
    resource: {
      group: authz.labels['group'] ?? 'policy.linkerd.io',
      kind: authz.labels['kind'] ?? 'serverauthorization',
      name,
      namespace: '',
      section: '',
      port: 0,
    },
  };
}

function httpRoute(route: HttpRoute): InboundRoute<HttpRouteMatch> {
  return {
    meta: metaOf(route.metadata),
    hosts: route.hosts.map(hostMatch),
    authorizations: route.authorizations.map(authorization),
    rules: route.rules.map((rule) => ({
      matches: rule.matches.map(httpMatch),
      filters: rule.filters.map((filter): Filter => {
        switch (filter.kind.case) {
          case 'failureInjector':
            return httpFailure(filter.kind.value);
          case 'requestHeaderModifier':
            return { kind: 'requestHeaders', modifier: headerModifier(filter.kind.value) };
          case 'redirect':
            return redirectFilter(filter.kind.value);
          case undefined:
            throw new TranslationError('filter is empty');
          default:
            return filter.kind satisfies never;
        }
      }),
    })),
  };
}

function grpcRoute(route: GrpcRoute): InboundRoute<GrpcRouteMatch> {
  return {
    meta: metaOf(route.metadata),
    hosts: route.hosts.map(hostMatch),
    authorizations: route.authorizations.map(authorization),
    rules: route.rules.map((rule) => ({
      matches: rule.matches.map(grpcMatch),
      filters: rule.filters.map((filter): Filter => {
        switch (filter.kind.case) {
          case 'failureInjector':
            return grpcFailure(filter.kind.value);
          case 'requestHeaderModifier':
            return { kind: 'requestHeaders', modifier: headerModifier(filter.kind.value) };
          case undefined:
            throw new TranslationError('filter is empty');
          default:
            return filter.kind satisfies never;
        }
      }),
    })),
  };
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The world as the policy controller knows it: one cache per watched kind (control-contract §3.1), the indexes between them, and the graph
 * that tells derived values when something they read has changed. It holds facts only; what they mean is said in inbound/, outbound/ and
 * status/.
 */
import type {
  AuthorizationPolicy,
  EgressNetwork,
  ExternalWorkload,
  HTTPLocalRateLimitPolicy,
  MeshTLSAuthentication,
  NetworkAuthentication,
  Pod,
  Resource,
  Server,
  ServerAuthorization,
  Service,
} from '@weft/resources';
import { POLICY_GROUP } from '../inbound/authz-message.ts';
import { authenticatedNetworks, meshTlsIdentities } from '../inbound/authentication.ts';
import { type AuthorizationPolicyInfo, authorizationPolicyInfo } from '../inbound/authorization-policy.ts';
import type { IdentityMatch } from '../inbound/identity-match.ts';
import { type RateLimitInfo, rateLimitInfo } from '../inbound/rate-limit.ts';
import { type ServerAuthorizationInfo, serverAuthorizationInfo } from '../inbound/server-authorization.ts';
import { type ServerInfo, serverInfo } from '../inbound/server-info.ts';
import { type WorkloadInfo, externalWorkloadInfo, podInfo } from '../inbound/workload-info.ts';
import { ClusterIpIndex } from '../outbound/cluster-ip-index.ts';
import { type EgressNetworkInfo, egressNetworkInfo } from '../outbound/egress-network-info.ts';
import { type ServiceInfo, serviceInfo } from '../outbound/service-info.ts';
import type { NetworkMatch } from '../parse/ip-network.ts';
import { type Parsed, valid } from '../parse/parsed.ts';
import type { PolicyConfig } from '../policy-config.ts';
import { type RouteKindName, type RouteRecord, routeRecord } from '../route/route-record.ts';
import type { PolicyLog } from '../types.ts';
import type { DependencyGraph } from './dependency-graph.ts';
import { ObjectCache } from './object-cache.ts';
import { RouteIndex } from './route-index.ts';
import { SharedComputations } from './shared-computations.ts';

/** Names an object whose status this controller writes. */
export interface StatusSubject {
  readonly group: string;
  readonly kind: RouteKindName | 'HTTPLocalRateLimitPolicy' | 'EgressNetwork';
  readonly namespace: string;
  readonly name: string;
}

/** Kinds whose objects are depended on one by one. */
export type NamedKind = 'pod' | 'external-workload' | 'server' | 'mesh-tls' | 'network-auth' | 'service' | 'egress-network' | 'rate-limit';

/** Kinds of which a derivation reads all that a namespace has. */
export type NamespaceKindName = 'servers' | 'server-authorizations' | 'authorization-policies' | 'rate-limits';

/** What a derivation depends on when it reads one object, present or not. */
export function objectKey(kind: NamedKind, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

/** What a derivation depends on when it reads all objects of a kind in a namespace. */
export function namespaceKey(kind: NamespaceKindName, namespace: string): string {
  return `${kind}-in/${namespace}`;
}

/** What a change of a kind means for those who depend on it. */
type OnChange<T> = (namespace: string, name: string, before: T | undefined, after: T | undefined) => void;

export class PolicyIndex {
  readonly graph: DependencyGraph;
  readonly shared: SharedComputations;
  readonly config: PolicyConfig;
  readonly routes: RouteIndex;
  readonly clusterIps: ClusterIpIndex;
  readonly pods: ObjectCache<Pod, WorkloadInfo>;
  readonly externalWorkloads: ObjectCache<ExternalWorkload, WorkloadInfo>;
  readonly servers: ObjectCache<Server, ServerInfo>;
  readonly serverAuthorizations: ObjectCache<ServerAuthorization, ServerAuthorizationInfo>;
  readonly authorizationPolicies: ObjectCache<AuthorizationPolicy, AuthorizationPolicyInfo>;
  readonly meshTlsAuthentications: ObjectCache<MeshTLSAuthentication, readonly IdentityMatch[]>;
  readonly networkAuthentications: ObjectCache<NetworkAuthentication, readonly NetworkMatch[]>;
  readonly rateLimits: ObjectCache<HTTPLocalRateLimitPolicy, RateLimitInfo>;
  readonly services: ObjectCache<Service, ServiceInfo>;
  readonly egressNetworks: ObjectCache<EgressNetwork, EgressNetworkInfo>;
  private readonly log: PolicyLog;
  private readonly reported = new WeakSet<object>();
  private readonly subjectListeners = new Set<(subject: StatusSubject, isPresent: boolean) => void>();
  private readonly egressListeners = new Set<(namespace: string) => void>();

  constructor(graph: DependencyGraph, config: PolicyConfig, log: PolicyLog) {
    this.graph = graph;
    this.shared = new SharedComputations(graph);
    this.config = config;
    this.log = log;
    const touch = (key: string): void => graph.touch(key);
    const one =
      <T>(kind: NamedKind): OnChange<T> =>
      (namespace, name) =>
        touch(objectKey(kind, namespace, name));
    const allOf =
      <T>(kind: NamespaceKindName): OnChange<T> =>
      (namespace) =>
        touch(namespaceKey(kind, namespace));
    const both =
      <T>(kind: NamedKind, plural: NamespaceKindName): OnChange<T> =>
      (namespace, name) => {
        touch(objectKey(kind, namespace, name));
        touch(namespaceKey(plural, namespace));
      };
    this.routes = new RouteIndex(touch);
    this.clusterIps = new ClusterIpIndex(touch);
    this.pods = this.cache(podInfo, one('pod'));
    this.externalWorkloads = this.cache(externalWorkloadInfo, one('external-workload'));
    this.servers = this.cache(serverInfo, both('server', 'servers'));
    this.serverAuthorizations = this.cache(
      (object) => serverAuthorizationInfo(object, config, config.clusterNetworks),
      allOf('server-authorizations'),
    );
    this.authorizationPolicies = this.cache((object) => authorizationPolicyInfo(object, config), allOf('authorization-policies'));
    this.meshTlsAuthentications = this.cache((object) => meshTlsIdentities(object, config), one('mesh-tls'));
    this.networkAuthentications = this.cache(authenticatedNetworks, one('network-auth'));
    this.rateLimits = this.cache(
      (object) => rateLimitInfo(object, config),
      (namespace, name, before, after) => {
        touch(objectKey('rate-limit', namespace, name));
        touch(namespaceKey('rate-limits', namespace));
        this.tellSubject({ group: POLICY_GROUP, kind: 'HTTPLocalRateLimitPolicy', namespace, name }, before, after);
      },
    );
    this.services = this.cache(
      (object) => serviceInfo(object, this.ignoring(object)),
      (namespace, name, before, after) => {
        this.clusterIps.change({ namespace, name }, before?.clusterIps ?? [], after?.clusterIps ?? []);
        touch(objectKey('service', namespace, name));
      },
    );
    this.egressNetworks = this.cache(
      (object) => egressNetworkInfo(object, config.clusterNetworks, this.ignoring(object)),
      (namespace, name, before, after) => {
        touch(objectKey('egress-network', namespace, name));
        this.tellSubject({ group: POLICY_GROUP, kind: 'EgressNetwork', namespace, name }, before, after);
        if (before?.fingerprint === after?.fingerprint) return;
        for (const listener of this.egressListeners) listener(namespace);
      },
    );
  }

  /** A cache of one kind of routes, whose records go into `routes`. */
  routeCache<R extends Parameters<typeof routeRecord>[2]>(group: string, kind: RouteKindName): ObjectCache<R, RouteRecord> {
    return this.cache(
      (object) => valid(routeRecord(group, kind, object)),
      (namespace, name, before, after) => {
        this.routes.change(before, after);
        this.tellSubject({ group, kind, namespace, name }, before, after);
      },
    );
  }

  /** Calls `listener` with the namespace whenever an EgressNetwork comes, goes or changes in more than its status. */
  onEgressNetworkChange(listener: (namespace: string) => void): () => void {
    this.egressListeners.add(listener);
    return () => this.egressListeners.delete(listener);
  }

  /** Calls `listener` whenever an object whose status is ours to write comes or goes. */
  onStatusSubject(listener: (subject: StatusSubject, isPresent: boolean) => void): () => void {
    this.subjectListeners.add(listener);
    return () => this.subjectListeners.delete(listener);
  }

  /** All objects whose status is ours to write. */
  *statusSubjects(): IterableIterator<StatusSubject> {
    for (const { group, kind, namespace, name } of this.routes.all()) yield { group, kind, namespace, name };
    for (const { namespace, name } of this.rateLimits.all())
      yield { group: POLICY_GROUP, kind: 'HTTPLocalRateLimitPolicy', namespace, name };
    for (const { namespace, name } of this.egressNetworks.all()) yield { group: POLICY_GROUP, kind: 'EgressNetwork', namespace, name };
  }

  private tellSubject(subject: StatusSubject, before: unknown, after: unknown): void {
    if ((before === undefined) === (after === undefined)) return;
    for (const listener of this.subjectListeners) listener(subject, after !== undefined);
  }

  /** Warns about `subject` (an object as it is now), the first time only: policies that read it are recomputed often. */
  reportOnce(subject: object, message: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.reported.has(subject)) return;
    this.reported.add(subject);
    this.log.warn(message, fields);
  }

  /** Warns that the status of an object cannot be told. */
  reportFault({ kind, namespace, name }: StatusSubject, reason: string): void {
    this.log.warn('ignoring an object in status', { kind, namespace, name, reason });
  }

  private cache<R extends Resource, T>(project: (object: R) => Parsed<T>, onChange: OnChange<T>): ObjectCache<R, T> {
    return new ObjectCache<R, T>({
      project,
      onChange,
      onInvalid: (object, reason) => this.log.warn('ignoring an invalid object', { ...objectFields(object), reason }),
    });
  }

  private ignoring(object: Resource): (reason: string) => void {
    return (reason) => this.log.warn('ignoring an invalid annotation', { ...objectFields(object), reason });
  }
}

function objectFields(object: Resource): Record<string, string> {
  return { kind: object.kind, namespace: object.metadata.namespace, name: object.metadata.name };
}

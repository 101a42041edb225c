// SPDX-License-Identifier: Apache-2.0
/*
 * The core/v1 kinds besides Pod: namespaces, services and their legacy endpoints, nodes, secrets, config maps, service accounts and
 * events. Source: the Kubernetes API; typed are the fields that Weft reads or writes (control-contract §1.4 to §1.7, §3, §6.2).
 */
import type { Resource, ResourceKind } from '../types.ts';
import { clusterKind, namespacedKind } from './meta.ts';
import type { Condition, IntOrString, ObjectReference } from './meta.ts';

export type Namespace = Resource<{ readonly finalizers?: readonly string[] }, { readonly phase?: string }>;

/** One port of a service. `targetPort` unset means `port`; a name is looked up in each pod. */
export interface ServicePort {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: IntOrString;
  readonly protocol?: string;
  readonly appProtocol?: string;
  readonly nodePort?: number;
}

/** What a service asks for; `clusterIP` is 'None' for a headless one. */
export interface ServiceSpec {
  readonly type?: string;
  readonly clusterIP?: string;
  readonly clusterIPs?: readonly string[];
  readonly ipFamilies?: readonly string[];
  readonly externalName?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly ports?: readonly ServicePort[];
  readonly internalTrafficPolicy?: string;
  readonly sessionAffinity?: string;
  readonly publishNotReadyAddresses?: boolean;
  readonly [field: string]: unknown;
}

export type Service = Resource<ServiceSpec, Readonly<Record<string, unknown>>>;

/** One address of a legacy Endpoints subset. */
export interface EndpointAddress {
  readonly ip: string;
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly targetRef?: ObjectReference;
}

/** A set of addresses and ports: every address listens on every port. */
export interface EndpointSubset {
  readonly addresses?: readonly EndpointAddress[];
  readonly notReadyAddresses?: readonly EndpointAddress[];
  readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string; readonly appProtocol?: string }[];
}

export interface Endpoints extends Resource {
  readonly subsets?: readonly EndpointSubset[];
}

/** Where a node is reachable, and what it calls itself. */
export interface NodeStatus {
  readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  readonly conditions?: readonly Condition[];
}

export type Node = Resource<
  { readonly podCIDR?: string; readonly podCIDRs?: readonly string[]; readonly unschedulable?: boolean },
  NodeStatus
>;

export interface Secret extends Resource {
  readonly type?: string;
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface ConfigMap extends Resource {
  readonly data?: Readonly<Record<string, string>>;
  /** Values in base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

export interface ServiceAccount extends Resource {
  readonly automountServiceAccountToken?: boolean;
}

export interface Event extends Resource {
  readonly involvedObject?: ObjectReference;
  readonly reason?: string;
  readonly message?: string;
  readonly type?: string;
  readonly count?: number;
  readonly firstTimestamp?: string;
  readonly lastTimestamp?: string;
  readonly source?: { readonly component?: string; readonly host?: string };
}

/** core/v1 Namespace. */
export const NamespaceKind: ResourceKind<Namespace> = clusterKind('', 'v1', 'Namespace', 'namespaces');
/** core/v1 Service. */
export const ServiceKind: ResourceKind<Service> = namespacedKind('', 'v1', 'Service', 'services');
/** core/v1 Endpoints, deprecated in favour of EndpointSlice. */
export const EndpointsKind: ResourceKind<Endpoints> = namespacedKind('', 'v1', 'Endpoints', 'endpoints');
/** core/v1 Node. */
export const NodeKind: ResourceKind<Node> = clusterKind('', 'v1', 'Node', 'nodes');
/** core/v1 Secret. */
export const SecretKind: ResourceKind<Secret> = namespacedKind('', 'v1', 'Secret', 'secrets');
/** core/v1 ConfigMap. */
export const ConfigMapKind: ResourceKind<ConfigMap> = namespacedKind('', 'v1', 'ConfigMap', 'configmaps');
/** core/v1 ServiceAccount. */
export const ServiceAccountKind: ResourceKind<ServiceAccount> = namespacedKind('', 'v1', 'ServiceAccount', 'serviceaccounts');
/** core/v1 Event. */
export const EventKind: ResourceKind<Event> = namespacedKind('', 'v1', 'Event', 'events');

// SPDX-License-Identifier: Apache-2.0
/*
 * What traffic is addressed to, resolved: one port of a Service or EgressNetwork with its settings, and the backend that it has when no route
 * says otherwise (control-contract §3.3).
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { meta, net, outbound } from '@weft/proto';
import { POLICY_GROUP } from '../inbound/authz-message.ts';
import { durationOf } from '../parse/duration.ts';
import { type IpAddress, ipMessage } from '../parse/ip-network.ts';
import type { OutboundParentRef } from '../route/route-acceptance.ts';
import { type LoadInit, PLAIN_LOAD } from './load-biaser.ts';
import type { TrafficSettings } from './service-info.ts';

export type BackendInit = MessageInitShape<typeof outbound.BackendSchema>;
export type MetadataInit = MessageInitShape<typeof meta.MetadataSchema>;

/** Requests that may wait for a backend. Proxies use their own numbers, but insist on a queue (proxy-contract §5.5). */
const QUEUE_CAPACITY = 100;
const QUEUE_FAILFAST_MS = 3000;

interface OutboundParentBase extends OutboundParentRef {
  readonly sourceNamespace: string;
  readonly settings: TrafficSettings;
  readonly isOpaque: boolean;
}

export interface ServiceParent extends OutboundParentBase {
  readonly kind: 'Service';
  /** In lower case, '' where there is none. */
  readonly appProtocol: string;
}

export interface EgressParent extends OutboundParentBase {
  readonly kind: 'EgressNetwork';
  readonly trafficPolicy: 'Allow' | 'Deny';
  readonly originalDestination: SocketAddress;
}

export type OutboundParent = ServiceParent | EgressParent;

export interface SocketAddress {
  readonly ip: IpAddress;
  readonly port: number;
}

/** The queue of every backend. */
export const QUEUE: MessageInitShape<typeof outbound.QueueSchema> = {
  capacity: QUEUE_CAPACITY,
  failfastTimeout: durationOf(QUEUE_FAILFAST_MS),
};

/** Metadata of one port of an object; the core group is spelt out on the wire. */
export function portMetadata(ref: OutboundParentRef): MetadataInit {
  const group = ref.kind === 'Service' ? 'core' : POLICY_GROUP;
  const { kind, name, namespace, port } = ref;
  return { kind: { case: 'resource', value: { group, kind, name, namespace, port } } };
}

/** Balances over a Service's endpoints. */
export function serviceBackend(ref: OutboundParentRef, load: LoadInit, clusterDomain: string): BackendInit {
  const path = `${ref.name}.${ref.namespace}.svc.${clusterDomain}:${ref.port}`;
  return {
    metadata: portMetadata(ref),
    queue: QUEUE,
    kind: { case: 'balancer', value: { discovery: { kind: { case: 'dst', value: { path } } }, load } },
  };
}

/** Sends to the address that the client dialled. */
export function forwardBackend(metadata: MetadataInit, address: SocketAddress): BackendInit {
  return { metadata, queue: QUEUE, kind: { case: 'forward', value: { addr: tcpAddress(address), weight: 1 } } };
}

/** Where traffic goes when no route says otherwise. `isHttp`: whether failures can be seen, and hence penalised. */
export function ownBackend(parent: OutboundParent, isHttp: boolean, clusterDomain: string): BackendInit {
  if (parent.kind === 'EgressNetwork') return forwardBackend(portMetadata(parent), parent.originalDestination);
  return serviceBackend(parent, isHttp ? parent.settings.load : PLAIN_LOAD, clusterDomain);
}

function tcpAddress({ ip, port }: SocketAddress): MessageInitShape<typeof net.TcpAddressSchema> {
  return { ip: ipMessage(ip), port };
}

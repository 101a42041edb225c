// SPDX-License-Identifier: Apache-2.0
/*
 * The message of one endpoint (control-contract §1.6), for Get and for endpoint profiles alike: labels, TLS identity, protocol hint, HTTP/2
 * parameters. What differs between the two (zone locality, namespace label) is added by the caller as labels.
 */
import { create } from '@bufbuild/protobuf';
import { destination } from '@weft/proto';

import type { IpAddress } from './ip-address.ts';
import { toTcpAddress } from './ip-address.ts';
import type { DestinationOptions } from './options.ts';
import type { PortSet } from './port-set.ts';
import type { ExternalWorkloadRecord } from './records/external-workload-record.ts';
import type { PodRecord } from './records/pod-record.ts';
import { ownerLabel, type WorkloadOwner } from './workload-owner.ts';

/** Weight of every endpoint; ten times as much in the same zone under `hasZoneWeights`. */
export const DEFAULT_WEIGHT = 10_000;

/** What translation depends on besides the endpoint. */
export interface TranslationContext {
  readonly options: DestinationOptions;
  readonly defaultOpaquePorts: PortSet;
}

/** An endpoint's place on the network, and labels to add. */
export interface EndpointPlace {
  readonly ip: IpAddress;
  readonly port: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** An endpoint of which only the address is known. */
export function bareAddr(place: EndpointPlace): destination.WeightedAddr {
  return create(destination.WeightedAddrSchema, {
    addr: toTcpAddress(place.ip, place.port),
    weight: DEFAULT_WEIGHT,
    metricLabels: { ...place.labels },
  });
}

/** Whether the pod itself says that its port is opaque: by its annotation, or by the defaults where it has none (§1.7). */
export function isPodPortOpaque(context: TranslationContext, pod: PodRecord, port: number): boolean {
  return (pod.opaquePorts ?? context.defaultOpaquePorts).has(port);
}

/** As `isPodPortOpaque`, for an external workload. */
export function isWorkloadPortOpaque(context: TranslationContext, workload: ExternalWorkloadRecord, port: number): boolean {
  return (workload.opaquePorts ?? context.defaultOpaquePorts).has(port);
}

/** Whether traffic to this port passes the pod's proxy. */
export function isMeshedPort(pod: PodRecord, port: number): boolean {
  return pod.controlPlaneNamespace !== undefined && pod.skippedInboundPorts?.has(port) !== true;
}

/** An endpoint that is a pod. Undefined when the pod claims to be meshed but does not say where its proxy listens. */
export function podAddr(
  context: TranslationContext,
  place: EndpointPlace,
  pod: PodRecord,
  owner: WorkloadOwner,
  hasOpaqueServer: boolean,
): destination.WeightedAddr | undefined {
  const { options } = context;
  const message = bareAddr(place);
  const labels = message.metricLabels;
  labels['pod'] = pod.name;
  labels[ownerLabel(owner.kind)] = owner.name;
  labels['serviceaccount'] = pod.serviceAccount;
  if (pod.controlPlaneNamespace !== undefined) labels['control_plane_ns'] = pod.controlPlaneNamespace;
  if (pod.podTemplateHash !== undefined) labels['pod_template_hash'] = pod.podTemplateHash;
  if (!isMeshedPort(pod, place.port)) return message;
  if (pod.proxyPorts === undefined) return undefined;
  const isOpaque = hasOpaqueServer || isPodPortOpaque(context, pod, place.port);
  const isProxyPort = place.port === pod.proxyPorts.admin || place.port === pod.proxyPorts.control;
  const hint = protocolHint(isOpaque, options.isH2UpgradeEnabled);
  if (!isProxyPort && (isOpaque || options.transportMode === 'transport-header')) setInboundPort(hint, pod.proxyPorts.inbound);
  message.protocolHint = hint;
  message.http2 = options.http2ClientParams;
  if (pod.controlPlaneNamespace === options.controllerNamespace) {
    const name = `${pod.serviceAccount}.${pod.namespace}.serviceaccount.identity.${options.controllerNamespace}.${options.trustDomain}`;
    message.tlsIdentity = create(destination.TlsIdentitySchema, {
      strategy: { case: 'dnsLikeIdentity', value: dnsIdentity(name) },
      serverName: dnsIdentity(name),
    });
  }
  return message;
}

/** An endpoint that is an external workload. HTTP/2 is hinted whatever the upgrade option says, as the reference does. */
export function externalWorkloadAddr(
  context: TranslationContext,
  place: EndpointPlace,
  workload: ExternalWorkloadRecord,
  owner: WorkloadOwner,
  hasOpaqueServer: boolean,
): destination.WeightedAddr {
  const { options } = context;
  const message = bareAddr(place);
  message.metricLabels['external_workload'] = workload.name;
  if (owner.kind !== '') message.metricLabels[ownerLabel(owner.kind)] = owner.name;
  const isOpaque = hasOpaqueServer || isWorkloadPortOpaque(context, workload, place.port);
  const hint = protocolHint(isOpaque, true);
  if (isOpaque || options.transportMode === 'transport-header') setInboundPort(hint, workload.inboundPort);
  message.protocolHint = hint;
  message.http2 = options.http2ClientParams;
  message.tlsIdentity = create(destination.TlsIdentitySchema, {
    strategy: { case: 'uriLikeIdentity', value: create(destination.TlsIdentity_UriLikeIdentitySchema, { uri: workload.identity }) },
    serverName: dnsIdentity(workload.serverName),
  });
  return message;
}

/** An address that stands for itself; with an identity it is a gateway of another mesh (§1.6, service-ref). */
export function serviceRefAddr(
  context: TranslationContext,
  place: EndpointPlace,
  identity: string | undefined,
  authorityOverride: string | undefined,
): destination.WeightedAddr {
  const message = bareAddr(place);
  if (identity === undefined) return message;
  message.tlsIdentity = create(destination.TlsIdentitySchema, { strategy: { case: 'dnsLikeIdentity', value: dnsIdentity(identity) } });
  message.protocolHint = protocolHint(false, context.options.isH2UpgradeEnabled);
  message.http2 = context.options.http2ClientParams;
  if (authorityOverride !== undefined) {
    message.authorityOverride = create(destination.AuthorityOverrideSchema, { authorityOverride });
  }
  return message;
}

function protocolHint(isOpaque: boolean, isH2: boolean): destination.ProtocolHint {
  const hint = create(destination.ProtocolHintSchema);
  if (isOpaque) hint.protocol = { case: 'opaque', value: create(destination.ProtocolHint_OpaqueSchema) };
  else if (isH2) hint.protocol = { case: 'h2', value: create(destination.ProtocolHint_H2Schema) };
  return hint;
}

function setInboundPort(hint: destination.ProtocolHint, inboundPort: number): void {
  hint.opaqueTransport = create(destination.ProtocolHint_OpaqueTransportSchema, { inboundPort });
}

function dnsIdentity(name: string): destination.TlsIdentity_DnsLikeIdentity {
  return create(destination.TlsIdentity_DnsLikeIdentitySchema, { name });
}

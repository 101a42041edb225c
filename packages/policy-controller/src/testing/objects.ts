// SPDX-License-Identifier: Apache-2.0
/*
 * Objects and requests that tests of policy are made of: namespace `app`, one Service `web`, routes on it that are accepted already.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { inbound, net, outbound } from '@weft/proto';
import type { ResourceInput } from '@weft/resources';
import { ipMessage, parseIp } from '../parse/ip-network.ts';
import type { VectorRequest } from './recorded-call.ts';

type Fields = Readonly<Record<string, unknown>>;

export const WEB_IP = '10.96.0.10';

/** A Service of namespace `app`. */
export function service(
  name: string,
  clusterIP: string,
  port: Fields = {},
  annotations: Readonly<Record<string, string>> = {},
): ResourceInput {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'app', annotations },
    spec: { clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80, ...port }] },
  };
}

/** A route on port 80 of `web`, accepted. */
export function acceptedRoute(
  kind: string,
  rules: readonly Fields[],
  metadata: { readonly name?: string; readonly namespace?: string; readonly annotations?: Readonly<Record<string, string>> } = {},
): ResourceInput {
  const parentRef = { group: 'core', kind: 'Service', namespace: 'app', name: 'web' };
  return {
    apiVersion: `gateway.networking.k8s.io/${kind === 'TCPRoute' || kind === 'TLSRoute' ? 'v1alpha2' : 'v1'}`,
    kind,
    metadata: { name: 'r', namespace: 'app', ...metadata },
    spec: { parentRefs: [parentRef], rules },
    status: {
      parents: [{ parentRef, controllerName: 'linkerd.io/policy-controller', conditions: [{ type: 'Accepted', status: 'True' }] }],
    },
  };
}

/** An EgressNetwork of namespace `app`. */
export function egressNetwork(name: string, spec: Fields, namespace = 'app'): ResourceInput {
  return { apiVersion: 'policy.linkerd.io/v1alpha1', kind: 'EgressNetwork', metadata: { name, namespace }, spec };
}

/** A meshed pod of namespace `app`, with label `app`. */
export function meshedPod(name: string, spec: Fields = {}): ResourceInput {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'app', labels: { app: name, 'linkerd.io/control-plane-ns': 'linkerd' } },
    spec: { containers: [{ name: 'app', image: 'app', ports: [{ containerPort: 8080, name: 'http' }] }], ...spec },
  };
}

/** A question about an address, from a client in `namespace`. */
export function watchAddress(ip: string, port = 80, namespace = 'app'): VectorRequest {
  const address = parseIp(ip);
  if (address === undefined) throw new Error(`not an address: ${ip}`);
  const spec = create(outbound.TrafficSpecSchema, {
    sourceWorkload: `${namespace}:client`,
    target: { case: 'addr', value: create(net.TcpAddressSchema, { ip: ipMessage(address), port }) },
  });
  return {
    method: 'io.linkerd.proxy.outbound.OutboundPolicies/Watch',
    message_hex: Buffer.from(toBinary(outbound.TrafficSpecSchema, spec)).toString('hex'),
  };
}

/** A question about an authority. */
export function watchAuthority(authority: string, namespace = 'app'): VectorRequest {
  const spec = create(outbound.TrafficSpecSchema, {
    sourceWorkload: `${namespace}:client`,
    target: { case: 'authority', value: authority },
  });
  return {
    method: 'io.linkerd.proxy.outbound.OutboundPolicies/Watch',
    message_hex: Buffer.from(toBinary(outbound.TrafficSpecSchema, spec)).toString('hex'),
  };
}

/** A question about a port of a pod of namespace `app`. */
export function watchPodPort(pod: string, port: number): VectorRequest {
  const spec = create(inbound.PortSpecSchema, { workload: `app:${pod}`, port });
  return {
    method: 'io.linkerd.proxy.inbound.InboundServerPolicies/WatchPort',
    message_hex: Buffer.from(toBinary(inbound.PortSpecSchema, spec)).toString('hex'),
  };
}

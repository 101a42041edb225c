// SPDX-License-Identifier: Apache-2.0
/*
 * The Update messages of Get (control-contract §1.6): `add` with the labels of the set and of each endpoint, `remove` with bare addresses.
 * They are encoded once and shared by every stream of a view.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { EncodedMessage } from '@weft/grpc-server';
import { destination } from '@weft/proto';

import { toTcpAddress } from '../ip-address.ts';
import {
  DEFAULT_WEIGHT,
  externalWorkloadAddr,
  podAddr,
  serviceRefAddr,
  type EndpointPlace,
  type TranslationContext,
} from '../weighted-addr.ts';
import type { ServiceEndpoint } from './endpoint.ts';

/** An Update in wire form. */
export type EncodedUpdate = EncodedMessage<typeof destination.UpdateSchema>;

/** How many times more a same-zone endpoint weighs under `hasZoneWeights`. */
const SAME_ZONE_FACTOR = 10;

/** The message that adds `endpoints`, as seen from `sourceZone` ('' when unknown). Undefined when there is nothing to add. */
export function addMessage(
  context: TranslationContext,
  endpoints: readonly ServiceEndpoint[],
  setLabels: Readonly<Record<string, string>>,
  sourceZone: string,
): EncodedUpdate | undefined {
  const addrs = endpoints.flatMap((endpoint) => weightedAddr(context, endpoint, sourceZone) ?? []);
  if (addrs.length === 0) return undefined;
  const value = create(destination.WeightedAddrSetSchema, { addrs, metricLabels: { ...setLabels } });
  return encode(create(destination.UpdateSchema, { update: { case: 'add', value } }));
}

/** The message that removes endpoints by where they were. Undefined when there is nothing to remove. */
export function removeMessage(endpoints: readonly ServiceEndpoint[]): EncodedUpdate | undefined {
  if (endpoints.length === 0) return undefined;
  const addrs = endpoints.map(({ ip, port }) => toTcpAddress(ip, port));
  return encode(create(destination.UpdateSchema, { update: { case: 'remove', value: create(destination.AddrSetSchema, { addrs }) } }));
}

function encode(update: destination.Update): EncodedUpdate {
  return new EncodedMessage(toBinary(destination.UpdateSchema, update));
}

function weightedAddr(context: TranslationContext, endpoint: ServiceEndpoint, sourceZone: string): destination.WeightedAddr | undefined {
  const { workload, ip, port, zone, hasOpaqueServer } = endpoint;
  const locality = sourceZone === '' || zone === '' ? 'unknown' : sourceZone === zone ? 'local' : 'remote';
  const place: EndpointPlace = { ip, port, labels: { zone_locality: locality } };
  const zoned: EndpointPlace = { ip, port, labels: { zone_locality: locality, zone } };
  let message: destination.WeightedAddr | undefined;
  switch (workload.kind) {
    case 'pod':
      message = podAddr(context, zoned, workload.pod, workload.owner, hasOpaqueServer);
      break;
    case 'external-workload':
      message = externalWorkloadAddr(context, zoned, workload.workload, workload.owner, hasOpaqueServer);
      break;
    case 'service-ref':
      message = serviceRefAddr(context, place, workload.identity, workload.authorityOverride);
      break;
  }
  if (message !== undefined && locality === 'local' && context.options.hasZoneWeights) message.weight = DEFAULT_WEIGHT * SAME_ZONE_FACTOR;
  return message;
}

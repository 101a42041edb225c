// SPDX-License-Identifier: Apache-2.0
/*
 * What discovery keeps of an EndpointSlice, and of a legacy Endpoints object, which is read as one slice per subset and address family
 * (control-contract §1.5). Endpoints that are not ready are left out here already: nothing in discovery asks for them.
 */
import type { Endpoint, Endpoints, EndpointSlice, ObjectReference } from '@weft/resources';

import { parseIp, type IpAddress } from '../ip-address.ts';
import {
  MIRROR_CLUSTER_NAME_LABEL,
  REMOTE_GATEWAY_IDENTITY_ANNOTATION,
  REMOTE_SERVICE_FQ_NAME_ANNOTATION,
  SERVICE_NAME_LABEL,
} from './annotations.ts';
import { keyOf, recordOf, type ClusterRecord } from './record.ts';

/** What an endpoint stands for. */
export interface EndpointTarget {
  readonly kind: 'pod' | 'external-workload';
  /** Key of the pod or external workload. */
  readonly key: string;
  /** '' when the slice does not say. */
  readonly uid: string;
}

/** One ready endpoint. */
export interface EndpointRecord {
  readonly addresses: readonly IpAddress[];
  readonly hostname: string;
  /** '' when unknown. */
  readonly zone: string;
  /** Zones of the topology hints; undefined without hints. */
  readonly hintZones: readonly string[] | undefined;
  /** Undefined: the address stands for itself. */
  readonly target: EndpointTarget | undefined;
}

/** One port of a slice; `name` '' when it has none. */
export interface SlicePortRecord {
  readonly name: string;
  readonly port: number;
}

/** An EndpointSlice, or part of an Endpoints object. */
export interface SliceRecord extends ClusterRecord {
  /** Key of the Service it belongs to. */
  readonly serviceKey: string;
  readonly family: 4 | 6;
  /** Undefined when the object has no list of ports: then it offers none. */
  readonly ports: readonly SlicePortRecord[] | undefined;
  readonly endpoints: readonly EndpointRecord[];
  /** Identity of the remote gateway behind a mirrored service. */
  readonly gatewayIdentity: string | undefined;
  readonly remoteServiceFqName: string | undefined;
  readonly mirrorClusterName: string | undefined;
}

/** Projects a slice; undefined when it belongs to no Service or holds no IP addresses. */
export function sliceRecord(slice: EndpointSlice): SliceRecord | undefined {
  const { namespace, labels, annotations, ownerReferences } = slice.metadata;
  const service = labels[SERVICE_NAME_LABEL] ?? ownerReferences?.find((owner) => owner.kind === 'Service')?.name;
  if (service === undefined || (slice.addressType !== 'IPv4' && slice.addressType !== 'IPv6')) return undefined;
  return {
    ...recordOf(slice),
    serviceKey: keyOf(namespace, service),
    family: slice.addressType === 'IPv6' ? 6 : 4,
    ports: slice.ports?.flatMap(({ name, port }) => (typeof port === 'number' ? [{ name: name ?? '', port }] : [])),
    endpoints: (slice.endpoints ?? []).flatMap((endpoint) =>
      endpoint.conditions?.ready === false ? [] : endpointRecord(endpoint, namespace),
    ),
    gatewayIdentity: nonEmpty(annotations[REMOTE_GATEWAY_IDENTITY_ANNOTATION]),
    remoteServiceFqName: nonEmpty(annotations[REMOTE_SERVICE_FQ_NAME_ANNOTATION]),
    mirrorClusterName: nonEmpty(labels[MIRROR_CLUSTER_NAME_LABEL]),
  };
}

/** Projects a legacy Endpoints object: one record per subset and address family. Their keys start with the object's key. */
export function endpointsRecords(endpoints: Endpoints): readonly SliceRecord[] {
  const { namespace, annotations, labels } = endpoints.metadata;
  const record = recordOf(endpoints);
  return (endpoints.subsets ?? []).flatMap((subset, index) =>
    ([4, 6] as const).flatMap((family) => {
      const members = (subset.addresses ?? []).flatMap(({ ip, ...rest }) => endpointRecord({ ...rest, addresses: [ip] }, namespace));
      const ofFamily = members.filter(({ addresses }) => addresses[0]?.family === family);
      if (ofFamily.length === 0) return [];
      return [
        {
          ...record,
          key: `${record.key}#${index}/${family}`,
          serviceKey: record.key,
          family,
          ports: subset.ports?.map(({ name = '', port }) => ({ name, port })),
          endpoints: ofFamily,
          gatewayIdentity: nonEmpty(annotations[REMOTE_GATEWAY_IDENTITY_ANNOTATION]),
          remoteServiceFqName: nonEmpty(annotations[REMOTE_SERVICE_FQ_NAME_ANNOTATION]),
          mirrorClusterName: nonEmpty(labels[MIRROR_CLUSTER_NAME_LABEL]),
        },
      ];
    }),
  );
}

function endpointRecord(endpoint: Endpoint, namespace: string): EndpointRecord[] {
  const addresses = endpoint.addresses.flatMap((text) => parseIp(text) ?? []);
  const target = endpoint.targetRef === undefined ? undefined : targetOf(endpoint.targetRef, namespace);
  if (addresses.length === 0 || target === null) return [];
  return [
    {
      addresses,
      hostname: endpoint.hostname ?? '',
      zone: endpoint.zone ?? '',
      hintZones: endpoint.hints?.forZones?.map(({ name }) => name),
      target,
    },
  ];
}

/** Null for a target of a kind that has no endpoints. */
function targetOf(reference: ObjectReference, namespace: string): EndpointTarget | null {
  const { kind, name = '', uid = '' } = reference;
  switch (kind) {
    case 'Pod':
      return { kind: 'pod', key: keyOf(reference.namespace ?? namespace, name), uid };
    case 'ExternalWorkload':
      return { kind: 'external-workload', key: keyOf(namespace, name), uid };
    default:
      return null;
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

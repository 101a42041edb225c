// SPDX-License-Identifier: Apache-2.0
/*
 * EndpointSlices (discovery.k8s.io/v1), from which discovery builds a service's endpoints and which the ExternalWorkload controller
 * writes (control-contract §1.5, §1.12).
 */
import type { Resource, ResourceKind } from '../types.ts';
import { namespacedKind } from './meta.ts';
import type { ObjectReference } from './meta.ts';

/** One endpoint; an unset condition counts as true for `ready` and `serving`, false for `terminating`. */
export interface Endpoint {
  readonly addresses: readonly string[];
  readonly conditions?: { readonly ready?: boolean | null; readonly serving?: boolean | null; readonly terminating?: boolean | null };
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly zone?: string;
  readonly targetRef?: ObjectReference;
  readonly hints?: {
    readonly forZones?: readonly { readonly name: string }[];
    readonly forNodes?: readonly { readonly name: string }[];
  };
  readonly deprecatedTopology?: Readonly<Record<string, string>>;
}

/** A port that every endpoint of the slice has; a null `port` means any. */
export interface EndpointPort {
  readonly name?: string | null;
  readonly port?: number | null;
  readonly protocol?: string | null;
  readonly appProtocol?: string | null;
}

export interface EndpointSlice extends Resource {
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  readonly endpoints?: readonly Endpoint[];
  readonly ports?: readonly EndpointPort[];
}

/** discovery.k8s.io/v1 EndpointSlice. */
export const EndpointSliceKind: ResourceKind<EndpointSlice> = namespacedKind('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices');

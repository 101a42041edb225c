// SPDX-License-Identifier: Apache-2.0
/*
 * ExternalWorkload (workload.linkerd.io/v1beta1): a meshed process outside the cluster, with the identity that it presents
 * (control-contract §1.12, §5; features NK-01).
 */
import type { Resource, ResourceKind } from '../types.ts';
import { namespacedKind } from './meta.ts';
import type { Condition } from './meta.ts';

export interface ExternalWorkloadSpec {
  readonly meshTLS: { readonly identity: string; readonly serverName: string };
  readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string }[];
  readonly workloadIPs?: readonly { readonly ip: string }[];
}

export type ExternalWorkload = Resource<ExternalWorkloadSpec, { readonly conditions?: readonly Condition[] }>;

/** workload.linkerd.io/v1beta1 ExternalWorkload. */
export const ExternalWorkloadKind: ResourceKind<ExternalWorkload> = namespacedKind(
  'workload.linkerd.io',
  'v1beta1',
  'ExternalWorkload',
  'externalworkloads',
);

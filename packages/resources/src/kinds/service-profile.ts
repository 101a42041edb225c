// SPDX-License-Identifier: Apache-2.0
/*
 * ServiceProfile (linkerd.io/v1alpha2): per-route behaviour of a service, named by its authority (control-contract §1.8, §4.6, §5).
 */
import type { Resource, ResourceKind } from '../types.ts';
import { namespacedKind } from './meta.ts';
import type { IntOrString } from './meta.ts';

/** Matches a request; the fields that are set must all hold. */
export interface RequestMatch {
  readonly all?: readonly RequestMatch[];
  readonly any?: readonly RequestMatch[];
  readonly not?: RequestMatch;
  readonly pathRegex?: string;
  readonly method?: string;
}

/** Matches a response by status, `min` and `max` inclusive. */
export interface ResponseMatch {
  readonly all?: readonly ResponseMatch[];
  readonly any?: readonly ResponseMatch[];
  readonly not?: ResponseMatch;
  readonly status?: { readonly min?: number; readonly max?: number };
}

export interface ProfileRoute {
  readonly name: string;
  readonly condition: RequestMatch;
  readonly isRetryable?: boolean;
  /** A Go duration, `250ms`. */
  readonly timeout?: string;
  readonly responseClasses?: readonly { readonly condition: ResponseMatch; readonly isFailure?: boolean }[];
}

export interface ServiceProfileSpec {
  readonly routes?: readonly ProfileRoute[];
  readonly retryBudget?: { readonly retryRatio: number; readonly minRetriesPerSecond: number; readonly ttl: string };
  /** `weight` is a Kubernetes quantity: `900m`, `1`. */
  readonly dstOverrides?: readonly { readonly authority?: string; readonly weight?: IntOrString }[];
  readonly opaquePorts?: readonly string[];
}

export type ServiceProfile = Resource<ServiceProfileSpec>;

/** linkerd.io/v1alpha2 ServiceProfile. */
export const ServiceProfileKind: ResourceKind<ServiceProfile> = namespacedKind(
  'linkerd.io',
  'v1alpha2',
  'ServiceProfile',
  'serviceprofiles',
);

// SPDX-License-Identifier: Apache-2.0
/* Ids of checks that others rest on. */
export const QUERY_API = 'kubernetes-api/query';
export const NAMESPACE_EXISTS = 'linkerd-config/namespace';
export const MUTATING_WEBHOOKS_EXIST = 'linkerd-config/mutating-webhooks';
export const VALIDATING_WEBHOOKS_EXIST = 'linkerd-config/validating-webhooks';
export const CONFIG_MAP_EXISTS = 'linkerd-existence/config-map';
export const REPLICA_SETS_READY = 'linkerd-existence/replica-sets';
export const PODS_READY = 'linkerd-existence/pods';
export const IDENTITY_CONFIG_VALID = 'linkerd-identity/config';
export const ANCHORS_TIME_VALID = 'linkerd-identity/anchors-time';
export const ISSUER_TIME_VALID = 'linkerd-identity/issuer-time';
export const LATEST_VERSION_KNOWN = 'linkerd-version/latest';
export const CONTROL_PLANE_VERSION_KNOWN = 'control-plane-version/known';

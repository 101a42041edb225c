// SPDX-License-Identifier: Apache-2.0
/*
 * The annotations and labels of injection (control-contract §4.2 to §4.5, features INJ-08, INJ-09, ANN-01 to ANN-31), and which of them a
 * namespace gives to its pods. Whoever reads this list next to the reference's: it is complete, in its order.
 */

/** `enabled`, `ingress` or `disabled`. */
export const INJECT_ANNOTATION: string = 'linkerd.io/inject';
export const CREATED_BY_ANNOTATION: string = 'linkerd.io/created-by';
export const PROXY_VERSION_ANNOTATION: string = 'linkerd.io/proxy-version';
export const TRUST_ROOT_ANNOTATION: string = 'linkerd.io/trust-root-sha256';
export const CONTROL_PLANE_NAMESPACE_LABEL: string = 'linkerd.io/control-plane-ns';
export const WORKLOAD_NAMESPACE_LABEL: string = 'linkerd.io/workload-ns';
/** Prefix of the label that names the workload; what follows is its kind in lower case. */
export const PROXY_OWNER_LABEL_PREFIX: string = 'linkerd.io/proxy-';

export const CONFIG_PREFIX: string = 'config.linkerd.io/';
export const ALPHA_PREFIX: string = 'config.alpha.linkerd.io/';
export const BETA_PREFIX: string = 'config.beta.linkerd.io/';
/** Span attributes; the rest of the key is the attribute's name. */
export const TELEMETRY_PREFIX: string = 'resource.opentelemetry.io/';

/** On a pod or its namespace: `true` keeps tap off. */
export const DISABLE_TAP_ANNOTATION: string = 'viz.linkerd.io/disable-tap';
/** On a pod: its proxy has been told who may tap it. */
export const TAP_ENABLED_ANNOTATION: string = 'viz.linkerd.io/tap-enabled';

export const OPAQUE_PORTS_ANNOTATION: string = `${CONFIG_PREFIX}opaque-ports`;
export const ADDITIONAL_ENV_ANNOTATION: string = `${CONFIG_PREFIX}proxy-additional-env`;
export const WAIT_BEFORE_EXIT_ANNOTATION: string = `${ALPHA_PREFIX}proxy-wait-before-exit-seconds`;

const INHERITED_NAMES: readonly string[] = [
  'admin-port',
  'control-port',
  'enable-debug-sidecar',
  'enable-external-profiles',
  'image-pull-policy',
  'inbound-port',
  'outbound-port',
  'pod-inbound-ports',
  'proxy-cpu-limit',
  'proxy-cpu-request',
  'proxy-image',
  'proxy-admin-shutdown',
  'proxy-log-format',
  'proxy-log-level',
  'proxy-log-http-headers',
  'proxy-memory-limit',
  'proxy-memory-request',
  'proxy-ephemeral-storage-limit',
  'proxy-ephemeral-storage-request',
  'proxy-uid',
  'proxy-gid',
  'proxy-version',
  'proxy-require-identity-inbound-ports',
  'skip-inbound-ports',
  'opaque-ports',
  'skip-outbound-ports',
  'proxy-metrics-hostname-labels',
  'proxy-outbound-connect-timeout',
  'proxy-inbound-connect-timeout',
  'proxy-await',
  'default-inbound-policy',
  'skip-subnets',
  'access-log',
  'shutdown-grace-period',
  'proxy-outbound-discovery-cache-unused-timeout',
  'proxy-inbound-discovery-cache-unused-timeout',
  'proxy-disable-outbound-protocol-detect-timeout',
  'proxy-disable-inbound-protocol-detect-timeout',
  'proxy-enable-native-sidecar',
  'proxy-additional-env',
];

/** Annotations that pods take over from their namespace, configuration only. Also the labels of the injector's metrics. */
export const INHERITED_CONFIG_ANNOTATIONS: readonly string[] = [
  ...INHERITED_NAMES.map((name) => `${CONFIG_PREFIX}${name}`),
  WAIT_BEFORE_EXIT_ANNOTATION,
  `${ALPHA_PREFIX}proxy-enable-native-sidecar`,
];

/** Configuration that is read from the pod alone. */
export const POD_CONFIG_ANNOTATIONS: readonly string[] = [
  `${CONFIG_PREFIX}proxy-cpu-ratio-limit`,
  `${CONFIG_PREFIX}enable-gateway`,
  `${CONFIG_PREFIX}close-wait-timeout`,
  `${CONFIG_PREFIX}debug-image`,
  `${CONFIG_PREFIX}debug-image-version`,
  `${CONFIG_PREFIX}debug-image-pull-policy`,
  `${BETA_PREFIX}proxy-enable-native-sidecar`,
];

/** The annotations that a pod of a namespace with `namespaceAnnotations` gets from it, by key. */
export function inheritedAnnotations(
  podAnnotations: ReadonlyMap<string, string>,
  namespaceAnnotations: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const inherited = new Map<string, string>();
  for (const key of [...INHERITED_CONFIG_ANNOTATIONS, INJECT_ANNOTATION]) {
    const value = namespaceAnnotations.get(key);
    if (value !== undefined && !podAnnotations.has(key)) inherited.set(key, value);
  }
  return inherited;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What injection makes of a pod on this machine (control-contract §4.2 to §4.5): inherited annotations, labels, the proxy as a native sidecar
 * with the sidecar template's environment (proxy-contract §1). Two things differ from a cluster: a namespace without `linkerd.io/inject`
 * counts as enabled, and the redirection is installed by the run itself, so there is no init container for it.
 */
import { createHash } from 'node:crypto';
import type { Container, EnvVar, Namespace, PodSpec } from '@weft/resources';
import { defaultOpaquePortsOfPod, numericOpaquePorts, OPAQUE_PORTS } from './opaque-ports.ts';
import {
  ADMIN_PORT,
  CLUSTER_NETWORKS,
  CONTROL_NAMESPACE,
  CONTROL_PORT,
  DEFAULT_OPAQUE_PORTS,
  INBOUND_PORT,
  OUTBOUND_PORT,
  PROXY_CONTAINER,
  PROXY_UID,
  type ProxySettings,
} from './proxy-settings.ts';

const INJECT = 'linkerd.io/inject';
const CONFIG = 'config.linkerd.io/';

/** Annotations that a pod inherits from its namespace (control-contract §4.3). */
const INHERITED: readonly string[] = [
  'access-log',
  'admin-port',
  'control-port',
  'default-inbound-policy',
  'enable-debug-sidecar',
  'enable-external-profiles',
  'image-pull-policy',
  'inbound-port',
  'opaque-ports',
  'outbound-port',
  'pod-inbound-ports',
  'proxy-additional-env',
  'proxy-admin-shutdown',
  'proxy-await',
  'proxy-cpu-limit',
  'proxy-cpu-request',
  'proxy-disable-inbound-protocol-detect-timeout',
  'proxy-disable-outbound-protocol-detect-timeout',
  'proxy-enable-native-sidecar',
  'proxy-ephemeral-storage-limit',
  'proxy-ephemeral-storage-request',
  'proxy-gid',
  'proxy-image',
  'proxy-inbound-connect-timeout',
  'proxy-inbound-discovery-cache-unused-timeout',
  'proxy-log-format',
  'proxy-log-http-headers',
  'proxy-log-level',
  'proxy-memory-limit',
  'proxy-memory-request',
  'proxy-metrics-hostname-labels',
  'proxy-outbound-connect-timeout',
  'proxy-outbound-discovery-cache-unused-timeout',
  'proxy-require-identity-inbound-ports',
  'proxy-uid',
  'proxy-version',
  'shutdown-grace-period',
  'skip-inbound-ports',
  'skip-outbound-ports',
  'skip-subnets',
]
  .map((name) => `${CONFIG}${name}`)
  .concat('config.alpha.linkerd.io/proxy-wait-before-exit-seconds', 'config.alpha.linkerd.io/proxy-enable-native-sidecar', INJECT);

/** A pod before it is written: enough of its metadata, and its spec. */
export interface PodDraft {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
  /** Deployment, StatefulSet and so on that the pod belongs to. */
  readonly owner?: { readonly kind: string; readonly name: string };
}

/** Which component of the control plane a pod is: its proxy finds its own component at localhost. */
export type ControlPlaneComponent = 'identity' | 'destination';

/** Whether a pod gets a proxy: `disabled` on the pod or, where the pod says nothing, on its namespace, keeps it out. */
export function isMeshed(annotations: Readonly<Record<string, string>>, spec: PodSpec, namespace: Namespace | undefined): boolean {
  if (spec.hostNetwork === true) return false;
  if (hasProxy(spec)) return true;
  return (annotations[INJECT] ?? namespace?.metadata.annotations[INJECT]) !== 'disabled';
}

/** Whether a pod spec has a proxy already. */
export function hasProxy(spec: PodSpec): boolean {
  return [...(spec.initContainers ?? []), ...spec.containers].some(({ name }) => name === PROXY_CONTAINER);
}

/** The pod as it runs: with a proxy unless it is kept out, and with the default opaque ports in either case. */
export function meshPod(
  draft: PodDraft,
  namespace: Namespace | undefined,
  settings: ProxySettings,
  component?: ControlPlaneComponent,
): PodDraft {
  const annotations: Record<string, string> = { ...draft.annotations };
  if (!isMeshed(annotations, draft.spec, namespace) || hasProxy(draft.spec)) {
    const opaque = annotations[OPAQUE_PORTS] === undefined ? defaultOpaquePortsOfPod(draft.spec, namespace) : undefined;
    return opaque === undefined ? draft : { ...draft, annotations: { ...annotations, [OPAQUE_PORTS]: opaque } };
  }
  for (const name of INHERITED) {
    const value = namespace?.metadata.annotations[name];
    if (value !== undefined) annotations[name] ??= value;
  }
  const opaque = defaultOpaquePortsOfPod(draft.spec, undefined);
  if (opaque !== undefined) annotations[OPAQUE_PORTS] ??= opaque;
  annotations['linkerd.io/created-by'] = 'weft run';
  annotations['linkerd.io/trust-root-sha256'] = createHash('sha256').update(settings.trustAnchorsPem.trim()).digest('hex');
  const labels: Record<string, string> = {
    ...draft.labels,
    'linkerd.io/control-plane-ns': CONTROL_NAMESPACE,
    'linkerd.io/workload-ns': namespace?.metadata.name ?? 'default',
    ...(draft.owner === undefined ? {} : { [`linkerd.io/proxy-${draft.owner.kind.toLowerCase()}`]: draft.owner.name }),
  };
  const proxy = proxyContainer(draft.spec, annotations, settings, component);
  return { ...draft, annotations, labels, spec: { ...draft.spec, initContainers: [proxy, ...(draft.spec.initContainers ?? [])] } };
}

function proxyContainer(
  spec: PodSpec,
  annotations: Readonly<Record<string, string>>,
  settings: ProxySettings,
  component: ControlPlaneComponent | undefined,
): Container {
  const probe = (path: string): NonNullable<Container['livenessProbe']> => ({
    httpGet: { path, port: ADMIN_PORT, scheme: 'HTTP' },
    periodSeconds: 10,
    timeoutSeconds: 1,
    failureThreshold: 3,
    successThreshold: 1,
  });
  return {
    name: PROXY_CONTAINER,
    image: 'weft-proxy',
    command: settings.command,
    env: proxyEnv(spec, annotations, settings, component),
    ports: [
      { name: 'linkerd-proxy', containerPort: INBOUND_PORT, protocol: 'TCP' },
      { name: 'linkerd-admin', containerPort: ADMIN_PORT, protocol: 'TCP' },
    ],
    livenessProbe: { ...probe('/live'), initialDelaySeconds: 10 },
    readinessProbe: probe('/ready'),
    // The control plane's own pods start without a certificate (control-contract §6.1): nothing there waits for the proxy.
    ...(component === undefined ? { startupProbe: { ...probe('/ready'), periodSeconds: 1, failureThreshold: 120 } } : {}),
    restartPolicy: 'Always',
    securityContext: { runAsUser: PROXY_UID, runAsGroup: PROXY_UID, runAsNonRoot: true, allowPrivilegeEscalation: false },
  };
}

/** The environment in the template's order; `valueFrom` and `$(…)` are resolved when the pod starts. */
function proxyEnv(
  spec: PodSpec,
  annotations: Readonly<Record<string, string>>,
  settings: ProxySettings,
  component: ControlPlaneComponent | undefined,
): EnvVar[] {
  const { trustDomain, clusterDomain } = settings;
  const config = (name: string): string | undefined => annotations[`${CONFIG}${name}`];
  const env: EnvVar[] = [
    field('_pod_name', 'metadata.name'),
    field('_pod_ns', 'metadata.namespace'),
    field('_pod_uid', 'metadata.uid'),
    field('_pod_ip', 'status.podIP'),
    field('_pod_nodeName', 'spec.nodeName'),
    { name: '_pod_containerName', value: PROXY_CONTAINER },
  ];
  const set = (name: string, value: string): void => void env.push({ name: `LINKERD2_PROXY_${name}`, value });
  const identityOf = (account: string): string =>
    `${account}.${CONTROL_NAMESPACE}.serviceaccount.identity.${CONTROL_NAMESPACE}.${trustDomain}`;
  const service = (name: string): string => `${name}.${CONTROL_NAMESPACE}.svc.${clusterDomain}.`;
  const isOwn = (one: ControlPlaneComponent): boolean => component === one;

  set('CORES', '1');
  set('CORES_MIN', '1');
  set('SHUTDOWN_ENDPOINT_ENABLED', config('proxy-admin-shutdown') === 'enabled' ? 'true' : 'false');
  set('LOG', `${config('proxy-log-level') ?? 'warn,linkerd=info,hickory=error'},[{headers}]=off,[{request}]=off`);
  set('LOG_FORMAT', config('proxy-log-format') ?? 'plain');
  if (config('access-log') !== undefined) set('ACCESS_LOG', config('access-log') ?? '');
  if (config('shutdown-grace-period') !== undefined) set('SHUTDOWN_GRACE_PERIOD', config('shutdown-grace-period') ?? '');
  set('DESTINATION_SVC_ADDR', isOwn('destination') ? 'localhost.:8086' : `${service('linkerd-dst-headless')}:8086`);
  set('DESTINATION_PROFILE_NETWORKS', CLUSTER_NETWORKS);
  set('POLICY_SVC_ADDR', isOwn('destination') ? 'localhost.:8090' : `${service('linkerd-policy')}:8090`);
  set('POLICY_WORKLOAD', '{"ns":"$(_pod_ns)", "pod":"$(_pod_name)"}\n');
  set('INBOUND_DEFAULT_POLICY', config('default-inbound-policy') ?? 'all-unauthenticated');
  set('POLICY_CLUSTER_NETWORKS', CLUSTER_NETWORKS);
  set('CONTROL_STREAM_INITIAL_TIMEOUT', '3s');
  set('CONTROL_STREAM_IDLE_TIMEOUT', '5m');
  set('CONTROL_STREAM_LIFETIME', '1h');
  set('INBOUND_CONNECT_TIMEOUT', config('proxy-inbound-connect-timeout') ?? '100ms');
  set('OUTBOUND_CONNECT_TIMEOUT', config('proxy-outbound-connect-timeout') ?? '1000ms');
  set('OUTBOUND_DISCOVERY_IDLE_TIMEOUT', config('proxy-outbound-discovery-cache-unused-timeout') ?? '5s');
  set('INBOUND_DISCOVERY_IDLE_TIMEOUT', config('proxy-inbound-discovery-cache-unused-timeout') ?? '90s');
  if (config('proxy-disable-outbound-protocol-detect-timeout') === 'true') set('OUTBOUND_DETECT_TIMEOUT', '365d');
  if (config('proxy-disable-inbound-protocol-detect-timeout') === 'true') set('INBOUND_DETECT_TIMEOUT', '365d');
  set('CONTROL_LISTEN_ADDR', `0.0.0.0:${CONTROL_PORT}`);
  set('ADMIN_LISTEN_ADDR', `0.0.0.0:${ADMIN_PORT}`);
  set('OUTBOUND_LISTEN_ADDR', `127.0.0.1:${OUTBOUND_PORT}`);
  set('OUTBOUND_LISTEN_ADDRS', `127.0.0.1:${OUTBOUND_PORT}`);
  set('INBOUND_LISTEN_ADDR', `0.0.0.0:${INBOUND_PORT}`);
  env.push(field('LINKERD2_PROXY_INBOUND_IPS', 'status.podIPs'));
  set('INBOUND_PORTS', podInboundPorts(spec));
  if (annotations[INJECT] === 'ingress') set('INGRESS_MODE', 'true');
  set('DESTINATION_PROFILE_SUFFIXES', config('enable-external-profiles') === 'true' ? '.' : `svc.${clusterDomain}.`);
  set('INBOUND_ACCEPT_KEEPALIVE', '10000ms');
  set('OUTBOUND_CONNECT_KEEPALIVE', '10000ms');
  set('INBOUND_ACCEPT_USER_TIMEOUT', '30s');
  set('OUTBOUND_CONNECT_USER_TIMEOUT', '30s');
  set('OUTBOUND_METRICS_HOSTNAME_LABELS', config('proxy-metrics-hostname-labels') ?? 'false');
  for (const direction of ['INBOUND', 'OUTBOUND']) {
    set(`${direction}_SERVER_HTTP2_KEEP_ALIVE_INTERVAL`, '10s');
    set(`${direction}_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT`, '3s');
  }
  set('INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION', numericOpaquePorts(annotations[OPAQUE_PORTS] ?? DEFAULT_OPAQUE_PORTS, spec));
  set('DESTINATION_CONTEXT', '{"ns":"$(_pod_ns)", "nodeName":"$(_pod_nodeName)", "pod":"$(_pod_name)"}\n');
  env.push(field('_pod_sa', 'spec.serviceAccountName'));
  env.push({ name: '_l5d_ns', value: CONTROL_NAMESPACE }, { name: '_l5d_trustdomain', value: trustDomain });
  set('IDENTITY_DIR', `${settings.podsDirectory}/$(_pod_uid)/identity`);
  set('IDENTITY_TRUST_ANCHORS', settings.trustAnchorsPem);
  set('IDENTITY_TOKEN_FILE', `${settings.podsDirectory}/$(_pod_uid)/token`);
  set('IDENTITY_SVC_ADDR', isOwn('identity') ? 'localhost.:8080' : `${service('linkerd-identity-headless')}:8080`);
  set('IDENTITY_LOCAL_NAME', `$(_pod_sa).$(_pod_ns).serviceaccount.identity.${CONTROL_NAMESPACE}.${trustDomain}`);
  set('IDENTITY_SVC_NAME', identityOf('linkerd-identity'));
  set('DESTINATION_SVC_NAME', identityOf('linkerd-destination'));
  set('POLICY_SVC_NAME', identityOf('linkerd-destination'));
  for (const [name, value] of Object.entries(settings.extraEnv)) env.push({ name, value });
  return env;
}

function field(name: string, fieldPath: string): EnvVar {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

/** Ports whose policy the proxy watches from the start: declared ones, and those of HTTP probes (control-contract §4.3), sorted as text. */
export function podInboundPorts(spec: PodSpec): string {
  const ports = new Set<string>();
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    for (const { containerPort } of container.ports ?? []) ports.add(String(containerPort));
  }
  for (const container of spec.containers) {
    for (const probe of [container.readinessProbe, container.livenessProbe]) {
      if (typeof probe?.httpGet?.port === 'number') ports.add(String(probe.httpGet.port));
    }
  }
  return [...ports].sort().join(',');
}

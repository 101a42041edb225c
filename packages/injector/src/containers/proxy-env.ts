// SPDX-License-Identifier: Apache-2.0
/*
 * The environment of the proxy container, in the reference's order (control-contract §4.4, proxy-contract §1, features INJ-19, INJ-24):
 * destination controllers parse parts of it back, and `$(…)` refers to variables that stand before it.
 */
import type { EnvValue, ProxyValues } from '../values.ts';
import type { ContainerContext } from './context.ts';

/** Mount of the key and the certificate request. */
export const IDENTITY_DIRECTORY: string = '/var/run/linkerd/identity/end-entity';
/** Mount of the projected token. */
export const TOKEN_DIRECTORY: string = '/var/run/secrets/tokens';
export const TOKEN_NAME: string = 'linkerd-identity-token';
/** Service account whose identity may tap (values `tap.enabled`). */
const TAP_ACCOUNT = 'weft-tap';
/** Mount of the pod's labels, with tracing. */
export const PODINFO_DIRECTORY: string = '/var/run/linkerd/podinfo';
export const PROXY_CONTAINER_NAME: string = 'linkerd-proxy';

/** A detection that never gives up. */
const ENDLESS_DETECTION = '365d';
const KEEPALIVE = '10000ms';
const USER_TIMEOUT = '30s';

/** The variables. */
export function proxyEnvironment(context: ContainerContext): readonly EnvValue[] {
  const { values } = context;
  const { proxy } = values;
  return [
    ...downwardVariables(),
    ...coreVariables(proxy),
    ...given('INBOUND_PORTS_REQUIRE_IDENTITY', proxy.requireIdentityOnInboundPorts),
    ...given('INBOUND_PORTS_REQUIRE_TLS', proxy.requireTLSOnInboundPorts),
    variable('SHUTDOWN_ENDPOINT_ENABLED', String(proxy.enableShutdownEndpoint)),
    variable('LOG', proxy.logHTTPHeaders === 'insecure' ? proxy.logLevel : `${proxy.logLevel},[{headers}]=off,[{request}]=off`),
    variable('LOG_FORMAT', proxy.logFormat),
    ...discoveryVariables(context),
    ...timeoutVariables(proxy),
    ...listenerVariables(context),
    variable('INBOUND_PORTS', context.inboundPorts),
    ...(proxy.isGateway ? [variable('INBOUND_GATEWAY_SUFFIXES', `svc.${values.clusterDomain}.`)] : []),
    ...(context.isIngress ? [variable('INGRESS_MODE', 'true')] : []),
    variable('DESTINATION_PROFILE_SUFFIXES', proxy.enableExternalProfiles ? '.' : `svc.${values.clusterDomain}.`),
    variable('INBOUND_ACCEPT_KEEPALIVE', KEEPALIVE),
    variable('OUTBOUND_CONNECT_KEEPALIVE', KEEPALIVE),
    variable('INBOUND_ACCEPT_USER_TIMEOUT', USER_TIMEOUT),
    variable('OUTBOUND_CONNECT_USER_TIMEOUT', USER_TIMEOUT),
    variable('OUTBOUND_METRICS_HOSTNAME_LABELS', String(proxy.hostnameLabels)),
    variable('INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL', proxy.inboundKeepAlive.interval),
    variable('INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT', proxy.inboundKeepAlive.timeout),
    variable('OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL', proxy.outboundKeepAlive.interval),
    variable('OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT', proxy.outboundKeepAlive.timeout),
    ...traceVariables(context),
    ...given('INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION', proxy.opaquePorts),
    variable('DESTINATION_CONTEXT', '{"ns":"$(_pod_ns)", "nodeName":"$(_pod_nodeName)", "pod":"$(_pod_name)"}\n'),
    ...identityVariables(context),
    ...given('ACCESS_LOG', proxy.accessLog),
    ...given('SHUTDOWN_GRACE_PERIOD', proxy.shutdownGracePeriod),
    ...proxy.additionalEnv,
    ...proxy.experimentalEnv,
    ...tapVariables(context),
  ];
}

function variable(name: string, value: string): EnvValue {
  return { name: `LINKERD2_PROXY_${name}`, value };
}

function given(name: string, value: string): readonly EnvValue[] {
  return value === '' ? [] : [variable(name, value)];
}

function fromField(name: string, fieldPath: string): EnvValue {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

function downwardVariables(): readonly EnvValue[] {
  return [
    fromField('_pod_name', 'metadata.name'),
    fromField('_pod_ns', 'metadata.namespace'),
    fromField('_pod_uid', 'metadata.uid'),
    fromField('_pod_ip', 'status.podIP'),
    fromField('_pod_nodeName', 'spec.nodeName'),
    { name: '_pod_containerName', value: PROXY_CONTAINER_NAME },
  ];
}

function coreVariables({ cores, workers }: ProxyValues): readonly EnvValue[] {
  const optional = (name: string, value: number | undefined): readonly EnvValue[] =>
    value === undefined ? [] : [variable(name, String(value))];
  return [
    variable('CORES', String(cores ?? workers.minimum)),
    variable('CORES_MIN', String(workers.minimum)),
    ...optional('CORES_MAX', workers.maximum),
    ...optional('CORES_MAX_RATIO', workers.maximumCPURatio),
  ];
}

function discoveryVariables({ values, controlPlaneNamespace }: ContainerContext): readonly EnvValue[] {
  const { clusterDomain, clusterNetworks, proxy } = values;
  return [
    variable('DESTINATION_SVC_ADDR', `linkerd-dst-headless.${controlPlaneNamespace}.svc.${clusterDomain}.:8086`),
    variable('DESTINATION_PROFILE_NETWORKS', clusterNetworks),
    variable('POLICY_SVC_ADDR', `linkerd-policy.${controlPlaneNamespace}.svc.${clusterDomain}.:8090`),
    variable('POLICY_WORKLOAD', '{"ns":"$(_pod_ns)", "pod":"$(_pod_name)"}\n'),
    variable('INBOUND_DEFAULT_POLICY', proxy.defaultInboundPolicy),
    variable('POLICY_CLUSTER_NETWORKS', clusterNetworks),
    variable('CONTROL_STREAM_INITIAL_TIMEOUT', proxy.streams.initialTimeout),
    variable('CONTROL_STREAM_IDLE_TIMEOUT', proxy.streams.idleTimeout),
    variable('CONTROL_STREAM_LIFETIME', proxy.streams.lifetime),
  ];
}

function timeoutVariables(proxy: ProxyValues): readonly EnvValue[] {
  return [
    variable('INBOUND_CONNECT_TIMEOUT', proxy.inboundConnectTimeout),
    variable('OUTBOUND_CONNECT_TIMEOUT', proxy.outboundConnectTimeout),
    variable('OUTBOUND_DISCOVERY_IDLE_TIMEOUT', proxy.outboundDiscoveryCacheUnusedTimeout),
    variable('INBOUND_DISCOVERY_IDLE_TIMEOUT', proxy.inboundDiscoveryCacheUnusedTimeout),
    ...(proxy.disableOutboundProtocolDetectTimeout ? [variable('OUTBOUND_DETECT_TIMEOUT', ENDLESS_DETECTION)] : []),
    ...(proxy.disableInboundProtocolDetectTimeout ? [variable('INBOUND_DETECT_TIMEOUT', ENDLESS_DETECTION)] : []),
  ];
}

function listenerVariables({ values }: ContainerContext): readonly EnvValue[] {
  const { ports } = values.proxy;
  const everywhere = values.disableIPv6 ? '0.0.0.0' : '[::]';
  return [
    variable('CONTROL_LISTEN_ADDR', `${everywhere}:${ports.control}`),
    variable('ADMIN_LISTEN_ADDR', `${everywhere}:${ports.admin}`),
    variable('OUTBOUND_LISTEN_ADDR', `127.0.0.1:${ports.outbound}`),
    variable('OUTBOUND_LISTEN_ADDRS', `127.0.0.1:${ports.outbound}${values.disableIPv6 ? '' : `,[::1]:${ports.outbound}`}`),
    variable('INBOUND_LISTEN_ADDR', `${everywhere}:${ports.inbound}`),
    fromField('LINKERD2_PROXY_INBOUND_IPS', 'status.podIPs'),
  ];
}

function traceVariables({ values, controlPlaneNamespace }: ContainerContext): readonly EnvValue[] {
  const { enabled, collector, labels, protocol, traceServiceName } = values.proxy.tracing;
  if (!enabled) return [];
  const { serviceAccountName, namespace } = collector.meshIdentity;
  const attributes = Object.entries(labels).map(([key, value]) => `${key}=${value}\n`);
  return [
    variable('TRACE_ATTRIBUTES_PATH', `${PODINFO_DIRECTORY}/labels`),
    variable('TRACE_COLLECTOR_SVC_ADDR', collector.endpoint),
    variable('TRACE_COLLECTOR_SVC_NAME', identityName(serviceAccountName, namespace, controlPlaneNamespace, values.identityTrustDomain)),
    ...given('TRACE_PROTOCOL', protocol),
    variable('TRACE_SERVICE_NAME', traceServiceName),
    ...given('TRACE_EXTRA_ATTRIBUTES', attributes.join('')),
  ];
}

/** Last, as the reference's tap injector appends it. */
function tapVariables({ values, controlPlaneNamespace, isTapped }: ContainerContext): readonly EnvValue[] {
  if (!isTapped) return [];
  return [variable('TAP_SVC_NAME', identityName(TAP_ACCOUNT, controlPlaneNamespace, controlPlaneNamespace, values.identityTrustDomain))];
}

function identityVariables({ values, controlPlaneNamespace, trustAnchors }: ContainerContext): readonly EnvValue[] {
  const { clusterDomain, identityTrustDomain } = values;
  const named = (serviceAccount: string): string =>
    identityName(serviceAccount, controlPlaneNamespace, controlPlaneNamespace, identityTrustDomain);
  return [
    fromField('_pod_sa', 'spec.serviceAccountName'),
    { name: '_l5d_ns', value: controlPlaneNamespace },
    { name: '_l5d_trustdomain', value: identityTrustDomain },
    variable('IDENTITY_DIR', IDENTITY_DIRECTORY),
    variable('IDENTITY_TRUST_ANCHORS', `${trustAnchors.trimEnd()}\n`),
    variable('IDENTITY_TOKEN_FILE', values.serviceAccountTokenProjection ? `${TOKEN_DIRECTORY}/${TOKEN_NAME}` : DEFAULT_TOKEN_FILE),
    variable('IDENTITY_SVC_ADDR', `linkerd-identity-headless.${controlPlaneNamespace}.svc.${clusterDomain}.:8080`),
    variable('IDENTITY_LOCAL_NAME', identityName('$(_pod_sa)', '$(_pod_ns)', controlPlaneNamespace, identityTrustDomain)),
    variable('IDENTITY_SVC_NAME', named('linkerd-identity')),
    variable('DESTINATION_SVC_NAME', named('linkerd-destination')),
    variable('POLICY_SVC_NAME', named('linkerd-destination')),
  ];
}

/** The token that Kubernetes mounts by itself, for installations without projected tokens. */
const DEFAULT_TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token';

function identityName(serviceAccount: string, namespace: string, controlPlaneNamespace: string, trustDomain: string): string {
  return `${serviceAccount}.${namespace}.serviceaccount.identity.${controlPlaneNamespace}.${trustDomain}`;
}

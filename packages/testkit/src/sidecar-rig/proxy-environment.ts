// SPDX-License-Identifier: Apache-2.0
/* The environment that the sidecar template gives a proxy (proxy-contract §1), with its control plane on loopback. */

export interface ProxyWorkload {
  /** The pod's address. */
  readonly ip: string;
  readonly namespace: string;
  readonly pod: string;
  readonly identity: string;
  readonly trustAnchorsPem: string;
  readonly identityDir: string;
  readonly tokenFile: string;
}

/** Address of the control plane on the pod's own loopback. */
const CONTROL = '127.0.0.1:8086';

export function proxyEnvironment(workload: ProxyWorkload): Record<string, string> {
  const { ip, namespace, pod } = workload;
  return {
    LINKERD2_PROXY_LOG: 'warn,linkerd=info',
    LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS: '127.0.0.1:4140',
    LINKERD2_PROXY_INBOUND_LISTEN_ADDR: '0.0.0.0:4143',
    LINKERD2_PROXY_ADMIN_LISTEN_ADDR: '0.0.0.0:4191',
    LINKERD2_PROXY_CONTROL_LISTEN_ADDR: '0.0.0.0:4190',
    LINKERD2_PROXY_INBOUND_IPS: ip,
    LINKERD2_PROXY_INBOUND_DEFAULT_POLICY: 'all-unauthenticated',
    LINKERD2_PROXY_DESTINATION_SVC_ADDR: CONTROL,
    LINKERD2_PROXY_POLICY_SVC_ADDR: CONTROL,
    LINKERD2_PROXY_IDENTITY_SVC_ADDR: CONTROL,
    LINKERD2_PROXY_POLICY_WORKLOAD: JSON.stringify({ ns: namespace, pod }),
    LINKERD2_PROXY_DESTINATION_CONTEXT: JSON.stringify({ ns: namespace, nodeName: 'rig', pod }),
    LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS: '10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8',
    LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES: 'svc.cluster.local.',
    LINKERD2_PROXY_IDENTITY_DIR: workload.identityDir,
    LINKERD2_PROXY_IDENTITY_TOKEN_FILE: workload.tokenFile,
    LINKERD2_PROXY_IDENTITY_LOCAL_NAME: workload.identity,
    LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS: workload.trustAnchorsPem,
    LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT: '100ms',
    LINKERD2_PROXY_OUTBOUND_CONNECT_TIMEOUT: '1000ms',
    LINKERD2_PROXY_INBOUND_ACCEPT_KEEPALIVE: '10000ms',
    LINKERD2_PROXY_OUTBOUND_CONNECT_KEEPALIVE: '10000ms',
    LINKERD2_PROXY_INBOUND_ACCEPT_USER_TIMEOUT: '30s',
    LINKERD2_PROXY_OUTBOUND_CONNECT_USER_TIMEOUT: '30s',
    LINKERD2_PROXY_INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL: '10s',
    LINKERD2_PROXY_INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT: '3s',
    LINKERD2_PROXY_OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL: '10s',
    LINKERD2_PROXY_OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT: '3s',
    LINKERD2_PROXY_CONTROL_STREAM_INITIAL_TIMEOUT: '3s',
    LINKERD2_PROXY_CONTROL_STREAM_IDLE_TIMEOUT: '5m',
    LINKERD2_PROXY_CONTROL_STREAM_LIFETIME: '1h',
  };
}

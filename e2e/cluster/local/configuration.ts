// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration files of a cluster's components, as objects: JSON is YAML, so kubelet, kube-proxy and kubectl read them as they are; containerd's
 * TOML is written out. The values that look odd say why; the rest is what kubeadm would give.
 */
import { join } from 'node:path';
import { CLUSTER_DOMAIN, type ClusterPlan, type NodePlan } from './plan.ts';

/** Inside a node's mount namespace, on a tmpfs of its own. */
export const CONTAINERD_STATE = '/run/weft-containerd';
export const CONTAINERD_SOCKET = `${CONTAINERD_STATE}/containerd.sock`;
/** Debian's containernetworking-plugins. */
export const CNI_PLUGINS = '/usr/lib/cni';
/** References of the images that only the cluster itself needs. */
export const PAUSE_IMAGE = 'localhost/pause:e2e';
export const COREDNS_IMAGE = 'localhost/coredns:e2e';
/** A node may hold more than the default of 110 pods: 200 pod starts are a test. */
const MAX_PODS = 250;

/** containerd 2's own configuration (version 3 of its file). */
export function containerdConfiguration(node: NodePlan): string {
  return `version = 3
root = '${node.directory}/containerd'
state = '${CONTAINERD_STATE}'

[grpc]
  address = '${CONTAINERD_SOCKET}'

[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '${PAUSE_IMAGE}'

[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE runc cannot lower the score that sandboxes and Guaranteed pods ask for, and fails.
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['/opt/cni/bin', '${CNI_PLUGINS}']
    conf_dir = '/etc/cni/net.d'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = false
`;
}

/** The node's network: a bridge, each pod with an address of the node's range, nothing masqueraded. */
export function cniConfiguration(node: NodePlan): object {
  return {
    cniVersion: '1.0.0',
    name: 'bridge',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        isDefaultGateway: true,
        hairpinMode: true,
        ipMasq: false,
        ipam: {
          type: 'host-local',
          dataDir: join(node.directory, 'cni/ipam'),
          ranges: node.podRanges.map((subnet) => [{ subnet }]),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

/** KubeletConfiguration; `cgroupRoot` as the machine has cgroups. */
export function kubeletConfiguration(plan: ClusterPlan, node: NodePlan): object {
  const pki = join(plan.directory, 'pki');
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: node.addresses[0],
    port: 10250,
    readOnlyPort: 0,
    healthzPort: 10248,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: join(pki, 'ca.crt') } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: join(pki, `kubelet-server-${node.name}.crt`),
    tlsPrivateKeyFile: join(pki, `kubelet-server-${node.name}.key`),
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: node.cgroup,
    // From 1.35 on kubelet refuses the first version of cgroups unless told.
    failCgroupV1: false,
    failSwapOn: false,
    clusterDomain: CLUSTER_DOMAIN,
    clusterDNS: [plan.dnsAddress],
    resolvConf: join(plan.directory, 'conf/resolv.conf'),
    // The CNI bridge does it.
    hairpinMode: 'none',
    imageGCHighThresholdPercent: 100,
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '1%',
      'imagefs.available': '1%',
      'nodefs.inodesFree': '1%',
      'imagefs.inodesFree': '1%',
    },
    nodeStatusUpdateFrequency: '10s',
    syncFrequency: '1m',
    volumePluginDir: join(node.directory, 'volume-plugins'),
    podLogsDir: join(node.directory, 'podlogs'),
    registerNode: true,
    maxPods: MAX_PODS,
    shutdownGracePeriod: '0s',
    // 25 pods at once is a normal test; the default of five a second makes it wait for events.
    eventRecordQPS: 50,
    eventBurst: 100,
  };
}

/** KubeProxyConfiguration. */
export function kubeProxyConfiguration(plan: ClusterPlan): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    bindAddress: '127.0.0.1',
    clientConnection: { kubeconfig: join(plan.directory, 'pki/kube-proxy.conf') },
    clusterCIDR: plan.podRanges.join(','),
    // Those sysctls are read-only outside the machine's first network namespace.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    nodePortAddresses: ['primary'],
  };
}

const COREFILE = `.:53 {
    errors
    health
    ready
    kubernetes ${CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    prometheus :9153
    cache 5
    loadbalance
}
`;

/** CoreDNS as one List, with the names and labels that clusters usually have. */
export function coreDnsObjects(plan: ClusterPlan): object {
  const metadata = { name: 'coredns', namespace: 'kube-system' };
  const labels = { 'k8s-app': 'kube-dns' };
  const rbac = 'rbac.authorization.k8s.io';
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
      {
        apiVersion: `${rbac}/v1`,
        kind: 'ClusterRole',
        metadata: { name: 'system:coredns' },
        rules: [
          { apiGroups: [''], resources: ['endpoints', 'services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
          { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
        ],
      },
      {
        apiVersion: `${rbac}/v1`,
        kind: 'ClusterRoleBinding',
        metadata: { name: 'system:coredns' },
        roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'system:coredns' },
        subjects: [{ kind: 'ServiceAccount', ...metadata }],
      },
      { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { Corefile: COREFILE } },
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { ...metadata, labels },
        spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: coreDnsPod() } },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'kube-dns', namespace: 'kube-system', labels: { ...labels, 'kubernetes.io/name': 'CoreDNS' } },
        spec: {
          clusterIP: plan.dnsAddress,
          ipFamilyPolicy: 'PreferDualStack',
          selector: labels,
          ports: [
            { name: 'dns', port: 53, protocol: 'UDP' },
            { name: 'dns-tcp', port: 53, protocol: 'TCP' },
            { name: 'metrics', port: 9153 },
          ],
        },
      },
    ],
  };
}

function coreDnsPod(): object {
  return {
    serviceAccountName: 'coredns',
    priorityClassName: 'system-cluster-critical',
    dnsPolicy: 'Default',
    containers: [
      {
        name: 'coredns',
        image: COREDNS_IMAGE,
        imagePullPolicy: 'Never',
        args: ['-conf', '/etc/coredns/Corefile'],
        ports: [
          { containerPort: 53, name: 'dns', protocol: 'UDP' },
          { containerPort: 53, name: 'dns-tcp', protocol: 'TCP' },
          { containerPort: 9153, name: 'metrics' },
        ],
        readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
        livenessProbe: { httpGet: { path: '/health', port: 8080 }, initialDelaySeconds: 30 },
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { add: ['NET_BIND_SERVICE'], drop: ['ALL'] },
          readOnlyRootFilesystem: true,
        },
        volumeMounts: [{ name: 'config', mountPath: '/etc/coredns', readOnly: true }],
      },
    ],
    volumes: [{ name: 'config', configMap: { name: 'coredns' } }],
  };
}

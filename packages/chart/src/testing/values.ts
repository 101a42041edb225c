// SPDX-License-Identifier: Apache-2.0
/*
 * Values for tests: the least that the control plane's chart needs, and sets of values that together reach every branch of the templates.
 * The same sets are rendered by Helm and by us in e2e/charts.
 */
import type { Dictionary } from '../template/data.ts';

const certificate = (name: string): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(name).toString('base64')}\n-----END CERTIFICATE-----\n`;

/** Marks of keys that must not be anywhere but in their Secrets. */
export const KEYS = { issuer: 'aXNzdWVyLWtleQ==', webhook: 'd2ViaG9vay1rZXk=' } as const;

const key = (body: string): string => `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;

/** What an installation with its own issuer gives at least. */
export const REQUIRED_VALUES: Dictionary = {
  identityTrustAnchorsPEM: certificate('anchors'),
  identity: { issuer: { tls: { crtPEM: certificate('issuer'), keyPEM: key(KEYS.issuer) } } },
};

const GIVEN_CERTIFICATES: Dictionary = { crtPEM: certificate('webhook'), keyPEM: key(KEYS.webhook), caBundle: certificate('webhook-ca') };

const TRACING: Dictionary = {
  enabled: true,
  protocol: 'opencensus',
  collector: { endpoint: 'collector.tracing:55678', meshIdentity: { serviceAccountName: 'collector', namespace: 'tracing' } },
};

const RESOURCES: Dictionary = {
  cpu: { request: '100m', limit: 2 },
  memory: { request: '20Mi', limit: '250Mi' },
  'ephemeral-storage': { request: '10Mi', limit: '1Gi' },
};

/** One render: values over the required ones. */
export interface ValueSet {
  readonly name: string;
  readonly values: Dictionary;
  /** Values files of the chart under them. */
  readonly files?: readonly string[];
  readonly namespace?: string;
}

/** Sets for weft-control-plane. */
export const CONTROL_PLANE_SETS: readonly ValueSet[] = [
  { name: 'defaults', values: {} },
  { name: 'high availability', values: {}, files: ['values-ha.yaml'] },
  {
    name: 'high availability with other replicas',
    values: { controllerReplicas: 5, controller: { podDisruptionBudget: { maxUnavailable: null, minAvailable: '50%' } } },
    files: ['values-ha.yaml'],
  },
  {
    name: 'another namespace and domain',
    values: { clusterDomain: 'example.org', identityTrustDomain: 'trust.example.org' },
    namespace: 'mesh-system',
  },
  { name: 'CNI', values: { cniEnabled: true } },
  {
    name: 'CNI and IPv6',
    values: { cniEnabled: true, disableIPv6: false, networkValidator: { logFormat: 'json', logLevel: 'info', timeout: '5s' } },
  },
  {
    name: 'network validator addresses',
    values: { cniEnabled: true, networkValidator: { connectAddr: '10.0.0.1:80', listenAddr: '0.0.0.0:9999' } },
  },
  { name: 'IPv6', values: { disableIPv6: false } },
  { name: 'classic sidecar', values: { proxy: { nativeSidecar: false, waitBeforeExitSeconds: 10 } } },
  { name: 'classic sidecar without await', values: { proxy: { nativeSidecar: false, await: false } } },
  { name: 'native sidecar without await', values: { proxy: { await: false } } },
  {
    name: 'proxy settings',
    values: {
      proxy: {
        accessLog: 'json',
        logFormat: 'json',
        logHTTPHeaders: 'insecure',
        logLevel: 'debug',
        shutdownGracePeriod: '30s',
        enableShutdownEndpoint: true,
        enableExternalProfiles: true,
        disableInboundProtocolDetectTimeout: true,
        disableOutboundProtocolDetectTimeout: true,
        requireIdentityOnInboundPorts: '8443,9000-9010',
        opaquePorts: '',
        gid: 2200,
        uid: 2201,
        metrics: { hostnameLabels: true },
      },
    },
  },
  {
    name: 'proxy ports',
    values: { proxy: { ports: { admin: 14191, control: 14190, inbound: 14143, outbound: 14140 }, opaquePorts: 3306 } },
  },
  { name: 'proxy workers', values: { proxy: { cores: 3, runtime: { workers: { minimum: 2, maximum: 4, maximumCPURatio: 0.5 } } } } },
  { name: 'proxy resources', values: { proxy: { resources: RESOURCES }, identityProxyResources: RESOURCES } },
  {
    name: 'proxy environment and security context',
    values: {
      proxy: {
        additionalEnv: [
          { name: 'A', value: 'on' },
          { name: 'B', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        ],
        experimentalEnv: [{ name: 'C', value: '1' }],
        securityContext: { runAsUser: 2102, runAsNonRoot: true, readOnlyRootFilesystem: true },
      },
    },
  },
  { name: 'tracing', values: { proxy: { tracing: TRACING }, controller: { tracing: TRACING } } },
  {
    name: 'legacy iptables',
    values: {
      proxyInit: {
        iptablesMode: 'legacy',
        ignoreInboundPorts: 22,
        ignoreOutboundPorts: '',
        skipSubnets: '10.1.0.0/16,10.2.0.0/16',
        logLevel: 'debug',
        logFormat: 'json',
        xtMountPath: { readOnly: true },
      },
    },
  },
  { name: 'init as root', values: { proxyInit: { runAsRoot: true, closeWaitTimeoutSecs: 3600 } } },
  { name: 'init privileged, as another user', values: { proxyInit: { privileged: true, runAsUser: 1000650000, runAsGroup: 0 } } },
  { name: 'large user ids', values: { controllerUID: 1000650000, controllerGID: 1000650001, proxy: { uid: 1000650002, gid: 1000650003 } } },
  {
    name: 'images',
    values: {
      linkerdVersion: '9.9.9',
      controllerImage: 'example.com/c',
      controllerImageVersion: 'v1',
      imagePullPolicy: 'Always',
      imagePullSecrets: [{ name: 'registry' }],
      proxy: { image: { name: 'example.com/p', version: 'v2', pullPolicy: 'Never' } },
      cliVersion: 'weft/cli 9.9.9',
    },
  },
  {
    name: 'placement',
    values: {
      nodeSelector: { pool: 'infra', 'kubernetes.io/os': null },
      tolerations: [{ key: 'infra', operator: 'Exists', effect: 'NoSchedule' }],
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'pool', operator: 'In', values: ['infra'] }] }],
        },
      },
      priorityClassName: 'system-cluster-critical',
      runtimeClassName: 'gvisor',
      enablePodAntiAffinity: true,
      enablePodDisruptionBudget: true,
    },
  },
  {
    name: 'labels and annotations',
    values: {
      commonLabels: { team: 'mesh', yes: 'on' },
      podLabels: { tier: '1' },
      podAnnotations: { a: 'true' },
      identity: { podAnnotations: { b: '2' } },
      destinationController: { podAnnotations: { a: 'own' } },
      proxyInjector: { podAnnotations: { c: '3' } },
    },
  },
  {
    name: 'logs and profiles',
    values: {
      controllerLogLevel: 'debug',
      controllerLogFormat: 'json',
      enablePprof: true,
      policyController: { logLevel: 'linkerd=debug' },
    },
  },
  {
    name: 'controller resources',
    values: {
      identityResources: RESOURCES,
      destinationResources: RESOURCES,
      spValidatorResources: RESOURCES,
      proxyInjectorResources: RESOURCES,
      heartbeatResources: RESOURCES,
      policyController: { resources: RESOURCES },
    },
  },
  {
    name: 'arguments and environment of controllers',
    values: {
      destinationController: {
        additionalArgs: ['-stream-queue-capacity=200'],
        experimentalArgs: ['-x=1'],
        additionalEnv: [{ name: 'D', value: 'd' }],
      },
      policyController: {
        additionalArgs: ['--patch-timeout-ms=9'],
        additionalEnv: [{ name: 'P', value: 'p' }],
        probeNetworks: ['10.0.0.0/8'],
      },
      identity: { additionalEnv: [{ name: 'I', value: 'i' }] },
      spValidator: { additionalEnv: [{ name: 'S', value: 's' }] },
      proxyInjector: { additionalEnv: [{ name: 'J', value: 'j' }] },
      heartbeat: { additionalEnv: [{ name: 'H', value: 'h' }] },
    },
  },
  {
    name: 'probe timing',
    values: {
      identity: { livenessProbe: { timeoutSeconds: 5, initialDelaySeconds: 30 } },
      spValidator: { readinessProbe: { failureThreshold: 3 } },
      policyController: { livenessProbe: { periodSeconds: 20 } },
      proxy: { readinessProbe: { periodSeconds: 3 } },
    },
  },
  {
    name: 'given webhook certificates',
    values: { proxyInjector: GIVEN_CERTIFICATES, profileValidator: GIVEN_CERTIFICATES, policyValidator: GIVEN_CERTIFICATES },
  },
  {
    name: 'external webhook certificates by cert-manager',
    values: {
      proxyInjector: { externalSecret: true, injectCaFrom: 'linkerd/injector' },
      profileValidator: { externalSecret: true, injectCaFromSecret: 'linkerd/sp' },
      policyValidator: { externalSecret: true, caBundle: certificate('external') },
    },
  },
  {
    name: 'external CA',
    values: { identityTrustAnchorsPEM: '', identity: { externalCA: true, issuer: { scheme: 'kubernetes.io/tls', tls: null } } },
  },
  {
    name: 'issuer of cert-manager',
    values: {
      identity: {
        issuer: { scheme: 'kubernetes.io/tls', clockSkewAllowance: '1m', issuanceLifetime: '1h30m' },
        kubeAPI: { clientQPS: 12.5, clientBurst: 7 },
      },
    },
  },
  { name: 'default service account tokens', values: { identity: { serviceAccountTokenProjection: false } } },
  { name: 'no heartbeat', values: { disableHeartBeat: true } },
  { name: 'heartbeat schedule and Prometheus', values: { heartbeatSchedule: '7 3 * * *', prometheusUrl: 'http://prometheus:9090' } },
  { name: 'pod monitors', values: { podMonitor: { enabled: true, scrapeInterval: '30s', labels: { release: 'prometheus' } } } },
  {
    name: 'some pod monitors',
    values: {
      podMonitor: {
        enabled: true,
        controller: { namespaceSelector: 'any: true' },
        serviceMirror: { enabled: false },
        proxy: { honorTimestamps: true },
      },
    },
  },
  { name: 'config readers', values: { configReaders: [{ name: 'viz', namespace: 'linkerd-viz' }, { name: 'own' }] } },
  {
    name: 'webhook selectors',
    values: {
      webhookFailurePolicy: 'Fail',
      proxyInjector: {
        timeoutSeconds: 5,
        namespaceSelector: { matchExpressions: [{ key: 'mesh', operator: 'Exists' }] },
        objectSelector: { matchLabels: { app: 'a' }, matchExpressions: null },
      },
    },
  },
  {
    name: 'discovery switches',
    values: {
      enableH2Upgrade: false,
      enableEndpointSlices: false,
      proxy: { outboundTransportMode: 'transparent', defaultInboundPolicy: 'deny' },
      egress: { globalEgressNetworkNamespace: 'egress' },
      clusterNetworks: '10.0.0.0/8',
      destinationController: { meshedHttp2ClientProtobuf: { keep_alive: { interval: { seconds: 20 } } } },
    },
  },
  { name: 'strategy', values: { deploymentStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }, revisionHistoryLimit: 0 } },
];

/** Sets for weft-crds. */
export const CRD_SETS: readonly ValueSet[] = [
  { name: 'defaults', values: {} },
  { name: 'Gateway API', values: { installGatewayAPI: true } },
  { name: 'Gateway API without TLSRoute', values: { installGatewayAPI: true, enableTlsRoutes: false } },
  { name: 'HTTP routes only', values: { enableHttpRoutes: true } },
  { name: 'made by the CLI', values: { cliVersion: 'weft/cli 9.9.9', enableTcpRoutes: true }, namespace: 'mesh-system' },
];

/** Sets for weft-cni. */
export const CNI_SETS: readonly ValueSet[] = [
  { name: 'defaults', values: {}, namespace: 'linkerd-cni' },
  {
    name: 'repair controller',
    values: { repairController: { enabled: true, logLevel: 'debug', logFormat: 'json', resources: RESOURCES } },
    namespace: 'linkerd-cni',
  },
  { name: 'repair controller without security context', values: { repairController: { enabled: true, enableSecurityContext: false } } },
  {
    name: 'ports and networks',
    values: {
      ignoreInboundPorts: '22, 5000-5010',
      ignoreOutboundPorts: 6379,
      portsToRedirect: '80,8080',
      skipSubnets: '10.1.0.0/16',
      proxyAdminPort: 14191,
      proxyControlPort: 14190,
      inboundProxyPort: 14143,
      outboundProxyPort: 14140,
    },
  },
  { name: 'firewall', values: { iptablesMode: 'legacy', useWaitFlag: true, disableIPv6: false, proxyUID: 1000650000, proxyGID: 2103 } },
  { name: 'directories', values: { destCNIBinDir: '/home/kubernetes/bin', destCNINetDir: '/var/lib/cni/net.d' } },
  {
    name: 'placement',
    values: {
      tolerations: [],
      nodeSelector: { pool: 'a' },
      nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] },
      priorityClassName: 'system-node-critical',
      runtimeClassName: 'r',
      updateStrategy: { rollingUpdate: { maxUnavailable: '20%' } },
      imagePullSecrets: [{ name: 'registry' }],
    },
  },
  {
    name: 'labels, resources, privileged',
    values: {
      commonLabels: { team: 'mesh' },
      podLabels: { tier: 'node' },
      podAnnotations: { a: 'b' },
      resources: RESOURCES,
      privileged: true,
      extraInitContainers: [{ name: 'wait', image: 'busybox' }],
    },
  },
];

/** Values of weft-control-plane that contradict each other, and what is said about them. */
export type RefusedSet = readonly [values: Dictionary, message: string];

/** See `RefusedSet`. */
export const REFUSED_SETS: readonly RefusedSet[] = [
  [{ identityTrustAnchorsPEM: '' }, 'identityTrustAnchorsPEM is required'],
  [{ identity: { issuer: { tls: { keyPEM: '' } } } }, 'identity.issuer.tls.keyPEM is required'],
  [{ proxyInjector: { externalSecret: true } }, 'proxyInjector: externalSecret needs one of caBundle, injectCaFrom and injectCaFromSecret'],
  [{ proxyInjector: { externalSecret: true, injectCaFrom: 'a/b', injectCaFromSecret: 'a/b' } }, 'proxyInjector: set only one of'],
  [{ profileValidator: { injectCaFrom: 'a/b' } }, 'profileValidator: injectCaFrom and injectCaFromSecret need externalSecret=true'],
  [
    { policyValidator: { externalSecret: true, injectCaFrom: 'a/b', caBundle: '-----BEGIN CERTIFICATE-----' } },
    'policyValidator: caBundle has no effect',
  ],
  [{ policyValidator: { crtPEM: '-----BEGIN CERTIFICATE-----' } }, 'policyValidator: crtPEM and keyPEM go together'],
  [{ proxyInit: { closeWaitTimeoutSecs: 60 } }, 'proxyInit.closeWaitTimeoutSecs needs proxyInit.runAsRoot'],
  [{ proxy: { tracing: { enabled: true } } }, 'proxy.tracing.collector.endpoint is required'],
];

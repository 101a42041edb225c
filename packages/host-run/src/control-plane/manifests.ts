// SPDX-License-Identifier: Apache-2.0
/*
 * The control plane's objects on a host: the names, ports, labels and arguments that the reference's chart gives them (control-contract §0, §1.1,
 * §2.1, §3.1, §6.1, §6.2), with local programs for images. No webhooks: what the injector would do, the run does itself.
 */
import type { Container, Probe, ResourceInput } from '@weft/resources';
import { CLUSTER_NETWORKS, CONTROL_NAMESPACE, CONTROLLER_UID, DEFAULT_OPAQUE_PORTS } from '../pod/proxy-settings.ts';
import type { MeshMaterial } from './material.ts';

export interface ControlPlaneOptions {
  /** The controller's command line without sub-command. */
  readonly command: readonly string[];
  /** URL of the API that this run serves. */
  readonly resources: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly material: MeshMaterial;
  readonly defaultInboundPolicy: string;
  readonly logLevel: string;
}

type ServiceRow = readonly [name: string, component: string, port: number, portName: string, isHeadless: boolean];

const SERVICES: readonly ServiceRow[] = [
  ['linkerd-identity', 'identity', 8080, 'grpc', false],
  ['linkerd-identity-headless', 'identity', 8080, 'grpc', true],
  ['linkerd-dst', 'destination', 8086, 'grpc', false],
  ['linkerd-dst-headless', 'destination', 8086, 'grpc', true],
  ['linkerd-policy', 'destination', 8090, 'grpc', true],
];

/** All objects, in the order in which they can be created. */
export function controlPlaneManifests(options: ControlPlaneOptions): ResourceInput[] {
  const { material } = options;
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: CONTROL_NAMESPACE,
        labels: {
          'linkerd.io/is-control-plane': 'true',
          'linkerd.io/control-plane-ns': CONTROL_NAMESPACE,
          'config.linkerd.io/admission-webhooks': 'disabled',
        },
      },
    },
    object('v1', 'ConfigMap', 'linkerd-identity-trust-roots', 'identity', { data: { 'ca-bundle.crt': material.trustAnchorsPem } }),
    ...['linkerd-identity', 'linkerd-destination'].map((name) => object('v1', 'ServiceAccount', name, name.slice('linkerd-'.length), {})),
    ...SERVICES.map((row) => service(row)),
    deployment('identity', [identityContainer(options)], {}),
    deployment('destination', [destinationContainer(options), policyContainer(options)], {
      'config.linkerd.io/default-inbound-policy': 'all-unauthenticated',
    }),
  ];
}

function identityContainer({ command, resources, trustDomain, material, logLevel }: ControlPlaneOptions): Container {
  return container('identity', [8080, 'grpc'], [9990, 'admin-http'], '/ping', [
    ...command,
    'identity',
    '-controller-namespace',
    CONTROL_NAMESPACE,
    '-identity-trust-domain',
    trustDomain,
    '-identity-issuance-lifetime',
    '24h0m0s',
    '-identity-clock-skew-allowance',
    '20s',
    '-identity-scheme',
    'linkerd.io/tls',
    `-issuer=${material.issuerDirectory}`,
    `--trust-roots=${material.trustRootsDirectory}`,
    `--local-token-key=${material.tokenPublicKeyFile}`,
    '-log-level',
    logLevel,
    '--resources',
    resources,
  ]);
}

function destinationContainer({ command, resources, trustDomain, clusterDomain, logLevel }: ControlPlaneOptions): Container {
  return container('destination', [8086, 'grpc'], [9996, 'admin-http'], '/ping', [
    ...command,
    'destination',
    '-addr=:8086',
    `-controller-namespace=${CONTROL_NAMESPACE}`,
    '-outbound-transport-mode=transport-header',
    '-enable-h2-upgrade=true',
    '-enable-endpoint-slices=true',
    `-cluster-domain=${clusterDomain}`,
    `-identity-trust-domain=${trustDomain}`,
    `-default-opaque-ports=${DEFAULT_OPAQUE_PORTS}`,
    '-enable-ipv6=false',
    `-log-level=${logLevel}`,
    '--meshed-http2-client-params={"keep_alive":{"interval":{"seconds":10},"timeout":{"seconds":3},"while_idle":true}}',
    '--resources',
    resources,
  ]);
}

function policyContainer(options: ControlPlaneOptions): Container {
  const { command, resources, trustDomain, clusterDomain, defaultInboundPolicy, logLevel } = options;
  return container('policy', [8090, 'grpc'], [9990, 'admin-http'], '/live', [
    ...command,
    'policy',
    '--admin-addr=0.0.0.0:9990',
    `--control-plane-namespace=${CONTROL_NAMESPACE}`,
    '--grpc-addr=0.0.0.0:8090',
    '--admission-controller-disabled',
    '--policy-deployment-name=linkerd-destination',
    `--cluster-networks=${CLUSTER_NETWORKS}`,
    `--identity-domain=${trustDomain}`,
    `--cluster-domain=${clusterDomain}`,
    `--default-policy=${defaultInboundPolicy}`,
    `--default-opaque-ports=${DEFAULT_OPAQUE_PORTS}`,
    '--global-egress-network-namespace=linkerd-egress',
    '--probe-networks=0.0.0.0/0,::/0',
    `--log-level=${logLevel}`,
    '--resources',
    resources,
  ]);
}

type NamedPort = readonly [number: number, name: string];

function container(name: string, grpc: NamedPort, admin: NamedPort, livePath: string, command: readonly string[]): Container {
  const probe = (path: string): Probe => ({ httpGet: { path, port: admin[0] }, timeoutSeconds: 1 });
  return {
    name,
    image: 'weft-controller',
    command,
    ports: [grpc, admin].map(([containerPort, portName]) => ({ containerPort, name: `${name.slice(0, 4)}-${portName}` })),
    livenessProbe: { ...probe(livePath), initialDelaySeconds: 10 },
    readinessProbe: { ...probe('/ready'), failureThreshold: 7 },
    securityContext: { runAsUser: CONTROLLER_UID, runAsGroup: CONTROLLER_UID, runAsNonRoot: true },
  };
}

function componentLabels(component: string): Record<string, string> {
  return { 'linkerd.io/control-plane-component': component, 'linkerd.io/control-plane-ns': CONTROL_NAMESPACE };
}

function object(
  apiVersion: string,
  kind: string,
  name: string,
  component: string,
  fields: Readonly<Record<string, unknown>>,
): ResourceInput {
  return { apiVersion, kind, metadata: { name, namespace: CONTROL_NAMESPACE, labels: componentLabels(component) }, ...fields };
}

function service([name, component, port, portName, isHeadless]: ServiceRow): ResourceInput {
  return object('v1', 'Service', name, component, {
    spec: {
      ...(isHeadless ? { clusterIP: 'None' } : {}),
      selector: { 'linkerd.io/control-plane-component': component },
      ports: [{ name: portName, port, targetPort: port }],
    },
  });
}

function deployment(component: string, containers: readonly Container[], annotations: Readonly<Record<string, string>>): ResourceInput {
  const labels = componentLabels(component);
  return object('apps/v1', 'Deployment', `linkerd-${component}`, component, {
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations },
        spec: { serviceAccountName: `linkerd-${component}`, containers },
      },
    },
  });
}

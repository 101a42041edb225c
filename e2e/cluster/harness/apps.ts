// SPDX-License-Identifier: Apache-2.0
/* Manifests of the applications that tests run: a server that tells what it saw, and a client that waits for commands. Both use the image of tests. */
import { APP_IMAGE } from '../images/test-images.ts';

export interface AppOptions {
  readonly name: string;
  readonly replicas?: number;
  /** Of the pods. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Of the pods, besides `app: NAME`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** At most one pod a node. */
  readonly isSpread?: boolean;
  /** Merged into the pod's spec, over what is here. */
  readonly podSpec?: object;
}

export interface EchoOptions extends AppOptions {
  /** Arguments for images/app/echo.mjs, e.g. `['--tcp', '9000']`. */
  readonly args?: readonly string[];
  /** Of the Service's port; the one of HTTP is 80, to 8080. */
  readonly ports?: readonly object[];
  /** Merged into the Service's spec. */
  readonly serviceSpec?: object;
  readonly serviceAnnotations?: Readonly<Record<string, string>>;
}

/** ServiceAccount, Deployment and Service of an echo server on port 80. */
export function echoApp({ name, args = [], ports, serviceSpec, serviceAnnotations, ...rest }: EchoOptions): readonly object[] {
  const container = {
    name: 'echo',
    image: APP_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '/app/echo.mjs', '--name', name, ...args],
    env: [{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 1 },
  };
  const servicePorts = ports ?? [{ name: 'http', port: 80, targetPort: 'http' }];
  const annotations = serviceAnnotations === undefined ? {} : { annotations: serviceAnnotations };
  return [
    ...deployment({ name, ...rest }, container),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, ...annotations },
      spec: { selector: { app: name }, ports: servicePorts, ...serviceSpec },
    },
  ];
}

/** ServiceAccount and Deployment of a pod that waits: `kube.exec('deploy/client', […])`, `kube.curl('deploy/client', url)`. */
export function clientApp(options: Partial<AppOptions> = {}): readonly object[] {
  const container = { name: 'client', image: APP_IMAGE, imagePullPolicy: 'IfNotPresent', command: ['sleep', '1000000'] };
  return deployment({ name: 'client', ...options }, container);
}

function deployment(
  { name, replicas = 1, annotations = {}, labels = {}, isSpread = false, podSpec }: AppOptions,
  container: object,
): object[] {
  const own = { app: name };
  const apart = { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: own } };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, labels: own },
      spec: {
        replicas,
        selector: { matchLabels: own },
        template: {
          metadata: { labels: { ...labels, ...own }, annotations },
          spec: {
            serviceAccountName: name,
            terminationGracePeriodSeconds: 5,
            ...(isSpread ? { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [apart] } } } : {}),
            containers: [container],
            ...podSpec,
          },
        },
      },
    },
  ];
}

// SPDX-License-Identifier: Apache-2.0
/* A healthy installation as objects, with one meshed application: what the tests of checks break. */
import { createCertificate, encodePem, exportPrivateKeyPem, generateKey } from '@weft/pki';
import type { KeyPair } from '@weft/pki';
import type { MemoryCluster, PlainObject } from '../../kube/testing/memory-reader.ts';
import { CONTROL_PLANE_DEFINITIONS } from '../checks/definitions.ts';
import { GATEWAY_DEFINITIONS } from '../checks/kubernetes.ts';

/** The moment in which the installation is healthy. */
export const NOW_MS: number = Date.UTC(2026, 10, 23);
/** Version of everything in it. */
export const INSTALLED_VERSION = '1.2.3';

const DAY_MS = 24 * 3600_000;
const RBAC = 'rbac.authorization.k8s.io/v1';

/** A certificate with its key. */
export interface TestCertificate {
  readonly pem: string;
  readonly keyPem: string;
  readonly der: Uint8Array;
  readonly keys: KeyPair;
}

/** What a test certificate may differ in. */
export interface TestCertificateOptions {
  readonly name?: string;
  readonly from?: number;
  readonly to?: number;
  readonly signer?: TestCertificate;
  readonly dnsNames?: readonly string[];
  readonly isLeaf?: boolean;
  readonly keys?: KeyPair;
}

/** A CA (a leaf where asked), self-signed unless a signer is given; valid a year around now. */
export function testCertificate(options: TestCertificateOptions = {}): TestCertificate {
  const keys = options.keys ?? generateKey();
  const der = createCertificate(
    {
      subject: options.name ?? 'identity.linkerd.cluster.local',
      publicKey: keys.publicKey,
      notBeforeMs: options.from ?? NOW_MS - DAY_MS,
      notAfterMs: options.to ?? NOW_MS + 365 * DAY_MS,
      ...(options.isLeaf === true
        ? { keyUsage: ['digitalSignature'], extendedKeyUsage: ['serverAuth'] }
        : { ca: {}, keyUsage: ['keyCertSign', 'cRLSign'] }),
      ...(options.dnsNames === undefined ? {} : { dnsNames: options.dnsNames }),
    },
    options.signer === undefined
      ? { certificateDer: 'self', privateKey: keys.privateKey }
      : { certificateDer: options.signer.der, privateKey: options.signer.keys.privateKey },
  );
  return { pem: encodePem('CERTIFICATE', der), keyPem: exportPrivateKeyPem(keys.privateKey), der, keys };
}

/** Base64, as Secrets and webhooks hold it. */
export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function object(apiVersion: string, kind: string, name: string, rest: Readonly<Record<string, unknown>> = {}): PlainObject {
  const { metadata, ...fields } = rest;
  return { apiVersion, kind, metadata: { name, ...(metadata as object | undefined) }, ...fields };
}

function inNamespace(namespace: string): { readonly metadata: object } {
  return { metadata: { namespace } };
}

function definition(name: string, versions: readonly string[]): PlainObject {
  return object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', name, {
    spec: { versions: versions.map((version) => ({ name: version, served: true })) },
  });
}

function component(name: string, index: number): PlainObject[] {
  const labels = {
    'linkerd.io/control-plane-component': name,
    'linkerd.io/control-plane-ns': 'linkerd',
    'linkerd.io/proxy-deployment': `linkerd-${name}`,
  };
  const image = (container: string): object => ({
    name: container,
    image: `ghcr.io/weft-mesh/${container === 'linkerd-proxy' ? 'proxy' : 'controller'}:${INSTALLED_VERSION}`,
  });
  return [
    object('apps/v1', 'Deployment', `linkerd-${name}`, { ...inNamespace('linkerd'), status: { availableReplicas: 1 } }),
    object('apps/v1', 'ReplicaSet', `linkerd-${name}-5d8`, {
      metadata: { namespace: 'linkerd', labels },
      spec: { replicas: 1 },
      status: { readyReplicas: 1 },
    }),
    object('v1', 'Pod', `linkerd-${name}-5d8-x`, {
      metadata: { namespace: 'linkerd', labels },
      spec: { containers: [image(name)], initContainers: [image('linkerd-proxy')] },
      status: {
        phase: 'Running',
        podIP: `10.244.0.${index + 10}`,
        containerStatuses: [{ name, ready: true }],
        initContainerStatuses: [{ name: 'linkerd-proxy', ready: true }],
      },
    }),
  ];
}

function webhook(name: string, kind: string): PlainObject[] {
  const ca = testCertificate({ name: `linkerd-${name}` });
  const leaf = testCertificate({ signer: ca, isLeaf: true, dnsNames: [`linkerd-${name}.linkerd.svc`], name: '' });
  return [
    object('v1', 'Secret', `linkerd-${name}-k8s-tls`, {
      ...inNamespace('linkerd'),
      data: { 'tls.crt': base64(leaf.pem), 'tls.key': base64(leaf.keyPem) },
    }),
    object('admissionregistration.k8s.io/v1', kind, `linkerd-${name}-webhook-config`, {
      webhooks: [
        {
          name: `linkerd-${name}.linkerd.io`,
          clientConfig: { caBundle: base64(ca.pem), service: { name: `linkerd-${name}`, namespace: 'linkerd' } },
        },
      ],
    }),
  ];
}

/** The YAML of `linkerd-config`, by field, so that a test can change one. */
export const INSTALLED_VALUES: Readonly<Record<string, unknown>> = {
  linkerdVersion: INSTALLED_VERSION,
  clusterNetworks: '10.0.0.0/8,172.16.0.0/12,fd00::/8',
  cniEnabled: false,
  disableHeartBeat: false,
  highAvailability: false,
  identity: { issuer: { scheme: 'linkerd.io/tls' } },
  proxy: { opaquePorts: '25,3306' },
  proxyInit: { runAsRoot: false },
};

/** The configuration of an installation; JSON is YAML. */
export function configMap(values: Readonly<Record<string, unknown>>): PlainObject {
  return object('v1', 'ConfigMap', 'linkerd-config', { ...inNamespace('linkerd'), data: { values: JSON.stringify(values) } });
}

/** The trust anchors. */
export function trustRoots(pem: string): PlainObject {
  return object('v1', 'ConfigMap', 'linkerd-identity-trust-roots', { ...inNamespace('linkerd'), data: { 'ca-bundle.crt': pem } });
}

/** The issuer. */
export function issuerSecret({ pem, keyPem }: Pick<TestCertificate, 'pem' | 'keyPem'>): PlainObject {
  return object('v1', 'Secret', 'linkerd-identity-issuer', {
    ...inNamespace('linkerd'),
    data: { 'crt.pem': base64(pem), 'key.pem': base64(keyPem) },
  });
}

/** A node. */
export function node(name: string, podCidr: string, runtime = 'containerd://2.4.2'): PlainObject {
  return object('v1', 'Node', name, {
    spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
    status: {
      nodeInfo: { containerRuntimeVersion: runtime },
      conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: new Date(NOW_MS - 60_000).toISOString() }],
    },
  });
}

/** Root and issuer of the healthy installation. */
export interface Trust {
  readonly root: TestCertificate;
  readonly issuer: TestCertificate;
}

/** New keys. */
export function createTrust(): Trust {
  const root = testCertificate({ name: 'root.linkerd.cluster.local' });
  return { root, issuer: testCertificate({ signer: root }) };
}

/** The whole cluster. */
export function healthyCluster({ root, issuer }: Trust): MemoryCluster {
  const accounts = ['destination', 'identity', 'proxy-injector', 'heartbeat'];
  const roles = ['linkerd-linkerd-destination', 'linkerd-linkerd-identity', 'linkerd-linkerd-proxy-injector'];
  return {
    answers: { '/version': { gitVersion: 'v1.37.2' } },
    objects: [
      object('v1', 'Namespace', 'linkerd'),
      object('v1', 'Namespace', 'shop'),
      ...Object.entries({ ...CONTROL_PLANE_DEFINITIONS, ...GATEWAY_DEFINITIONS }).map(([name, versions]) => definition(name, versions)),
      ...[...roles, 'linkerd-policy'].map((name) => object(RBAC, 'ClusterRole', name)),
      ...[...roles, 'linkerd-destination-policy'].map((name) => object(RBAC, 'ClusterRoleBinding', name)),
      ...accounts.map((name) => object('v1', 'ServiceAccount', `linkerd-${name}`, inNamespace('linkerd'))),
      ...webhook('proxy-injector', 'MutatingWebhookConfiguration'),
      ...webhook('sp-validator', 'ValidatingWebhookConfiguration'),
      ...webhook('policy-validator', 'ValidatingWebhookConfiguration'),
      configMap(INSTALLED_VALUES),
      trustRoots(root.pem),
      issuerSecret(issuer),
      ...['destination', 'identity', 'proxy-injector'].flatMap(component),
      node('node-1', '10.244.0.0/24'),
      object('v1', 'Service', 'web', {
        metadata: { namespace: 'shop' },
        spec: { clusterIP: '10.96.0.20', selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
      }),
      object('v1', 'Pod', 'web-1', {
        metadata: { namespace: 'shop', labels: { app: 'web', 'linkerd.io/control-plane-ns': 'linkerd' } },
        spec: {
          containers: [{ name: 'app' }],
          initContainers: [
            {
              name: 'linkerd-proxy',
              image: `ghcr.io/weft-mesh/proxy:${INSTALLED_VERSION}`,
              env: [{ name: 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS', value: root.pem }],
            },
          ],
        },
        status: {
          phase: 'Running',
          podIP: '10.244.0.30',
          containerStatuses: [{ name: 'app', ready: true }],
          initContainerStatuses: [{ name: 'linkerd-proxy', ready: true }],
        },
      }),
    ],
  };
}

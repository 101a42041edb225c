// SPDX-License-Identifier: Apache-2.0
/*
 * Installations broken in one place each: exactly the lines that are named fail, what rests on them is left out, all else is judged as
 * before; healed, everything passes.
 */
import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { memoryReader } from '../kube/testing/memory-reader.ts';
import type { MemoryCluster, PlainObject } from '../kube/testing/memory-reader.ts';
import { categoriesOf } from './categories.ts';
import type { CheckScope } from './categories.ts';
import type { CheckResult } from './check.ts';
import { Lookups } from './lookups.ts';
import type { CheckSettings } from './lookups.ts';
import { runChecks } from './run-checks.ts';
import {
  base64,
  configMap,
  createTrust,
  healthyCluster,
  INSTALLED_VALUES,
  INSTALLED_VERSION,
  issuerSecret,
  node,
  NOW_MS,
  testCertificate,
  trustRoots,
} from './testing/installation.ts';
import type { Trust } from './testing/installation.ts';

const DAY_MS = 24 * 3600_000;

interface World {
  readonly cluster?: MemoryCluster;
  readonly settings?: Partial<CheckSettings>;
  readonly latest?: string;
}

async function check(scope: CheckScope, { cluster, settings, latest = INSTALLED_VERSION }: World): Promise<readonly CheckResult[]> {
  const lookups = new Lookups({
    settings: {
      controlPlaneNamespace: 'linkerd',
      cniNamespace: 'linkerd-cni',
      dataPlaneNamespace: '',
      cliVersion: INSTALLED_VERSION,
      isCniExpected: false,
      ...settings,
    },
    connect: () => (cluster === undefined ? Promise.reject(new Error('no configuration')) : Promise.resolve(memoryReader(() => cluster))),
    latestVersion: () => (latest === '' ? Promise.reject(new Error('offline')) : Promise.resolve(latest)),
    nowMs: () => NOW_MS,
  });
  return runChecks(categoriesOf(scope), lookups, { nowMs: () => NOW_MS, sleep: () => Promise.resolve(), waitMs: 0 });
}

function failing(results: readonly CheckResult[]): string[] {
  return results
    .filter(({ result }) => result !== 'success')
    .map(({ category, description, result }) => `${result === 'error' ? '×' : '‼'} ${category}: ${description}`);
}

function passing(results: readonly CheckResult[]): string[] {
  return results.filter(({ result }) => result === 'success').map(({ category, description }) => `${category}: ${description}`);
}

let trust: Trust;
let healthy: MemoryCluster;
beforeAll(() => {
  trust = createTrust();
  healthy = healthyCluster(trust);
});

const is = (kind: string, name: string) => (object: PlainObject) => object.kind === kind && object.metadata.name === name;

function without(kind: string, name: string): MemoryCluster {
  const rest = healthy.objects.filter((object) => !is(kind, name)(object));
  expect(rest).toHaveLength(healthy.objects.length - 1);
  return { ...healthy, objects: rest };
}

function replacing(...objects: readonly PlainObject[]): MemoryCluster {
  const isReplaced = (old: PlainObject): boolean => objects.some(({ kind, metadata }) => is(kind, metadata.name)(old));
  return { ...healthy, objects: [...healthy.objects.filter((old) => !isReplaced(old)), ...objects] };
}

function changed(kind: string, name: string, change: (object: PlainObject) => object): MemoryCluster {
  const old = healthy.objects.find(is(kind, name)) as PlainObject;
  return replacing({ ...old, ...change(old) });
}

function withValues(values: Readonly<Record<string, unknown>>): MemoryCluster {
  return replacing(configMap({ ...INSTALLED_VALUES, ...values }));
}

function withPod(name: string, change: (pod: PlainObject) => object): MemoryCluster {
  return changed('Pod', name, change);
}

function labelled(object: PlainObject, field: 'labels' | 'annotations', values: Readonly<Record<string, string>>): object {
  return { metadata: { ...object.metadata, [field]: { ...object.metadata[field], ...values } } };
}

interface Broken {
  readonly name: string;
  readonly scope?: CheckScope;
  readonly world: () => World;
  /** Lines that fail; '×' error, '‼' warning. */
  readonly fails: readonly string[];
  /** Lines of the healthy run that are left out. */
  readonly omits?: readonly string[];
  readonly error?: RegExp;
}

const REST_OF_CONFIG_MAP = [
  'linkerd-existence: heartbeat ServiceAccount exist',
  'linkerd-existence: cluster networks contains all node podCIDRs',
  'linkerd-existence: cluster networks contains all pods',
  'linkerd-existence: cluster networks contains all services',
  'linkerd-config: proxy-init container runs as root user if docker container runtime is used',
];
const REST_OF_IDENTITY = [
  'linkerd-identity: trust anchors are using supported crypto algorithm',
  'linkerd-identity: trust anchors are within their validity period',
  'linkerd-identity: trust anchors are valid for at least 60 days',
  'linkerd-identity: issuer cert is using supported crypto algorithm',
  'linkerd-identity: issuer cert is within its validity period',
  'linkerd-identity: issuer cert is valid for at least 60 days',
  'linkerd-identity: issuer cert is issued by the trust anchor',
];
const REST_OF_PODS = [
  'linkerd-control-plane-proxy: control plane proxies are healthy',
  'linkerd-control-plane-proxy: control plane proxies are up-to-date',
  'linkerd-control-plane-proxy: control plane proxies and cli versions match',
];

const BROKEN: readonly Broken[] = [
  {
    name: '[CK-02] an old Kubernetes',
    world: () => ({ cluster: { ...healthy, answers: { '/version': { gitVersion: 'v1.30.9' } } } }),
    fails: ['× kubernetes-version: is running the minimum Kubernetes API version'],
    error: /on version \[1\.30\.9\], but version \[1\.31\.0\]/,
  },
  {
    name: '[CK-03] no Gateway API',
    world: () => ({ cluster: without('CustomResourceDefinition', 'grpcroutes.gateway.networking.k8s.io') }),
    fails: ['× gateway-api-crd: Gateway API CRDs are installed'],
    error: /missing: grpcroutes/,
  },
  {
    name: '[CK-06] a missing ClusterRole',
    world: () => ({ cluster: without('ClusterRole', 'linkerd-policy') }),
    fails: ['× linkerd-config: control plane ClusterRoles exist'],
    error: /^missing ClusterRoles: linkerd-policy$/,
  },
  {
    name: '[CK-06] a missing ClusterRoleBinding',
    world: () => ({ cluster: without('ClusterRoleBinding', 'linkerd-linkerd-identity') }),
    fails: ['× linkerd-config: control plane ClusterRoleBindings exist'],
  },
  {
    name: '[CK-06] a missing ServiceAccount',
    world: () => ({ cluster: without('ServiceAccount', 'linkerd-destination') }),
    fails: ['× linkerd-config: control plane ServiceAccounts exist'],
  },
  {
    name: '[CK-06] a definition that no longer serves the version that is read',
    world: () => ({
      cluster: changed('CustomResourceDefinition', 'servers.policy.linkerd.io', () => ({ spec: { versions: [{ name: 'v1beta2' }] } })),
    }),
    fails: ['× linkerd-config: control plane CustomResourceDefinitions exist'],
    error: /servers\.policy\.linkerd\.io \(version v1beta3\)/,
  },
  {
    name: '[CK-06] a missing injector webhook',
    world: () => ({ cluster: without('MutatingWebhookConfiguration', 'linkerd-proxy-injector-webhook-config') }),
    fails: ['× linkerd-config: control plane MutatingWebhookConfigurations exist'],
    omits: [
      'linkerd-webhooks-and-apisvc-tls: proxy-injector webhook has valid cert',
      'linkerd-webhooks-and-apisvc-tls: proxy-injector cert is valid for at least 60 days',
    ],
  },
  {
    name: '[CK-06] Docker nodes under an unprivileged proxy-init',
    world: () => ({ cluster: replacing(node('node-1', '10.244.0.0/24', 'docker://27.1')) }),
    fails: ['× linkerd-config: proxy-init container runs as root user if docker container runtime is used'],
  },
  {
    name: '[CK-07] no configuration',
    world: () => ({ cluster: without('ConfigMap', 'linkerd-config') }),
    fails: ["× linkerd-existence: 'linkerd-config' config map exists"],
    omits: [
      ...REST_OF_CONFIG_MAP,
      'linkerd-identity: certificate config is valid',
      ...REST_OF_IDENTITY,
      'control-plane-version: can retrieve the control plane version',
      'control-plane-version: control plane is up-to-date',
      'control-plane-version: control plane and cli versions match',
    ],
  },
  {
    name: '[CK-07] configuration that is no YAML mapping',
    world: () => ({ cluster: changed('ConfigMap', 'linkerd-config', () => ({ data: { values: '- a\n- b' } })) }),
    fails: ["× linkerd-existence: 'linkerd-config' config map exists"],
    omits: [
      ...REST_OF_CONFIG_MAP,
      'linkerd-identity: certificate config is valid',
      ...REST_OF_IDENTITY,
      'control-plane-version: can retrieve the control plane version',
      'control-plane-version: control plane is up-to-date',
      'control-plane-version: control plane and cli versions match',
    ],
    error: /cannot be read: not a mapping/,
  },
  {
    name: '[CK-07] no account for the heartbeat',
    world: () => ({ cluster: without('ServiceAccount', 'linkerd-heartbeat') }),
    fails: ['× linkerd-existence: heartbeat ServiceAccount exist'],
  },
  {
    name: '[CK-07] a replica set whose pod does not become ready',
    world: () => ({ cluster: changed('ReplicaSet', 'linkerd-identity-5d8', () => ({ status: { readyReplicas: 0 } })) }),
    fails: ['× linkerd-existence: control plane replica sets are ready'],
    omits: ['linkerd-existence: control plane pods are ready', ...REST_OF_PODS],
    error: /^linkerd-identity-5d8: 0 of 1 pods are ready$/,
  },
  {
    name: '[CK-07] a pod that no node takes',
    world: () => ({
      cluster: withPod('linkerd-destination-5d8-x', () => ({
        status: {
          phase: 'Pending',
          conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'Insufficient cpu.' }],
        },
      })),
    }),
    fails: ['‼ linkerd-existence: no unschedulable pods', '× linkerd-existence: control plane pods are ready'],
    omits: REST_OF_PODS,
    error: /Insufficient cpu/,
  },
  {
    name: '[CK-07] a component scaled to nothing',
    world: () => ({ cluster: without('Pod', 'linkerd-proxy-injector-5d8-x') }),
    fails: ['× linkerd-existence: control plane pods are ready'],
    omits: REST_OF_PODS,
    error: /^No running pods for "linkerd-proxy-injector"$/,
  },
  {
    name: '[CK-07] nodes outside the cluster networks',
    world: () => ({ cluster: replacing(node('node-1', '100.64.0.0/24')) }),
    fails: ['× linkerd-existence: cluster networks contains all node podCIDRs'],
  },
  {
    name: '[CK-07] pods outside the cluster networks',
    world: () => ({ cluster: withPod('web-1', (pod) => ({ status: { ...(pod['status'] as object), podIP: '192.0.2.9' } })) }),
    fails: ['× linkerd-existence: cluster networks contains all pods'],
    error: /do not include pod shop\/web-1 \(192\.0\.2\.9\)/,
  },
  {
    name: '[CK-07] services outside the cluster networks',
    world: () => ({ cluster: changed('Service', 'web', () => ({ spec: { clusterIP: '192.0.2.9' } })) }),
    fails: ['× linkerd-existence: cluster networks contains all services'],
  },
  {
    name: '[CK-08] no issuer',
    world: () => ({ cluster: without('Secret', 'linkerd-identity-issuer') }),
    fails: ['× linkerd-identity: certificate config is valid'],
    omits: REST_OF_IDENTITY,
  },
  {
    name: "[CK-08] an issuer key that is another's",
    world: () => ({ cluster: replacing(issuerSecret({ pem: trust.issuer.pem, keyPem: trust.root.keyPem })) }),
    fails: ['× linkerd-identity: certificate config is valid'],
    omits: REST_OF_IDENTITY,
    error: /is not that of the issuer certificate/,
  },
  {
    name: '[CK-08] an anchor with an unsupported curve',
    world: () => {
      const keys = generateKeyPairSync('ec', { namedCurve: 'secp521r1' });
      return { cluster: replacing(trustRoots(trust.root.pem + testCertificate({ keys }).pem)) };
    },
    fails: ['× linkerd-identity: trust anchors are using supported crypto algorithm'],
    error: /must use P-256 curve for public key, instead P-521 was used/,
  },
  {
    name: '[CK-08] an expired anchor beside a good one',
    world: () => ({ cluster: replacing(trustRoots(trust.root.pem + testCertificate({ to: NOW_MS - 1000 }).pem)) }),
    fails: ['× linkerd-identity: trust anchors are within their validity period'],
    omits: [
      'linkerd-identity: trust anchors are valid for at least 60 days',
      'linkerd-identity: issuer cert is issued by the trust anchor',
    ],
    error: /not valid anymore\. Expired on 2026-11-22T23:59:59Z/,
  },
  {
    name: '[CK-08] an anchor that expires soon',
    world: () => ({ cluster: replacing(trustRoots(trust.root.pem + testCertificate({ to: NOW_MS + 59 * DAY_MS }).pem)) }),
    fails: ['‼ linkerd-identity: trust anchors are valid for at least 60 days'],
  },
  {
    name: '[CK-08] an expired issuer',
    world: () => ({ cluster: replacing(issuerSecret(testCertificate({ signer: trust.root, to: NOW_MS - 1000 }))) }),
    fails: ['× linkerd-identity: issuer cert is within its validity period'],
    omits: ['linkerd-identity: issuer cert is valid for at least 60 days', 'linkerd-identity: issuer cert is issued by the trust anchor'],
  },
  {
    name: '[CK-08] an issuer that expires soon',
    world: () => ({ cluster: replacing(issuerSecret(testCertificate({ signer: trust.root, to: NOW_MS + DAY_MS }))) }),
    fails: ['‼ linkerd-identity: issuer cert is valid for at least 60 days'],
  },
  {
    name: '[CK-08] an issuer of another root',
    world: () => ({ cluster: replacing(issuerSecret(testCertificate())) }),
    fails: ['× linkerd-identity: issuer cert is issued by the trust anchor'],
  },
  {
    name: '[CK-09] no certificate of the policy validator',
    world: () => ({ cluster: without('Secret', 'linkerd-policy-validator-k8s-tls') }),
    fails: ['× linkerd-webhooks-and-apisvc-tls: policy-validator webhook has valid cert'],
    omits: ['linkerd-webhooks-and-apisvc-tls: policy-validator cert is valid for at least 60 days'],
    error: /^secrets "linkerd-policy-validator-k8s-tls" not found$/,
  },
  {
    name: '[CK-09] a webhook certificate of another CA',
    world: () => {
      const leaf = testCertificate({ signer: testCertificate(), isLeaf: true, dnsNames: ['linkerd-sp-validator.linkerd.svc'] });
      return { cluster: changed('Secret', 'linkerd-sp-validator-k8s-tls', () => ({ data: { 'tls.crt': base64(leaf.pem) } })) };
    },
    fails: ['× linkerd-webhooks-and-apisvc-tls: sp-validator webhook has valid cert'],
    omits: ['linkerd-webhooks-and-apisvc-tls: sp-validator cert is valid for at least 60 days'],
  },
  {
    name: '[CK-09] a webhook without caBundle',
    world: () => ({
      cluster: changed('MutatingWebhookConfiguration', 'linkerd-proxy-injector-webhook-config', () => ({
        webhooks: [{ name: 'x', clientConfig: {} }],
      })),
    }),
    fails: ['× linkerd-webhooks-and-apisvc-tls: proxy-injector webhook has valid cert'],
    omits: ['linkerd-webhooks-and-apisvc-tls: proxy-injector cert is valid for at least 60 days'],
    error: /has no caBundle/,
  },
  {
    name: '[CK-10] a proxy with old anchors',
    scope: 'proxy',
    world: () => ({
      cluster: replacing(trustRoots(trust.root.pem + testCertificate().pem)),
    }),
    fails: ['‼ linkerd-identity-data-plane: data plane proxies certificate match CA'],
    error: /must be restarted:\n {4}\* shop\/web-1$/,
  },
  {
    name: '[CK-11] no way to the newest version',
    world: () => ({ cluster: healthy, latest: '' }),
    fails: ['‼ linkerd-version: can determine the latest version'],
    omits: [
      'linkerd-version: cli is up-to-date',
      'control-plane-version: control plane is up-to-date',
      'linkerd-control-plane-proxy: control plane proxies are up-to-date',
    ],
  },
  {
    name: '[CK-11] [CK-12] [CK-13] a newer release',
    world: () => ({ cluster: healthy, latest: '9.9.9' }),
    fails: [
      '‼ linkerd-version: cli is up-to-date',
      '‼ linkerd-control-plane-proxy: control plane proxies are up-to-date',
      '‼ control-plane-version: control plane is up-to-date',
    ],
  },
  {
    name: '[CK-12] [CK-13] another version of this program',
    world: () => ({ cluster: healthy, settings: { cliVersion: '1.2.4' }, latest: '1.2.4' }),
    fails: [
      '‼ linkerd-control-plane-proxy: control plane proxies are up-to-date',
      '‼ linkerd-control-plane-proxy: control plane proxies and cli versions match',
      '‼ control-plane-version: control plane is up-to-date',
      '‼ control-plane-version: control plane and cli versions match',
    ],
  },
  {
    name: '[CK-13] a control plane proxy that is not ready',
    world: () => ({
      cluster: withPod('linkerd-identity-5d8-x', (pod) => ({
        status: { ...(pod['status'] as object), initContainerStatuses: [{ name: 'linkerd-proxy', ready: false }] },
      })),
    }),
    fails: ['× linkerd-control-plane-proxy: control plane proxies are healthy'],
  },
  {
    name: '[CK-14] a meshed pod whose proxy is not ready',
    scope: 'proxy',
    world: () => ({
      cluster: withPod('web-1', (pod) => ({
        status: { ...(pod['status'] as object), initContainerStatuses: [{ name: 'linkerd-proxy', ready: false }] },
      })),
    }),
    fails: ['× linkerd-data-plane: data plane proxies are ready'],
  },
  {
    name: '[CK-14] annotations written as labels, and the other way round',
    scope: 'proxy',
    world: () => {
      const service = changed('Service', 'web', (old) => ({
        metadata: {
          ...old.metadata,
          labels: { 'config.linkerd.io/opaque-ports': '1', 'config.linkerd.io/admission-webhooks': 'disabled' },
          annotations: { 'mirror.linkerd.io/exported': 'true' },
        },
      }));
      const pod = healthy.objects.find(is('Pod', 'web-1')) as PlainObject;
      const changedPod = { ...pod, ...labelled(pod, 'labels', { 'linkerd.io/inject': 'enabled' }) };
      return { cluster: { ...service, objects: [...service.objects.filter((old) => !is('Pod', 'web-1')(old)), changedPod] } };
    },
    fails: [
      '‼ linkerd-data-plane: data plane pod labels are configured correctly',
      '‼ linkerd-data-plane: data plane service labels are configured correctly',
      '‼ linkerd-data-plane: data plane service annotations are configured correctly',
    ],
    error: /\* shop\/web-1\n {4}linkerd\.io\/inject/,
  },
  {
    name: '[CK-14] a namespace that is not there',
    scope: 'proxy',
    world: () => ({ cluster: healthy, settings: { dataPlaneNamespace: 'nowhere' } }),
    fails: ['× linkerd-data-plane: data plane namespace exists'],
    omits: [
      'linkerd-data-plane: data plane proxies are ready',
      'linkerd-data-plane: data plane is up-to-date',
      'linkerd-data-plane: data plane and cli versions match',
      'linkerd-data-plane: data plane pod labels are configured correctly',
      'linkerd-data-plane: data plane service labels are configured correctly',
      'linkerd-data-plane: data plane service annotations are configured correctly',
    ],
  },
  {
    name: '[CK-15] a port that is opaque in the pod only',
    scope: 'proxy',
    world: () => ({ cluster: withPod('web-1', (pod) => labelled(pod, 'annotations', { 'config.linkerd.io/opaque-ports': '8000-8090' })) }),
    fails: ['‼ linkerd-opaque-ports-definition: opaque ports are properly annotated'],
    error: /service web targets the opaque port 8080 through 80; add 80 to its config\.linkerd\.io\/opaque-ports annotation/,
  },
  {
    name: '[CK-16] one replica in a highly available control plane',
    world: () => ({ cluster: withValues({ highAvailability: true }) }),
    fails: ['‼ linkerd-ha-checks: multiple replicas of control plane pods'],
    error: /\[linkerd-destination linkerd-identity linkerd-proxy-injector\]/,
  },
  {
    name: '[CK-17] [EX-02] two namespaces of one extension',
    world: () => ({
      cluster: replacing(
        ...['viz-a', 'viz-b'].map((name) => ({
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name, labels: { 'linkerd.io/extension': 'viz' } },
        })),
      ),
    }),
    fails: ['‼ linkerd-extension-checks: namespace configuration for extensions'],
    error: /viz-a\n.*viz-b/,
  },
  {
    name: '[CK-18] CNI mode without plugin',
    world: () => ({ cluster: withValues({ cniEnabled: true }) }),
    fails: [
      '× linkerd-cni-plugin: cni plugin ConfigMap exists',
      '× linkerd-cni-plugin: cni plugin ClusterRole exists',
      '× linkerd-cni-plugin: cni plugin ClusterRoleBinding exists',
      '× linkerd-cni-plugin: cni plugin ServiceAccount exists',
      '× linkerd-cni-plugin: cni plugin DaemonSet exists',
    ],
  },
];

describe('weft check on a broken installation', () => {
  it.each(BROKEN.map((broken) => [broken.name, broken] as const))('finds %s', async (_name, broken) => {
    const scope = broken.scope ?? 'installed';
    const before = await check(scope, { cluster: healthy });
    expect(failing(before)).toEqual([]);
    const results = await check(scope, broken.world());
    expect(failing(results)).toEqual(broken.fails);
    const gone = [...broken.fails.map((line) => line.slice(2)), ...(broken.omits ?? [])];
    expect(passing(results)).toEqual(passing(before).filter((line) => !gone.includes(line)));
    expect(results.find(({ result }) => result !== 'success')?.error).toMatch(broken.error ?? /./);
    expect(
      results.filter(({ result }) => result !== 'success').every(({ hint }) => hint?.startsWith('https://linkerd.io/2/checks/#')),
    ).toBe(true);
  });

  it('[CK-01] says only that when there is no cluster', async () => {
    const lines = ['× kubernetes-api: can initialize the client'];
    const results = await check('installed', {});
    expect(failing(results)).toEqual(lines);
    expect(passing(results)).toEqual(['linkerd-version: can determine the latest version', 'linkerd-version: cli is up-to-date']);
  });

  it('[CK-06] says only that when the namespace is missing', async () => {
    expect(failing(await check('installed', { cluster: without('Namespace', 'linkerd') }))).toEqual([
      '× linkerd-config: control plane Namespace exists',
    ]);
  });
});

describe('the order and the texts', () => {
  it('[CK-22] of a default run', async () => {
    expect(passing(await check('installed', { cluster: healthy }))).toMatchInlineSnapshot(`
      [
        "kubernetes-api: can initialize the client",
        "kubernetes-api: can query the Kubernetes API",
        "kubernetes-version: is running the minimum Kubernetes API version",
        "gateway-api-crd: Gateway API CRDs are installed",
        "linkerd-version: can determine the latest version",
        "linkerd-version: cli is up-to-date",
        "linkerd-config: control plane Namespace exists",
        "linkerd-config: control plane ClusterRoles exist",
        "linkerd-config: control plane ClusterRoleBindings exist",
        "linkerd-config: control plane ServiceAccounts exist",
        "linkerd-config: control plane CustomResourceDefinitions exist",
        "linkerd-config: control plane MutatingWebhookConfigurations exist",
        "linkerd-config: control plane ValidatingWebhookConfigurations exist",
        "linkerd-config: proxy-init container runs as root user if docker container runtime is used",
        "linkerd-existence: 'linkerd-config' config map exists",
        "linkerd-existence: heartbeat ServiceAccount exist",
        "linkerd-existence: control plane replica sets are ready",
        "linkerd-existence: no unschedulable pods",
        "linkerd-existence: control plane pods are ready",
        "linkerd-existence: cluster networks contains all node podCIDRs",
        "linkerd-existence: cluster networks contains all pods",
        "linkerd-existence: cluster networks contains all services",
        "linkerd-identity: certificate config is valid",
        "linkerd-identity: trust anchors are using supported crypto algorithm",
        "linkerd-identity: trust anchors are within their validity period",
        "linkerd-identity: trust anchors are valid for at least 60 days",
        "linkerd-identity: issuer cert is using supported crypto algorithm",
        "linkerd-identity: issuer cert is within its validity period",
        "linkerd-identity: issuer cert is valid for at least 60 days",
        "linkerd-identity: issuer cert is issued by the trust anchor",
        "linkerd-webhooks-and-apisvc-tls: proxy-injector webhook has valid cert",
        "linkerd-webhooks-and-apisvc-tls: proxy-injector cert is valid for at least 60 days",
        "linkerd-webhooks-and-apisvc-tls: sp-validator webhook has valid cert",
        "linkerd-webhooks-and-apisvc-tls: sp-validator cert is valid for at least 60 days",
        "linkerd-webhooks-and-apisvc-tls: policy-validator webhook has valid cert",
        "linkerd-webhooks-and-apisvc-tls: policy-validator cert is valid for at least 60 days",
        "linkerd-control-plane-proxy: control plane proxies are healthy",
        "linkerd-control-plane-proxy: control plane proxies are up-to-date",
        "linkerd-control-plane-proxy: control plane proxies and cli versions match",
        "control-plane-version: can retrieve the control plane version",
        "control-plane-version: control plane is up-to-date",
        "control-plane-version: control plane and cli versions match",
        "linkerd-extension-checks: namespace configuration for extensions",
      ]
    `);
  });

  it('[CK-14] of a run with --proxy', async () => {
    const results = await check('proxy', { cluster: healthy });
    expect([...new Set(results.map(({ category }) => category))]).toEqual([
      'kubernetes-api',
      'kubernetes-version',
      'gateway-api-crd',
      'linkerd-version',
      'linkerd-config',
      'linkerd-existence',
      'linkerd-identity',
      'linkerd-webhooks-and-apisvc-tls',
      'linkerd-identity-data-plane',
      'linkerd-control-plane-proxy',
      'linkerd-data-plane',
      'linkerd-opaque-ports-definition',
    ]);
  });

  it('[CK-05] of a run with --crds', async () => {
    const cluster = without('CustomResourceDefinition', 'serviceprofiles.linkerd.io');
    expect(failing(await check('crds', { cluster }))).toEqual(['× linkerd-crd: control plane CustomResourceDefinitions exist']);
  });
});

describe('[CK-04] weft check --pre', () => {
  it('passes where nothing is installed', async () => {
    const cluster = { ...healthy, objects: [node('node-1', '10.244.0.0/24')] };
    expect(passing(await check('pre', { cluster }))).toEqual([
      'kubernetes-api: can initialize the client',
      'kubernetes-api: can query the Kubernetes API',
      'kubernetes-version: is running the minimum Kubernetes API version',
      'pre-kubernetes-setup: control plane namespace does not already exist',
      'pre-kubernetes-setup: can create non-namespaced resources',
      'pre-kubernetes-setup: can create ServiceAccounts',
      'pre-kubernetes-setup: can create Services',
      'pre-kubernetes-setup: can create Deployments',
      'pre-kubernetes-setup: can create CronJobs',
      'pre-kubernetes-setup: can create ConfigMaps',
      'pre-kubernetes-setup: can create Secrets',
      'pre-kubernetes-setup: can read Secrets',
      'pre-kubernetes-setup: can read extension-apiserver-authentication configmap',
      'pre-kubernetes-setup: no clock skew detected',
      'linkerd-version: can determine the latest version',
      'linkerd-version: cli is up-to-date',
    ]);
  });

  it.each([
    ['an installation', () => healthy, ['× pre-kubernetes-setup: control plane namespace does not already exist']],
    [
      'a user who may not create roles',
      () => ({ ...healthy, objects: [], refused: ['create clusterroles'] }),
      ['× pre-kubernetes-setup: can create non-namespaced resources'],
    ],
    [
      'a user who may not create Deployments',
      () => ({ ...healthy, objects: [], refused: ['create deployments'] }),
      ['× pre-kubernetes-setup: can create Deployments'],
    ],
    [
      'a clock that is wrong',
      () => {
        const skewed = node('node-1', '10.244.0.0/24') as PlainObject & { status: { conditions: object[] } };
        skewed.status.conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime: new Date(NOW_MS + 3600_000).toISOString() }];
        return { ...healthy, objects: [skewed] };
      },
      ['‼ pre-kubernetes-setup: no clock skew detected'],
    ],
  ] as const)('finds %s', async (_name, cluster, lines) => {
    expect(failing(await check('pre', { cluster: cluster() }))).toEqual(lines);
  });

  it('[CK-18] wants the CNI plugin where it is told so', async () => {
    const cluster = { ...healthy, objects: [] };
    expect(failing(await check('pre', { cluster, settings: { isCniExpected: true } }))).toHaveLength(5);
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * `weft check` on an installation that is broken in one place after another: exactly the lines named here fail, what rests on them is left out, every
 * other line is as it was; healed, everything passes again. On a cluster of its own, since it breaks the mesh.
 */
import { createTestAuthority } from '@weft/pki/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { createCluster, type Cluster } from './cluster.ts';
import { echoApp } from './harness/apps.ts';
import { eventuallyPasses } from './harness/eventually.ts';
import { Kube } from './harness/kube.ts';
import { installMesh, meshVersion, weft } from './harness/mesh.ts';
import type { Manifest } from './harness/objects.ts';
import { reportFailures, secondClusterIndex } from './shared-cluster.ts';

const DAY_MS = 86_400_000;
/** A rollout, a pod that goes, a kubelet that notices: on a busy machine. */
const SOON = { timeoutMs: 120_000, everyMs: 1000 };

let cluster: Cluster | undefined;
let kube: Kube;
let control: Kube;
let shop: Kube;
reportFailures(() => [shop, control]);

beforeAll(async () => {
  cluster = await createCluster({
    nodes: 1,
    ipFamily: 'ipv4',
    index: secondClusterIndex(),
    log: (line) => console.log(`check's cluster: ${line}`),
  });
  kube = new Kube(cluster);
  control = kube.in('linkerd');
  await installMesh(kube, { log: (line) => console.log(`check's cluster: ${line}`) });
  shop = await kube.createNamespace('shop', { annotations: { 'linkerd.io/inject': 'enabled' } });
  await shop.apply(...echoApp({ name: 'web' }));
  await shop.rollout('deploy/web');
}, 600_000);
afterAll(async () => {
  await cluster?.destroy();
});

interface Line {
  readonly category: string;
  readonly description: string;
  readonly result: string;
  readonly error?: string;
}

/** The lines of a run. `--expected-version` keeps the internet out of it. */
async function lines(...flags: readonly string[]): Promise<readonly Line[]> {
  const version = flags.some((flag) => flag.startsWith('--expected-version')) ? [] : ['--expected-version', meshVersion()];
  const { code, stdout, stderr } = await weft(kube, ['check', '-o', 'json', '--wait', '0', ...version, ...flags]);
  const report = JSON.parse(stdout) as {
    readonly success: boolean;
    readonly categories: readonly { readonly categoryName: string; readonly checks: readonly Omit<Line, 'category'>[] }[];
  };
  expect({ code, stderr }).toEqual({ code: report.success ? 0 : 1, stderr: '' });
  return report.categories.flatMap(({ categoryName, checks }) => checks.map((check) => ({ category: categoryName, ...check })));
}

const failing = (all: readonly Line[]): string[] =>
  all
    .filter(({ result }) => result !== 'success')
    .map(({ category, description, result }) => `${result === 'error' ? '×' : '‼'} ${category}: ${description}`);
const passing = (all: readonly Line[]): string[] =>
  all.filter(({ result }) => result === 'success').map(({ category, description }) => `${category}: ${description}`);

/** An object as it can be applied again. */
async function saved(where: Kube, kind: string, name: string): Promise<Manifest> {
  const object = await where.get<{ readonly metadata: Record<string, unknown> }>(kind, name);
  if (object === undefined) throw new Error(`there is no ${kind} ${name}`);
  for (const field of ['managedFields', 'resourceVersion', 'uid', 'creationTimestamp', 'generation']) delete object.metadata[field];
  const { status: _status, ...rest } = object as Record<string, unknown>;
  return rest as Manifest;
}

type Heal = () => Promise<unknown>;

/** Deletes an object; heals by applying what it was. */
async function remove(where: Kube, kind: string, name: string): Promise<Heal> {
  const object = await saved(where, kind, name);
  await where.kubectl(['delete', kind, name]);
  return () => where.apply(object);
}

/** Changes an object's data; heals by applying what it was. */
async function replaceData(kind: 'configmap' | 'secret', name: string, data: Readonly<Record<string, string>>): Promise<Heal> {
  const object = await saved(control, kind, name);
  const encoded =
    kind === 'secret' ? Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]) : Object.entries(data);
  await control.kubectl(['patch', kind, name, '--type=merge', '-p', JSON.stringify({ data: Object.fromEntries(encoded) })]);
  return () => control.apply(object);
}

/** Changes values of the installation, as the ConfigMap has them. */
async function replaceValues(change: Readonly<Record<string, unknown>>): Promise<Heal> {
  const { data } = (await control.get('configmap', 'linkerd-config')) as unknown as { readonly data: { readonly values: string } };
  return replaceData('configmap', 'linkerd-config', { values: stringify({ ...(parse(data.values) as object), ...change }) });
}

async function nodeNetworks(): Promise<readonly string[]> {
  const nodes = await kube.list<{ readonly spec: { readonly podCIDRs: readonly string[] } }>('nodes');
  return nodes.flatMap(({ spec }) => spec.podCIDRs);
}

async function serviceAddresses(): Promise<readonly string[]> {
  const text = await kube.kubectl(['get', 'services', '--all-namespaces', '-o', 'jsonpath={.items[*].spec.clusterIP}']);
  return text.split(' ').filter((address) => address !== 'None' && address !== '');
}

async function patch(where: Kube, target: readonly [string, string], type: 'json' | 'merge', body: unknown, undo: unknown): Promise<Heal> {
  const apply = (change: unknown): Promise<string> => where.kubectl(['patch', ...target, `--type=${type}`, '-p', JSON.stringify(change)]);
  await apply(body);
  return () => apply(undo);
}

/** The anchors and the issuer in use; by default they are one certificate, whose key can sign. */
async function rootInUse(): Promise<{ readonly anchorsPem: string; readonly issuerPem: string; readonly keyPem: string }> {
  const { data: roots } = (await control.get('configmap', 'linkerd-identity-trust-roots')) as unknown as {
    readonly data: Record<string, string>;
  };
  const { data: issuer } = (await control.get('secret', 'linkerd-identity-issuer')) as unknown as { readonly data: Record<string, string> };
  const text = (key: string): string => Buffer.from(issuer[key] ?? '', 'base64').toString();
  return { anchorsPem: roots['ca-bundle.crt'] ?? '', issuerPem: text('crt.pem'), keyPem: text('key.pem') };
}

async function addAnchor(pem: string): Promise<Heal> {
  const { anchorsPem } = await rootInUse();
  return replaceData('configmap', 'linkerd-identity-trust-roots', { 'ca-bundle.crt': `${anchorsPem.trim()}\n${pem}` });
}

const IDENTITY = [
  'trust anchors are using supported crypto algorithm',
  'trust anchors are within their validity period',
  'trust anchors are valid for at least 60 days',
  'issuer cert is using supported crypto algorithm',
  'issuer cert is within its validity period',
  'issuer cert is valid for at least 60 days',
  'issuer cert is issued by the trust anchor',
].map((line) => `linkerd-identity: ${line}`);
const OF_CONFIG_MAP = [
  'linkerd-config: proxy-init container runs as root user if docker container runtime is used',
  'linkerd-existence: heartbeat ServiceAccount exist',
  'linkerd-existence: cluster networks contains all node podCIDRs',
  'linkerd-existence: cluster networks contains all pods',
  'linkerd-existence: cluster networks contains all services',
  'linkerd-identity: certificate config is valid',
  ...IDENTITY,
  'control-plane-version: can retrieve the control plane version',
  'control-plane-version: control plane is up-to-date',
  'control-plane-version: control plane and cli versions match',
];
const OF_PODS = [
  'linkerd-control-plane-proxy: control plane proxies are healthy',
  'linkerd-control-plane-proxy: control plane proxies are up-to-date',
  'linkerd-control-plane-proxy: control plane proxies and cli versions match',
];

interface Broken {
  readonly name: string;
  readonly flags?: readonly string[];
  readonly break: () => Promise<Heal>;
  readonly fails: readonly string[];
  readonly omits?: readonly string[];
}

const BROKEN: readonly Broken[] = [
  {
    name: 'a definition of the Gateway API is gone',
    break: () => remove(kube, 'crd', 'grpcroutes.gateway.networking.k8s.io'),
    fails: ['× gateway-api-crd: Gateway API CRDs are installed'],
  },
  {
    name: 'a ClusterRole is gone',
    break: () => remove(kube, 'clusterrole', 'linkerd-policy'),
    fails: ['× linkerd-config: control plane ClusterRoles exist'],
  },
  {
    name: 'a ClusterRoleBinding is gone',
    break: () => remove(kube, 'clusterrolebinding', 'linkerd-linkerd-proxy-injector'),
    fails: ['× linkerd-config: control plane ClusterRoleBindings exist'],
  },
  {
    name: 'a definition of the mesh is gone',
    break: () => remove(kube, 'crd', 'httplocalratelimitpolicies.policy.linkerd.io'),
    fails: ['× linkerd-config: control plane CustomResourceDefinitions exist'],
  },
  {
    name: 'the injector is not registered',
    break: () => remove(kube, 'mutatingwebhookconfiguration', 'linkerd-proxy-injector-webhook-config'),
    fails: ['× linkerd-config: control plane MutatingWebhookConfigurations exist'],
    omits: ['proxy-injector webhook has valid cert', 'proxy-injector cert is valid for at least 60 days'].map(
      (line) => `linkerd-webhooks-and-apisvc-tls: ${line}`,
    ),
  },
  {
    name: 'a validator is not registered',
    break: () => remove(kube, 'validatingwebhookconfiguration', 'linkerd-sp-validator-webhook-config'),
    fails: ['× linkerd-config: control plane ValidatingWebhookConfigurations exist'],
    omits: ['sp-validator', 'policy-validator'].flatMap((name) => [
      `linkerd-webhooks-and-apisvc-tls: ${name} webhook has valid cert`,
      `linkerd-webhooks-and-apisvc-tls: ${name} cert is valid for at least 60 days`,
    ]),
  },
  {
    name: 'the configuration is gone',
    break: () => remove(control, 'configmap', 'linkerd-config'),
    fails: ["× linkerd-existence: 'linkerd-config' config map exists"],
    omits: OF_CONFIG_MAP,
  },
  {
    name: 'the configuration is no mapping',
    break: () => replaceData('configmap', 'linkerd-config', { values: '- a\n- b\n' }),
    fails: ["× linkerd-existence: 'linkerd-config' config map exists"],
    omits: OF_CONFIG_MAP,
  },
  {
    name: "the heartbeat's account is gone",
    break: () => remove(control, 'serviceaccount', 'linkerd-heartbeat'),
    fails: ['× linkerd-existence: heartbeat ServiceAccount exist'],
  },
  {
    name: 'services are outside the cluster networks',
    break: async () => replaceValues({ clusterNetworks: (await nodeNetworks()).join(',') }),
    fails: ['× linkerd-existence: cluster networks contains all services'],
  },
  {
    name: 'nodes and pods are outside the cluster networks',
    break: async () => replaceValues({ clusterNetworks: (await serviceAddresses()).join(',') }),
    fails: ['× linkerd-existence: cluster networks contains all node podCIDRs', '× linkerd-existence: cluster networks contains all pods'],
  },
  {
    name: 'the injector is scaled to nothing',
    break: async () => {
      await control.kubectl(['scale', 'deploy/linkerd-proxy-injector', '--replicas=0']);
      return async () => {
        await control.kubectl(['scale', 'deploy/linkerd-proxy-injector', '--replicas=1']);
        await control.rollout('deploy/linkerd-proxy-injector');
      };
    },
    fails: ['× linkerd-existence: control plane pods are ready'],
    omits: OF_PODS,
  },
  {
    name: 'an image cannot be pulled',
    break: async () => {
      await control.kubectl(['set', 'image', 'deploy/linkerd-proxy-injector', 'proxy-injector=localhost/nowhere:none']);
      return async () => {
        await control.kubectl(['rollout', 'undo', 'deploy/linkerd-proxy-injector']);
        await control.rollout('deploy/linkerd-proxy-injector');
      };
    },
    fails: ['× linkerd-existence: control plane replica sets are ready'],
    omits: ['linkerd-existence: control plane pods are ready', ...OF_PODS],
  },
  {
    name: 'no node takes a pod',
    break: async () => {
      await control.kubectl([
        'patch',
        'deploy/linkerd-proxy-injector',
        '--type=merge',
        '-p',
        '{"spec":{"template":{"spec":{"nodeSelector":{"no":"where"}}}}}',
      ]);
      return async () => {
        await control.kubectl(['rollout', 'undo', 'deploy/linkerd-proxy-injector']);
        await control.rollout('deploy/linkerd-proxy-injector');
      };
    },
    fails: ['× linkerd-existence: control plane replica sets are ready', '‼ linkerd-existence: no unschedulable pods'],
    omits: ['linkerd-existence: control plane pods are ready', ...OF_PODS],
  },
  {
    name: 'the issuer is gone',
    break: () => remove(control, 'secret', 'linkerd-identity-issuer'),
    fails: ['× linkerd-identity: certificate config is valid'],
    omits: IDENTITY,
  },
  {
    name: 'the issuer is of another root',
    break: () => {
      const other = createTestAuthority('identity.linkerd.cluster.local');
      return replaceData('secret', 'linkerd-identity-issuer', { 'crt.pem': other.certificatePem, 'key.pem': other.privateKeyPem });
    },
    fails: ['× linkerd-identity: issuer cert is issued by the trust anchor'],
  },
  {
    name: "the issuer's key is another's",
    break: () => replaceData('secret', 'linkerd-identity-issuer', { 'key.pem': createTestAuthority('other').privateKeyPem }),
    fails: ['× linkerd-identity: certificate config is valid'],
    omits: IDENTITY,
  },
  {
    name: 'an anchor has expired',
    break: () => addAnchor(createTestAuthority('old', { notAfterMs: Date.now() - DAY_MS }).certificatePem),
    fails: ['× linkerd-identity: trust anchors are within their validity period'],
    omits: [
      'linkerd-identity: trust anchors are valid for at least 60 days',
      'linkerd-identity: issuer cert is issued by the trust anchor',
    ],
  },
  {
    name: 'an anchor expires soon',
    break: () => addAnchor(createTestAuthority('soon', { notAfterMs: Date.now() + DAY_MS }).certificatePem),
    fails: ['‼ linkerd-identity: trust anchors are valid for at least 60 days'],
  },
  {
    name: 'a webhook calls another service',
    break: () => {
      const place = '/webhooks/0/clientConfig/service/name';
      const to = (value: string): object[] => [{ op: 'replace', path: place, value }];
      const target = ['validatingwebhookconfiguration', 'linkerd-policy-validator-webhook-config'] as const;
      return patch(kube, target, 'json', to('nowhere'), to('linkerd-policy-validator'));
    },
    fails: ['× linkerd-webhooks-and-apisvc-tls: policy-validator webhook has valid cert'],
    omits: ['linkerd-webhooks-and-apisvc-tls: policy-validator cert is valid for at least 60 days'],
  },
  {
    name: 'a highly available control plane has one replica',
    break: () => replaceValues({ highAvailability: true }),
    fails: ['‼ linkerd-ha-checks: multiple replicas of control plane pods'],
  },
  {
    name: 'the CNI plugin is wanted and not there',
    break: () => replaceValues({ cniEnabled: true }),
    fails: ['ConfigMap', 'ClusterRole', 'ClusterRoleBinding', 'ServiceAccount', 'DaemonSet'].map(
      (kind) => `× linkerd-cni-plugin: cni plugin ${kind} exists`,
    ),
  },
  {
    name: 'two namespaces are one extension, whose program is missing',
    break: async () => {
      const namespaces = ['one', 'two'].map((name) => ({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: `extension-${name}`, labels: { 'linkerd.io/extension': 'nowhere' } },
      }));
      await kube.apply(...namespaces);
      return () => kube.remove(...namespaces);
    },
    fails: [
      '‼ linkerd-extension-checks: namespace configuration for extensions',
      '‼ linkerd-nowhere: Linkerd extension command linkerd-nowhere exists',
    ],
  },
  {
    name: 'a pod is labelled where it should be annotated',
    flags: ['--proxy'],
    break: async () => {
      const { metadata } = await shop.pod('app=web');
      await shop.label(`pod/${metadata.name}`, { 'linkerd.io/inject': 'enabled' });
      return () => shop.label(`pod/${metadata.name}`, { 'linkerd.io/inject': null });
    },
    fails: ['‼ linkerd-data-plane: data plane pod labels are configured correctly'],
  },
  {
    name: 'a service is labelled where it should be annotated',
    flags: ['--proxy'],
    break: async () => {
      await shop.label('svc/web', { 'config.linkerd.io/opaque-ports': '80' });
      return () => shop.label('svc/web', { 'config.linkerd.io/opaque-ports': null });
    },
    fails: ['‼ linkerd-data-plane: data plane service labels are configured correctly'],
  },
  {
    name: 'a service is annotated where it should be labelled',
    flags: ['--proxy'],
    break: async () => {
      await shop.annotate('svc/web', { 'mirror.linkerd.io/exported': 'true' });
      return () => shop.annotate('svc/web', { 'mirror.linkerd.io/exported': null });
    },
    fails: ['‼ linkerd-data-plane: data plane service annotations are configured correctly'],
  },
  {
    name: 'a port is opaque in the service only',
    flags: ['--proxy'],
    break: async () => {
      await shop.annotate('svc/web', { 'config.linkerd.io/opaque-ports': '80' });
      return () => shop.annotate('svc/web', { 'config.linkerd.io/opaque-ports': null });
    },
    fails: ['‼ linkerd-opaque-ports-definition: opaque ports are properly annotated'],
  },
  {
    name: 'proxies were started with other anchors',
    flags: ['--proxy'],
    break: () => addAnchor(createTestAuthority('new').certificatePem),
    fails: ['‼ linkerd-identity-data-plane: data plane proxies certificate match CA'],
  },
];

describe('weft check', () => {
  it('[CLI-35] [CK-22] passes on a fresh installation, also with --proxy', async () => {
    for (const flags of [[], ['--proxy'], ['--crds']]) {
      const { code, stdout } = await weft(kube, ['check', '--wait', '2m', '--expected-version', meshVersion(), ...flags]);
      expect({ code, marks: stdout.match(/^[×‼].*$/gm) ?? [] }).toEqual({ code: 0, marks: [] });
      expect(stdout.endsWith('Status check results are √\n')).toBe(true);
    }
  });

  it('[CLI-36] warns of another version, and still ends well', async () => {
    const all = await lines('--expected-version', 'bogus');
    expect(failing(all)).toEqual([
      '‼ linkerd-version: cli is up-to-date',
      '‼ linkerd-control-plane-proxy: control plane proxies are up-to-date',
      '‼ control-plane-version: control plane is up-to-date',
    ]);
  });

  it('[CK-04] finds the installation before an installation', async () => {
    expect(failing(await lines('--pre'))).toEqual(['× pre-kubernetes-setup: control plane namespace does not already exist']);
  });

  it('[CLI-01] [CK-04] finds what a user may not do', async () => {
    const all = await lines('--pre', '--as', 'nobody', '-L', 'elsewhere');
    expect(failing(all)).toContain('× pre-kubernetes-setup: can create Deployments');
    expect(failing(all)).toContain('× pre-kubernetes-setup: can create non-namespaced resources');
  });

  it.each(BROKEN.map((broken) => [broken.name, broken] as const))('finds that %s, and that it is healed', async (_name, broken) => {
    const flags = broken.flags ?? [];
    const before = await lines(...flags);
    expect(failing(before)).toEqual([]);
    const heal = await broken.break();
    try {
      await eventuallyPasses(async () => {
        const all = await lines(...flags);
        expect(failing(all)).toEqual(broken.fails);
        const gone = new Set([...broken.fails.map((line) => line.slice(2)), ...(broken.omits ?? [])]);
        expect(passing(all)).toEqual(passing(before).filter((line) => !gone.has(line)));
      }, SOON);
    } finally {
      await heal();
    }
    await eventuallyPasses(async () => {
      const all = await lines(...flags);
      expect(failing(all)).toEqual([]);
      expect(passing(all)).toEqual(passing(before));
    }, SOON);
  });
});

// SPDX-License-Identifier: Apache-2.0
/* The commands that print manifests, without a cluster: what comes out of which flags. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseAllDocuments, parse } from 'yaml';
import { createTrust, testCertificate } from '../check/testing/installation.ts';
import type { PlainObject } from '../kube/testing/memory-reader.ts';
import { runProgram } from '../program.ts';
import { guardGatewayApi, guardInstall } from './guards.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import { CONTROL_PLANE_FLAGS, INSTALL_ONLY_FLAGS, PROXY_FLAGS } from './value-flags.ts';

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function weft(...argv: readonly string[]): Promise<Outcome> {
  let [out, err] = ['', ''];
  const code = await runProgram(argv, { out: (text) => (out += text), err: (text) => (err += text) });
  return { code, out, err };
}

function documents(text: string): PlainObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as PlainObject | null)
    .filter((object) => object !== null);
}

function find(objects: readonly PlainObject[], kind: string, name: string): PlainObject & Record<string, never> {
  return objects.find((object) => object.kind === kind && object.metadata.name === name) as PlainObject & Record<string, never>;
}

async function install(...flags: readonly string[]): Promise<{ readonly objects: PlainObject[]; readonly values: Record<string, never> }> {
  const { code, out, err } = await weft('install', '--ignore-cluster', ...flags);
  expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(/^Rendering/) as string });
  const objects = documents(out);
  const { data } = find(objects, 'ConfigMap', 'linkerd-config');
  return { objects, values: parse(data['values']) as Record<string, never> };
}

function at(values: unknown, path: string): unknown {
  return path.split('.').reduce((value, name) => (value as Record<string, unknown>)[name], values);
}

function overrides(objects: readonly PlainObject[]): unknown {
  const { data } = find(objects, 'Secret', 'linkerd-config-overrides');
  return parse(Buffer.from(data['linkerd-config-overrides'], 'base64').toString());
}

let directory: string;
const file = (name: string, text: string): string => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-install-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('weft install', () => {
  it('[CLI-08] [OP-12] prints the control plane with its namespace, and no definitions', async () => {
    const { objects } = await install();
    expect(objects[0]).toEqual({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: 'linkerd',
        annotations: { 'linkerd.io/inject': 'disabled' },
        labels: {
          'linkerd.io/is-control-plane': 'true',
          'config.linkerd.io/admission-webhooks': 'disabled',
          'linkerd.io/control-plane-ns': 'linkerd',
          'pod-security.kubernetes.io/enforce': 'privileged',
        },
      },
    });
    for (const name of ['linkerd-identity', 'linkerd-destination', 'linkerd-proxy-injector']) {
      expect(find(objects, 'Deployment', name)).toBeDefined();
    }
    expect(objects.some(({ kind }) => kind === 'CustomResourceDefinition')).toBe(false);
  });

  it('[CLI-01] installs into another namespace', async () => {
    const { objects } = await install('-L', 'mesh');
    expect(new Set(objects.map(({ metadata }) => metadata.namespace))).not.toContain('linkerd');
    expect(find(objects, 'ClusterRole', 'linkerd-mesh-identity')).toBeDefined();
  });

  it('[CLI-12] prints JSON that kubectl reads', async () => {
    const { out } = await weft('install', '--ignore-cluster', '-o', 'json');
    expect(JSON.parse(out)).toMatchObject({ apiVersion: 'v1', kind: 'List' });
  });

  it('[CLI-07] prints only the definitions with --crds', async () => {
    const { out, err } = await weft('install', '--crds', '--ignore-cluster');
    const objects = documents(out);
    expect(new Set(objects.map(({ kind }) => kind))).toEqual(new Set(['CustomResourceDefinition']));
    expect(objects.some(({ metadata }) => metadata.name.endsWith('gateway.networking.k8s.io'))).toBe(false);
    expect(err).toMatch(/Rendering Linkerd CRDs[^]*weft install \| kubectl apply/);
    const withGateway = await weft('install', '--crds', '--ignore-cluster', '--set', 'installGatewayAPI=true');
    expect(withGateway.out).toContain('name: httproutes.gateway.networking.k8s.io');
  });

  it('[CLI-10] makes a root of its own that is also the issuer', async () => {
    const { objects } = await install('--identity-trust-domain', 'example.org');
    const roots = find(objects, 'ConfigMap', 'linkerd-identity-trust-roots').data['ca-bundle.crt'] as string;
    const certificate = new X509Certificate(roots);
    expect(certificate.subject).toBe('CN=identity.linkerd.example.org');
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(certificate.checkIssued(certificate)).toBe(true);
    expect(certificate.ca).toBe(true);
    const days = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 86_400_000;
    expect(Math.round(days)).toBe(365);
    const { data } = find(objects, 'Secret', 'linkerd-identity-issuer');
    expect(Buffer.from(data['crt.pem'], 'base64').toString().trim()).toBe(roots.trim());
  });

  it('[CLI-11] takes trust from files, all three of them', async () => {
    const real = vi.spyOn(Date, 'now').mockReturnValue(Date.UTC(2026, 10, 23));
    try {
      const { root, issuer } = createTrust();
      const flags = [
        `--identity-trust-anchors-file=${file('roots.pem', root.pem)}`,
        `--identity-issuer-certificate-file=${file('issuer.pem', issuer.pem)}`,
        `--identity-issuer-key-file=${file('issuer.key', issuer.keyPem)}`,
      ];
      const { objects } = await install(...flags);
      const { data } = find(objects, 'Secret', 'linkerd-identity-issuer');
      expect(Buffer.from(data['crt.pem'], 'base64').toString().trim()).toBe(issuer.pem.trim());
      expect(JSON.stringify(find(objects, 'ConfigMap', 'linkerd-config'))).not.toContain('PRIVATE KEY');
      for (const missing of [0, 1, 2]) {
        expect(await weft('install', '--ignore-cluster', ...flags.toSpliced(missing, 1))).toMatchObject({ code: 1, out: '' });
      }
      const other = file('other.pem', testCertificate().pem);
      expect(await weft('install', '--ignore-cluster', ...flags.slice(1), `--identity-trust-anchors-file=${other}`)).toMatchObject({
        code: 1,
        out: '',
        err: expect.stringContaining('cannot be used with these trust anchors') as string,
      });
    } finally {
      real.mockRestore();
    }
  });

  it('[CLI-11] renders no issuer of an external one, and wants its anchors', async () => {
    const roots = file('external.pem', testCertificate().pem);
    const { objects, values } = await install('--identity-external-issuer', '--identity-trust-anchors-file', roots);
    expect(find(objects, 'Secret', 'linkerd-identity-issuer')).toBeUndefined();
    expect(at(values, 'identity.issuer.scheme')).toBe('kubernetes.io/tls');
    expect(await weft('install', '--ignore-cluster', '--identity-external-issuer')).toMatchObject({ code: 1, out: '' });
    const external = await install('--identity-external-ca', '--identity-external-issuer');
    expect(find(external.objects, 'ConfigMap', 'linkerd-identity-trust-roots')).toBeUndefined();
  });

  it('[CLI-12] makes a highly available control plane', async () => {
    const { objects, values } = await install('--ha', '--controller-replicas', '5');
    expect(values).toMatchObject({ highAvailability: true, controllerReplicas: 5, webhookFailurePolicy: 'Fail' });
    expect(objects.filter(({ kind }) => kind === 'PodDisruptionBudget')).toHaveLength(3);
  });

  it('[CLI-12] labels the namespace for the CNI plugin', async () => {
    const { objects } = await install('--linkerd-cni-enabled');
    expect(objects[0]?.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  });

  const samples: Readonly<Record<string, readonly [string, unknown]>> = {
    'proxy.image.name': ['example.org/proxy', 'example.org/proxy'],
    'proxy.image.version': ['9', '9'],
    imagePullPolicy: ['Always', 'Always'],
    'proxy.logLevel': ['debug', 'debug'],
    'proxyInit.ignoreInboundPorts': ['25,3000-3010', '25,3000-3010'],
    'proxyInit.ignoreOutboundPorts': ['25', '25'],
    controllerLogLevel: ['debug', 'debug'],
    'proxy.defaultInboundPolicy': ['deny', 'deny'],
    'identity.issuer.issuanceLifetime': ['1h30m', '1h30m'],
    'identity.issuer.clockSkewAllowance': ['5s', '5s'],
    clusterDomain: ['example.org', 'example.org'],
    identityTrustDomain: ['example.org', 'example.org'],
  };
  const withValue = [...CONTROL_PLANE_FLAGS, ...INSTALL_ONLY_FLAGS, ...PROXY_FLAGS].filter(
    ({ path }) => !path.startsWith('identity.external'),
  );

  it('[CLI-12] [CLI-13] sets the value of each flag', async () => {
    const flags = withValue
      .filter(({ sets }) => sets !== 'kubernetes.io/tls')
      .map((flag) => {
        const name = flag.flags.split(/[ ,]+/).find((word) => word.startsWith('--')) as string;
        const sample = samples[flag.path] ?? (flag.path.startsWith('proxy.resources') ? ['7m', '7m'] : ['7', 7]);
        const isSwitch = !flag.flags.includes('<');
        return {
          name,
          path: flag.path,
          words: isSwitch ? [name] : [name, sample[0] as string],
          expected: isSwitch ? (flag.sets ?? true) : sample[1],
        };
      });
    const { code, out, err } = await weft('install', '--ignore-cluster', ...flags.flatMap(({ words }) => words));
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining('--proxy-version is deprecated') as string });
    const { data } = find(documents(out), 'ConfigMap', 'linkerd-config');
    const values: unknown = parse(data['values']);
    expect(Object.fromEntries(flags.map(({ name, path }) => [name, at(values, path)]))).toEqual(
      Object.fromEntries(flags.map(({ name, expected }) => [name, expected])),
    );
    expect(flags.length).toBeGreaterThan(25);
  });

  it.each([
    [['--proxy-uid', 'root']],
    [['--control-port', '70000']],
    [['--proxy-cpu-request', 'much']],
    [['--skip-inbound-ports', '9-1']],
    [['--default-inbound-policy', 'maybe']],
    [['--controller-replicas', '0']],
    [['--set', 'x']],
    [['-o', 'xml']],
  ])('refuses %j with 2, printing no manifest', async (flags) => {
    expect(await weft('install', '--ignore-cluster', ...flags)).toMatchObject({ code: 2, out: '' });
  });

  it('[CLI-14] merges files, then --set, then text and files', async () => {
    const first = file('first.yaml', 'proxy: {logLevel: info, uid: 5}\n');
    const second = file('second.yaml', 'proxy: {logLevel: trace}\n');
    const text = file('level.txt', 'from-file');
    const { values } = await install(
      ...['-f', first, '-f', second, '--set', 'proxy.gid=7', '--set-string', 'podAnnotations.a=7', '--set-file', `podLabels.b=${text}`],
      ...['--proxy-uid', '9'],
    );
    expect(at(values, 'proxy.logLevel')).toBe('trace');
    expect(at(values, 'proxy.uid')).toBe(5);
    expect(at(values, 'proxy.gid')).toBe(7);
    expect(at(values, 'podAnnotations.a')).toBe('7');
    expect(at(values, 'podLabels.b')).toBe('from-file');
  });

  it('[CLI-14] warns of a value that the chart does not know', async () => {
    const { err } = await weft('install', '--ignore-cluster', '--set', 'proxy.logLevle=debug');
    expect(err).toContain('warning: the chart knows no value proxy.logLevle');
  });

  it('[CLI-06] takes images from another registry, by flag or environment', async () => {
    const byFlag = await install('--registry', 'example.org/mirror/');
    const images = JSON.stringify(byFlag.objects).match(/"image":"[^"]+"/g) ?? [];
    expect(images.length).toBeGreaterThan(3);
    expect(images.every((image) => image.startsWith('"image":"example.org/mirror/'))).toBe(true);
    vi.stubEnv('LINKERD_DOCKER_REGISTRY', 'env.example.org');
    try {
      const { values } = await install();
      expect(at(values, 'proxy.image.name')).toBe('env.example.org/proxy');
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('[CLI-15] remembers only what was asked for, and no key', async () => {
    const { objects } = await install('--set', 'proxy.logLevel=debug', '--set', 'controllerReplicas=1', '--disable-heartbeat');
    expect(overrides(objects)).toEqual({
      proxy: { logLevel: 'debug' },
      disableHeartBeat: true,
      identityTrustAnchorsPEM: expect.stringContaining('BEGIN CERTIFICATE') as string,
    });
  });
});

describe('weft install-cni', () => {
  it('[CLI-21] prints the plugin with its flags', async () => {
    const { code, out } = await weft(
      ...['install-cni', '--cni-namespace', 'cni', '--dest-cni-bin-dir', '/bin-dir', '--dest-cni-net-dir', '/net-dir'],
      ...['--redirect-ports', '80,90', '--skip-inbound-ports', '1-2', '--priority-class-name', 'high', '--proxy-uid', '7'],
      ...['--registry', 'example.org', '--cni-image-version', '9', '--use-wait-flag'],
    );
    expect(code).toBe(0);
    const objects = documents(out);
    const daemonSet = find(objects, 'DaemonSet', 'linkerd-cni');
    expect(daemonSet.metadata.namespace).toBe('cni');
    const text = JSON.stringify(objects);
    for (const part of ['/bin-dir', '/net-dir', 'example.org/cni:9', '"priorityClassName":"high"']) expect(text).toContain(part);
    expect(objects[0]).toMatchObject({ kind: 'Namespace', metadata: { name: 'cni', labels: { 'linkerd.io/cni-resource': 'true' } } });
  });
});

describe('[CLI-09] guards of an installation', () => {
  const facts: ClusterFacts = {
    kubeVersion: 'v1.37.2',
    isInstalled: false,
    missingDefinitions: [],
    missingGatewayDefinitions: [],
    gatewayOwner: 'other',
    hasDockerNodes: false,
    apiServerPorts: [443, 6443],
  };

  it('lets a good cluster pass', () => {
    expect(() => guardInstall(facts, 'linkerd', {})).not.toThrow();
    expect(() => guardInstall({ ...facts, hasDockerNodes: true }, 'linkerd', { proxyInit: { runAsRoot: true } })).not.toThrow();
  });

  it.each<[string, Partial<ClusterFacts>, RegExp]>([
    ['a control plane', { isInstalled: true }, /weft upgrade/],
    ['missing definitions', { missingDefinitions: ['servers.policy.linkerd.io'] }, /weft install --crds/],
    ['a missing Gateway API', { missingGatewayDefinitions: ['httproutes'], missingDefinitions: ['x'] }, /installGatewayAPI=true/],
    ['Docker nodes', { hasDockerNodes: true }, /proxyInit\.runAsRoot=true/],
  ])('refuse %s and say what to do', (_what, change, hint) => {
    expect(() => guardInstall({ ...facts, ...change }, 'linkerd', {})).toThrow(hint);
  });

  it('[CLI-07] refuse definitions that leave the Gateway API missing', () => {
    expect(() => guardGatewayApi({ missingGatewayDefinitions: ['httproutes'] }, false)).toThrow(/installGatewayAPI=true/);
    expect(() => guardGatewayApi({ missingGatewayDefinitions: ['httproutes'] }, true)).not.toThrow();
  });
});

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { chartDirectory, loadChart, type Chart, type ChartName } from './chart.ts';
import { ChartError } from './errors.ts';
import { compareKinds } from './install-order.ts';
import { renderChart, renderObjects } from './render.ts';
import { validateValues } from './schema.ts';
import { type Dictionary, isDictionary } from './template/data.ts';
import { chartOf, render } from './testing/objects.ts';
import { CNI_SETS, CONTROL_PLANE_SETS, CRD_SETS, REFUSED_SETS, REQUIRED_VALUES } from './testing/values.ts';
import { coalesceValues, defaultValues, haValues, mergeValues, unknownValues } from './values.ts';

const NAMES: readonly ChartName[] = ['weft-crds', 'weft-control-plane', 'weft-cni'];

function problems(action: () => unknown): readonly string[] {
  try {
    action();
  } catch (error) {
    if (error instanceof ChartError) return error.problems;
    throw error;
  }
  return [];
}

function chartWith(values: Dictionary): Chart {
  return { ...chartOf('weft-cni'), values, schema: undefined };
}

describe('merging', () => {
  it('puts later layers over earlier ones, maps into maps, lists in place of lists, and shares nothing', () => {
    const first: Dictionary = { a: { x: 1, y: [1, 2] }, b: 'b' };
    const merged = mergeValues(first, { a: { y: [3], z: null }, c: true });
    expect(merged).toEqual({ a: { x: 1, y: [3], z: null }, b: 'b', c: true });
    (merged['a'] as Dictionary)['x'] = 2;
    expect(first['a']).toEqual({ x: 1, y: [1, 2] });
  });

  it.each([
    ['null takes a default away', { a: { x: 1, y: 2 }, b: 1 }, { a: { x: null }, b: null }, { a: { y: 2 } }],
    ['defaults that are null are not there', { a: null, b: { c: null, d: 1 } }, {}, { b: { d: 1 } }],
    ['a null that no default has stays in a map', { a: { x: 1 } }, { a: { z: null } }, { a: { x: 1, z: null } }],
    ['a list replaces a list', { a: [1, 2] }, { a: [] }, { a: [] }],
    ['a scalar replaces a map', { a: { x: 1 } }, { a: 'no map' }, { a: 'no map' }],
  ])('%s', (_, defaults, given, expected) => {
    expect(coalesceValues(chartWith(defaults), given).values).toEqual(expected);
  });

  it('two aliases of one map are filled apart', () => {
    const shared: Dictionary = { limit: '1' };
    const { values } = coalesceValues(chartWith({ a: { request: '2' }, b: {} }), { a: shared, b: shared });
    expect(values).toEqual({ a: { limit: '1', request: '2' }, b: { limit: '1' } });
  });

  it('warns where a map meets something else', () => {
    expect(coalesceValues(chartWith({ a: { b: { c: 1 } } }), { a: { b: 'text' } }).warnings).toEqual([
      'a.b is a map by default, and no map is given',
    ]);
  });

  it('gives the defaults and those of a highly available set-up', () => {
    expect(defaultValues(chartOf('weft-control-plane'))['controllerReplicas']).toBe(1);
    expect(haValues(chartOf('weft-control-plane'))['controllerReplicas']).toBe(3);
    expect(() => haValues(chartOf('weft-cni'))).toThrow('has no values-ha.yaml');
  });

  it('a key named __proto__ is a key', () => {
    const merged = mergeValues({}, JSON.parse('{"__proto__": {"polluted": true}}') as Dictionary);
    expect(({} as Dictionary)['polluted']).toBeUndefined();
    expect((merged as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe('unknown values', () => {
  it.each([
    [
      'weft-control-plane',
      { proxi: {}, proxy: { logLevle: 'x', resources: { cpu: { limits: '1' } } } },
      ['proxi', 'proxy.logLevle', 'proxy.resources.cpu.limits'],
    ],
    [
      'weft-control-plane',
      { nodeSelector: { any: 'x' }, destinationResources: { cpu: { limit: '1' }, gpu: {} }, heartbeat: { image: { name: 'x' } } },
      ['destinationResources.gpu'],
    ],
    [
      'weft-control-plane',
      { proxy: { runtime: { workers: { maximum: 2 } }, cores: 2, tracing: { labels: { any: 'x' } } }, global: { x: 1 } },
      [],
    ],
    ['weft-cni', { repairControler: { enabled: true } }, ['repairControler']],
  ] as const)('of %s in %j are %j', (name, values, expected) =>
    expect(unknownValues(chartOf(name), values as Dictionary)).toEqual(expected),
  );

  it('no set of values of the tests has one', () => {
    const sets = { 'weft-control-plane': CONTROL_PLANE_SETS, 'weft-cni': CNI_SETS, 'weft-crds': CRD_SETS };
    expect(NAMES.flatMap((name) => sets[name].flatMap((set) => unknownValues(chartOf(name), set.values)))).toEqual([]);
    expect(unknownValues(chartOf('weft-control-plane'), haValues(chartOf('weft-control-plane')))).toEqual([]);
  });
});

describe('schema', () => {
  it.each([
    [{ controllerReplicas: 0 }, 'controllerReplicas must be >= 1, not 0'],
    [{ controllerReplicas: '3' }, 'controllerReplicas must be of type integer, not "3"'],
    [
      { controllerLogLevel: 'verbose' },
      'controllerLogLevel must be one of "panic", "fatal", "error", "warn", "info", "debug", "trace", not "verbose"',
    ],
    [{ proxy: { logHTTPHeaders: false } }, 'proxy.logHTTPHeaders must be one of "off", "insecure", not false'],
    [{ proxy: { defaultInboundPolicy: 'allow' } }, 'proxy.defaultInboundPolicy must be one of'],
    [{ proxy: { ports: { admin: 70000 } } }, 'proxy.ports.admin must be <= 65535, not 70000'],
    [{ proxy: { opaquePorts: 'http' } }, 'proxy.opaquePorts must match'],
    [{ proxy: { uid: 0 } }, 'proxy.uid must be >= 1, not 0'],
    [{ proxy: { outboundConnectTimeout: '1 second' } }, 'proxy.outboundConnectTimeout must match'],
    [{ proxy: { runtime: { workers: { maximumCPURatio: 2 } } } }, 'proxy.runtime.workers.maximumCPURatio must be <= 1, not 2'],
    [{ proxy: { additionalEnv: [{ value: 'x' }] } }, 'proxy.additionalEnv.0 lacks name'],
    [{ proxy: { nativeSidecar: 'false' } }, 'proxy.nativeSidecar must be of type boolean, not "false"'],
    [{ proxyInit: { iptablesMode: 'bpf' } }, 'proxyInit.iptablesMode must be one of "nft", "legacy", not "bpf"'],
    [{ clusterNetworks: '10.0.0.0' }, 'clusterNetworks must match'],
    [{ webhookFailurePolicy: 'ignore' }, 'webhookFailurePolicy must be one of "Ignore", "Fail", not "ignore"'],
    [{ identity: { issuer: { scheme: 'tls' } } }, 'identity.issuer.scheme must be one of'],
    [{ tolerations: { key: 'x' } }, 'tolerations must be of type array'],
    [{ podLabels: { a: 1 } }, 'podLabels.a must be of type string, not 1'],
    [{ proxyInjector: { injectCaFrom: 'injector' } }, 'proxyInjector.injectCaFrom must match'],
    [{ enablePprof: null, proxy: 'none' }, 'proxy must be of type object, not "none"'],
  ])('refuses %j', (values, expected) => {
    const found = problems(() => validateValues(chartOf('weft-control-plane'), values as Dictionary));
    expect(found.join('\n')).toContain(expected);
  });

  it('names every mistake at once', () => {
    expect(problems(() => render('weft-control-plane', { controllerReplicas: 0, enableH2Upgrade: 'yes' }))).toHaveLength(2);
  });

  it.each([
    [{ identityTrustAnchorsPEM: '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----' }, 'identityTrustAnchorsPEM'],
    [{ identity: { issuer: { tls: { crtPEM: '-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0' } } } }, 'identity.issuer.tls.crtPEM'],
    [{ identity: { issuer: { tls: { keyPEM: 'c2VjcmV0' } } } }, 'identity.issuer.tls.keyPEM'],
  ])('shows no secret: %#', (values, path) => {
    const found = problems(() => validateValues(chartOf('weft-control-plane'), values as Dictionary)).join('\n');
    expect(found).toContain(path);
    expect(found).not.toContain('c2VjcmV0');
  });

  it.each(NAMES)('that of %s knows every default, and the defaults pass', (name) => {
    const chart = chartOf(name);
    expect(unknownValues({ ...chart, values: {} }, chart.values)).toEqual([]);
    expect(problems(() => validateValues(chart, defaultValues(chart)))).toEqual([]);
  });
});

describe('values that contradict each other', () => {
  it.each(REFUSED_SETS)('%j is refused', (values, expected) => {
    expect(problems(() => render('weft-control-plane', values as Dictionary)).join('\n')).toContain(expected);
  });

  it('a cluster that is too old is refused', () => {
    const options = { values: REQUIRED_VALUES, release: { name: 'mesh', namespace: 'linkerd' } };
    const chart = chartOf('weft-control-plane');
    expect(problems(() => renderChart(chart, { ...options, capabilities: { kubeVersion: 'v1.28.9' } }))).toEqual([
      'this chart needs Kubernetes >=1.29.0-0, and the cluster has v1.28.9',
    ]);
    expect(renderChart(chart, { ...options, capabilities: { kubeVersion: 'v1.31.0-gke.100' } }).length).toBeGreaterThan(0);
  });

  it('a directory without a chart is refused', () => {
    expect(() => loadChart('/nonexistent')).toThrow(ChartError);
    expect(() => loadChart(`${chartDirectory('weft-crds')}/files`)).toThrow('holds no Chart.yaml');
  });
});

describe('order', () => {
  it('is that in which Helm creates objects', () => {
    const kinds = renderObjects(chartOf('weft-control-plane'), {
      values: mergeValues(REQUIRED_VALUES, { podMonitor: { enabled: true } }),
      release: { name: 'mesh', namespace: 'linkerd' },
    }).map((object) => object['kind']);
    expect([...new Set(kinds)]).toEqual([
      'ServiceAccount',
      'Secret',
      'ConfigMap',
      'ClusterRole',
      'ClusterRoleBinding',
      'Role',
      'RoleBinding',
      'Service',
      'Deployment',
      'CronJob',
      'MutatingWebhookConfiguration',
      'ValidatingWebhookConfiguration',
      'PodMonitor',
    ]);
    expect(compareKinds('Zebra', 'Ape')).toBe(1);
    expect(compareKinds('Zebra', 'Pod')).toBeGreaterThan(0);
  });

  it('is stable: the same values give the same objects', () => {
    expect(render('weft-control-plane')).toEqual(render('weft-control-plane'));
  });
});

it('every chart of ours is in the subset', () => {
  for (const name of NAMES) expect(isDictionary(loadChart(chartDirectory(name)).values)).toBe(true);
});

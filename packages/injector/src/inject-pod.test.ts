// SPDX-License-Identifier: Apache-2.0
/*
 * What the recorded injections do not show: other values, the CNI plugin, tracing, annotations that cannot be honoured, and pods whose author
 * means harm.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INHERITED_CONFIG_ANNOTATIONS, POD_CONFIG_ANNOTATIONS } from './annotations/names.ts';
import { injectPod, type InjectPodInput } from './inject-pod.ts';
import { injectService } from './inject-service.ts';
import type { JsonObject } from './json-object.ts';
import { applyPatch } from './json-patch.ts';
import { recordedTrustAnchors } from './testing/recorded-injection.ts';
import { readInjectorValues } from './values.ts';

const DEFAULTS = { linkerdVersion: '1.0.0' };

function inject(values: object, annotations: Record<string, string> = {}, more: Partial<InjectPodInput> = {}, spec: object = {}) {
  const pod = {
    metadata: { name: 'web', annotations: { 'linkerd.io/inject': 'enabled', ...annotations } },
    spec: { containers: [{ name: 'app', image: 'app', ports: [{ name: 'http', containerPort: 8080 }] }], ...spec },
  };
  const { patch, report } = injectPod({
    pod,
    namespace: { name: 'shop', annotations: {} },
    values: readInjectorValues({ ...DEFAULTS, ...values }),
    trustAnchors: recordedTrustAnchors(),
    version: '1.0.0',
    controlPlaneNamespace: 'linkerd',
    ...more,
  });
  const result = applyPatch(pod, patch) as ReturnType<typeof JSON.parse>;
  const all = [...(result.spec.initContainers ?? []), ...result.spec.containers];
  const proxy = all.find(({ name }: { name: string }) => name === 'linkerd-proxy');
  const env = Object.fromEntries(
    (proxy?.env ?? []).map(({ name, value }: { name: string; value: string }) => [name.replace('LINKERD2_PROXY_', ''), value]),
  );
  return { result, report, proxy, env, init: result.spec.initContainers?.[0] };
}

describe('injectPod', () => {
  it.each([
    ['nobody unless the installation says so', {}, {}, {}, undefined],
    [
      'the account of weft tap where it does',
      { tap: { enabled: true } },
      {},
      {},
      'weft-tap.linkerd.serviceaccount.identity.linkerd.cluster.local',
    ],
    ['nobody where the pod forbids it', { tap: { enabled: true } }, { 'viz.linkerd.io/disable-tap': 'true' }, {}, undefined],
    ['nobody where its namespace forbids it', { tap: { enabled: true } }, {}, { 'viz.linkerd.io/disable-tap': 'true' }, undefined],
    [
      'the account where the pod takes back what its namespace forbids',
      { tap: { enabled: true } },
      { 'viz.linkerd.io/disable-tap': 'false' },
      { 'viz.linkerd.io/disable-tap': 'true' },
      'weft-tap.linkerd.serviceaccount.identity.linkerd.cluster.local',
    ],
  ])('[ANN-30] [VIZ-07] lets %s tap', (_, values, annotations, namespaceAnnotations, client) => {
    const { env, result } = inject(values, annotations, { namespace: { name: 'shop', annotations: namespaceAnnotations } });
    expect(env['TAP_SVC_NAME']).toBe(client);
    expect(result.metadata.annotations['viz.linkerd.io/tap-enabled']).toBe(client === undefined ? undefined : 'true');
  });

  it('[INJ-13] validates the network with a CNI plugin, and asks for no capability', () => {
    const { result, init } = inject({ cniEnabled: true });
    expect(init).toEqual({
      args: [
        ...['--log-format', 'plain', '--log-level', 'debug', '--connect-addr', '1.1.1.1:20001'],
        ...['--listen-addr', '0.0.0.0:4140', '--timeout', '10s'],
      ],
      command: ['/usr/lib/linkerd/linkerd2-network-validator'],
      image: 'ghcr.io/weft-mesh/proxy:1.0.0',
      imagePullPolicy: 'IfNotPresent',
      name: 'linkerd-network-validator',
      securityContext: {
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: true,
        runAsGroup: 65534,
        runAsNonRoot: true,
        runAsUser: 65534,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      terminationMessagePolicy: 'FallbackToLogsOnError',
    });
    expect(result.spec.volumes.map(({ name }: { name: string }) => name)).toEqual([
      'linkerd-identity-end-entity',
      'linkerd-identity-token',
    ]);
    expect(inject({ cniEnabled: true, disableIPv6: false }).init.args).toContain('[fd00::1]:20001');
  });

  it('listens on both families where IPv6 is on', () => {
    const { env, init } = inject({ disableIPv6: false });
    expect([env.INBOUND_LISTEN_ADDR, env.ADMIN_LISTEN_ADDR, env.OUTBOUND_LISTEN_ADDR, env.OUTBOUND_LISTEN_ADDRS]).toEqual([
      '[::]:4143',
      '[::]:4191',
      '127.0.0.1:4140',
      '127.0.0.1:4140,[::1]:4140',
    ]);
    expect(init.args).not.toContain('--ipv6=false');
  });

  it('[INJ-16] [ANN-29] gives the proxy pod labels and span attributes with tracing', () => {
    const tracing = {
      enabled: true,
      traceServiceName: 'proxies',
      labels: { 'k8s.pod.ip': '$(_pod_ip)' },
      collector: { endpoint: 'collector.tracing:4317', meshIdentity: { serviceAccountName: 'collector', namespace: 'tracing' } },
    };
    const annotations = { 'resource.opentelemetry.io/team': 'blue', 'resource.opentelemetry.io/bad': 'a\nservice.name=forged' };
    const { env, result, proxy } = inject({ proxy: { tracing } }, annotations);
    expect(env).toMatchObject({
      TRACE_ATTRIBUTES_PATH: '/var/run/linkerd/podinfo/labels',
      TRACE_COLLECTOR_SVC_ADDR: 'collector.tracing:4317',
      TRACE_COLLECTOR_SVC_NAME: 'collector.tracing.serviceaccount.identity.linkerd.cluster.local',
      TRACE_SERVICE_NAME: 'proxies',
      TRACE_EXTRA_ATTRIBUTES: 'k8s.pod.ip=$(_pod_ip)\nteam=blue\n',
    });
    expect(result.spec.volumes.map(({ name }: { name: string }) => name)).toContain('linkerd-podinfo');
    expect(proxy.volumeMounts[0]).toEqual({ mountPath: '/var/run/linkerd/podinfo', name: 'linkerd-podinfo' });
  });

  it('[ANN-24] runs the init container privileged as root for a close-wait timeout where the installation allows it', () => {
    const { init, report } = inject({ proxyInit: { runAsRoot: true } }, { 'config.linkerd.io/close-wait-timeout': '90s' });
    expect(report.problems).toEqual([]);
    expect(init.args.join(' ')).toContain('--timeout-close-wait-secs 90');
    expect(init.securityContext).toMatchObject({ privileged: true, allowPrivilegeEscalation: true, runAsUser: 0, runAsNonRoot: false });
  });

  it('[INJ-04] needs a mounted token where the installation projects none', () => {
    const values = { identity: { serviceAccountTokenProjection: false } };
    expect(inject(values).report.skipReasons).toEqual(['disabled_automount_service_account_token_account']);
    const mount = { mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', name: 'token' };
    const { env, report } = inject(values, {}, {}, { containers: [{ name: 'app', image: 'app', volumeMounts: [mount] }] });
    expect(report.isInjected).toBe(true);
    expect(env.IDENTITY_TOKEN_FILE).toBe('/var/run/secrets/kubernetes.io/serviceaccount/token');
  });

  it('[ANN-27] [INJ-21] merges additional variables by name: workload over namespace over installation', () => {
    const env = (...pairs: [string, string][]): string => JSON.stringify(pairs.map(([name, value]) => ({ name, value })));
    const namespace = { name: 'shop', annotations: { 'config.linkerd.io/proxy-additional-env': env(['A', 'ns'], ['B', 'ns']) } };
    const values = {
      proxy: {
        additionalEnv: [
          { name: 'A', value: 'chart' },
          { name: 'C', value: 'chart' },
        ],
      },
    };
    const { proxy } = inject(
      values,
      { 'config.linkerd.io/proxy-additional-env': env(['B', 'pod "quoted"\n'], ['D', 'pod']) },
      { namespace },
    );
    expect(proxy.env.slice(-4)).toEqual([
      { name: 'A', value: 'ns' },
      { name: 'C', value: 'chart' },
      { name: 'B', value: 'pod "quoted"\n' },
      { name: 'D', value: 'pod' },
    ]);
  });

  const PROBLEMS: readonly (readonly [annotation: string, value: string, problem: string])[] = [
    ['config.linkerd.io/admin-port', '0', 'is not a whole number from 1 to 65535'],
    ['config.linkerd.io/admin-port', '4143', 'gives two listeners of the proxy one port'],
    ['config.linkerd.io/close-wait-timeout', '30s', 'needs an installation with proxyInit.runAsRoot'],
    ['config.linkerd.io/debug-image-pull-policy', 'Sometimes', 'is none of Always, IfNotPresent and Never'],
    [
      'config.linkerd.io/default-inbound-policy',
      'none',
      'is none of all-unauthenticated, all-authenticated, cluster-unauthenticated, cluster-authenticated, deny, audit',
    ],
    ['config.linkerd.io/enable-gateway', 'yes', 'is neither true nor false'],
    ['config.linkerd.io/opaque-ports', '3306,nope', 'has an item that is neither a port, nor a range, nor the name of a container port'],
    ['config.linkerd.io/proxy-additional-env', '[{"name":"A","value":1}]', 'entry 1 has a value that is not a text'],
    ['config.linkerd.io/proxy-additional-env', '{', 'is not JSON'],
    [
      'config.linkerd.io/proxy-additional-env',
      '[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s"}}}]',
      'entry 1 has an incomplete secretKeyRef',
    ],
    ['config.linkerd.io/proxy-await', 'true', 'is neither enabled nor disabled'],
    ['config.linkerd.io/proxy-cpu-ratio-limit', '1.5', 'is not a number between 0 and 1'],
    ['config.linkerd.io/proxy-cpu-request', 'lots', 'is not a quantity'],
    ['config.linkerd.io/proxy-image', 'a b', 'is not the name of an image'],
    ['config.linkerd.io/proxy-log-format', 'xml', 'is neither plain nor json'],
    ['config.linkerd.io/proxy-log-http-headers', 'all', 'is neither insecure nor off'],
    ['config.linkerd.io/proxy-outbound-connect-timeout', '10us', 'is not a duration of whole milliseconds'],
    ['config.linkerd.io/proxy-inbound-discovery-cache-unused-timeout', '500ms', 'is not a duration of whole seconds'],
    ['config.linkerd.io/proxy-uid', '-1', 'is not a whole number from 0 to 2147483647'],
    ['config.linkerd.io/skip-inbound-ports', '80;81', 'is not a list of ports and ranges'],
    ['config.linkerd.io/skip-outbound-ports', '90-80', 'is not a list of ports and ranges'],
    ['config.linkerd.io/skip-subnets', '10.0.0.0/33', 'is not a list of CIDRs'],
    ['config.alpha.linkerd.io/proxy-wait-before-exit-seconds', '1m', 'is not a whole number of seconds'],
  ];
  it.each(PROBLEMS)('meshes a pod with %s: %s, and reports that it %s', (annotation, value, problem) => {
    const plain = inject({}, { 'config.linkerd.io/opaque-ports': '' });
    const { report, proxy, init } = inject({}, { 'config.linkerd.io/opaque-ports': '', [annotation]: value });
    expect(report).toMatchObject({ isInjected: true, problems: [{ annotation, problem }] });
    const isPartlyTaken = annotation.endsWith('opaque-ports');
    expect([isPartlyTaken ? plain.proxy : proxy, init]).toEqual([plain.proxy, plain.init]);
  });

  it('[ANN-08] reports a request over the limit instead of writing a pod that is refused', () => {
    const { report, proxy } = inject({}, { 'config.linkerd.io/proxy-cpu-request': '2', 'config.linkerd.io/proxy-cpu-limit': '1500m' });
    expect(report.problems).toEqual([
      { annotation: 'config.linkerd.io/proxy-cpu-limit', problem: 'makes the request larger than the limit' },
    ]);
    expect(proxy.resources).toEqual({ limits: { cpu: '1500m' } });
  });

  it.each([
    ['containers', { name: 'linkerd-proxy', image: 'x' }],
    ['containers', { name: 'p', image: 'cr.l5d.io/linkerd/proxy:v2' }],
    ['containers', { name: 'p', image: 'ghcr.io/weft-mesh/proxy:0.1.0' }],
    ['containers', { name: 'istio-proxy', image: 'x' }],
    ['initContainers', { name: 'linkerd-init', image: 'x' }],
    ['initContainers', { name: 'i', image: 'gcr.io/istio-release/proxy_init:1' }],
    ['initContainers', { name: 'linkerd-proxy', image: 'x', restartPolicy: 'Always' }],
  ])('[INJ-04] takes %s %j for a sidecar that is there already', (section, container) => {
    const containers = [{ name: 'app', image: 'app' }];
    const spec = section === 'containers' ? { containers: [...containers, container] } : { containers, initContainers: [container] };
    expect(inject({}, {}, {}, spec).report).toMatchObject({ isInjected: false, skipReasons: ['sidecar_already_exists'] });
  });

  it('names an owner only where a label can', () => {
    const long = 'w'.repeat(64);
    const labels = (name: string): object => inject({}, {}, { owner: { kind: 'Deployment', name } }).result.metadata.labels;
    expect(labels('web')).toHaveProperty(['linkerd.io/proxy-deployment'], 'web');
    expect(labels(long)).not.toHaveProperty(['linkerd.io/proxy-deployment']);
  });
});

describe('readInjectorValues', () => {
  it.each([
    [{ proxy: { logHTTPHeaders: 'all' } }, /proxy\.logHTTPHeaders/],
    [{ proxyInit: { closeWaitTimeoutSecs: 3 } }, /proxyInit\.closeWaitTimeoutSecs/],
    [{ proxyInit: { iptablesMode: 'plain' } }, /proxyInit\.iptablesMode/],
    [{ proxy: { tracing: { enabled: true } } }, /proxy\.tracing\.collector\.endpoint/],
    [{ clusterNetworks: 'x' }, /clusterNetworks/],
    [{ proxy: { ports: { admin: 'x' } } }, /proxy\.ports\.admin/],
    [{ proxy: [] }, /proxy is not a map/],
    [{ proxy: { additionalEnv: [{ value: 'x' }] } }, /proxy\.additionalEnv\[0\]/],
    ['text', /the text is not a map/],
  ])('refuses %j and names the path', (values, message) => {
    expect(() => readInjectorValues(values)).toThrow(message);
  });
});

/** Texts that break quoting, JSON, YAML, pointers, lists and label syntax. */
const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '"',
    '\\',
    '"},{"op":"remove","path":"/spec',
    '\n',
    '\u0000',
    '~1',
    '__proto__',
    '{{ .Values }}',
    '$(_pod_name)',
    '1-',
    ',',
    '9'.repeat(400),
  ),
  fc.constantFrom(
    'enabled',
    'ingress',
    'disabled',
    'true',
    'false',
    '0',
    '1',
    '10',
    '80-90',
    '1500m',
    '5s',
    '0.5',
    'http',
    '[]',
    '[{"name":"A"}]',
  ),
);
const annotationKey = fc.oneof(
  fc.constantFrom(
    'linkerd.io/inject',
    ...INHERITED_CONFIG_ANNOTATIONS,
    ...POD_CONFIG_ANNOTATIONS,
    'resource.opentelemetry.io/x',
    '__proto__',
  ),
  fc.string({ maxLength: 20 }),
);
const annotations = fc.dictionary(annotationKey, hostileText, { maxKeys: 12 });
const anything = fc.jsonValue({ maxDepth: 3 });
const container = fc.record(
  {
    name: fc.oneof(hostileText, fc.constantFrom('app', 'linkerd-proxy')),
    image: fc.oneof(hostileText, anything),
    ports: fc.oneof(
      anything,
      fc.array(fc.record({ containerPort: fc.oneof(fc.integer(), anything), name: hostileText, protocol: anything }, { requiredKeys: [] })),
    ),
    securityContext: fc.oneof(
      anything,
      fc.record({ capabilities: fc.record({ add: fc.array(hostileText), drop: anything }, { requiredKeys: [] }) }),
    ),
    volumeMounts: fc.oneof(
      anything,
      fc.array(fc.record({ mountPath: fc.constant('/var/run/secrets/kubernetes.io/serviceaccount'), name: hostileText })),
    ),
    readinessProbe: anything,
  },
  { requiredKeys: ['name'] },
);
const pod = fc.record(
  {
    metadata: fc.oneof(
      anything,
      fc.record(
        { annotations: fc.oneof(annotations, anything), labels: fc.oneof(annotations, anything), name: hostileText },
        { requiredKeys: [] },
      ),
    ),
    spec: fc.oneof(
      anything,
      fc.record(
        {
          containers: fc.array(container),
          initContainers: fc.oneof(fc.array(container), anything),
          volumes: fc.oneof(fc.array(anything), anything),
          hostNetwork: anything,
        },
        { requiredKeys: [] },
      ),
    ),
  },
  { requiredKeys: [] },
);

describe('whatever is written into a pod and its namespace', () => {
  const values = [{}, { cniEnabled: true, disableIPv6: false }, { proxy: { nativeSidecar: false } }].map((one) =>
    readInjectorValues({ ...DEFAULTS, ...one }),
  );

  it('gives a patch that applies, is JSON, and leaves what was there as it was', () => {
    fc.assert(
      fc.property(pod, annotations, hostileText, fc.nat(2), (object, namespaceAnnotations, ownerName, variant) => {
        const before = JSON.parse(JSON.stringify(object)) as JsonObject;
        const { patch, report } = injectPod({
          pod: before,
          namespace: { name: 'shop', annotations: { 'linkerd.io/inject': 'enabled', ...namespaceAnnotations } },
          owner: { kind: 'Deployment', name: ownerName },
          values: values[variant],
          trustAnchors: 'anchors',
          version: '1.0.0',
          controlPlaneNamespace: 'linkerd',
        });
        const sent = JSON.parse(JSON.stringify(patch)) as typeof patch;
        const after = applyPatch(before, sent) as ReturnType<typeof JSON.parse>;
        const parts = before as ReturnType<typeof JSON.parse>;
        for (const section of ['containers', 'initContainers', 'volumes'] as const) {
          const written: unknown[] = Array.isArray(parts.spec?.[section]) ? parts.spec[section] : [];
          const kept: unknown[] = Array.isArray(after.spec?.[section]) ? after.spec[section] : [];
          const own = new Set(written.map((one) => JSON.stringify(one)));
          expect(kept.map((one) => JSON.stringify(one)).filter((one) => own.has(one))).toEqual(written.map((one) => JSON.stringify(one)));
        }
        expect(sent.every(({ op, path }) => op === 'add' && !/^\/spec\/containers\/[1-9]/.test(path))).toBe(true);
        const proxies = sent.filter((one) => one.op === 'add' && (one.value as { name?: unknown }).name === 'linkerd-proxy');
        expect(proxies).toHaveLength(report.isInjected ? 1 : 0);
      }),
      { numRuns: 500 },
    );
  });

  it('gives a service its annotation alone', () => {
    const service = fc.record({
      metadata: anything,
      spec: fc.oneof(anything, fc.record({ ports: fc.array(fc.record({ port: anything, targetPort: anything })) })),
    });
    fc.assert(
      fc.property(service, annotations, (object, namespaceAnnotations) => {
        const { patch } = injectService({
          service: object,
          namespace: { name: 'shop', annotations: namespaceAnnotations },
          values: values[0],
        });
        applyPatch(object, patch);
        expect(patch.every(({ path }) => path.startsWith('/metadata'))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('takes time linear in the size of annotations', () => {
    const huge = '1,'.repeat(120_000);
    const keys = [...INHERITED_CONFIG_ANNOTATIONS, ...POD_CONFIG_ANNOTATIONS].filter((key) => !key.endsWith('native-sidecar'));
    const { report } = inject({}, Object.fromEntries(keys.map((key) => [key, huge])));
    expect(report.isInjected).toBe(true);
    expect(report.problems.length).toBeGreaterThan(30);
  });
});

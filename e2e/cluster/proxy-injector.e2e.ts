// SPDX-License-Identifier: Apache-2.0
/*
 * The injector as a webhook of a real API server, with the arguments and the rights that the chart gives it: pods of Deployments and Jobs, events,
 * and what accidents may befall its certificate while pods are created. No node is needed: nothing runs the pods.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  DeploymentKind,
  EventKind,
  JobKind,
  MutatingWebhookConfigurationKind,
  NamespaceKind,
  PodKind,
  SecretKind,
  ServiceKind,
  type Container,
  type Pod,
  type ResourceSource,
} from '@weft/resources';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { startApiServer, type TestApiServer } from './control-plane/api-server.ts';
import { serviceAccountKubeconfig, startController, type ControllerProcess } from './control-plane/controller-process.ts';
import { CONTROL_PLANE_NAMESPACE, install, type Installation } from './control-plane/installation.ts';
import { secondClusterIndex } from './shared-cluster.ts';

const SOON = { timeout: 30_000, interval: 50 };
const SECRET = 'linkerd-proxy-injector-k8s-tls';
const SERVICE = 'linkerd-proxy-injector';
const CONFIGURATION = 'linkerd-proxy-injector-webhook-config';
const NAMESPACE = 'injected';

let api: TestApiServer;
let source: ResourceSource;
let installation: Installation;
let replicas: readonly ControllerProcess[];
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  api = await startApiServer(secondClusterIndex());
  endings.push(() => api.close());
  ({ source } = api);
  installation = await install(api);
  const account = await serviceAccountKubeconfig(api, CONTROL_PLANE_NAMESPACE, SERVICE);
  endings.push(() => account.remove());
  const files = mkdtempSync(join(tmpdir(), 'weft-e2e-'));
  endings.push(() => rmSync(files, { recursive: true }));
  writeFileSync(join(files, 'values'), 'linkerdVersion: 0.1.0\n');
  writeFileSync(join(files, 'ca-bundle.crt'), installation.mesh.anchor.certificatePem);
  const address = addressBeside(new URL(api.connection.baseUrl).hostname);
  // The address that API servers call is one, so one of the replicas answers; the others make certificates with it.
  await source.create(ServiceKind, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: SERVICE, namespace: CONTROL_PLANE_NAMESPACE },
    spec: { type: 'ExternalName', externalName: address, ports: [{ port: 443 }] },
  });
  replicas = await Promise.all(
    [0, 1, 2].map(async (index) => {
      const process = await startController(
        [
          ...installation.argsOf(SERVICE, 'proxy-injector'),
          `-addr=${address}:0`,
          '-metrics-addr=127.0.0.1:0',
          '-log-format=json',
          `-kubeconfig=${account.path}`,
          `-values-file=${join(files, 'values')}`,
          `-trust-anchors-file=${join(files, 'ca-bundle.crt')}`,
        ],
        `injector-${index}`,
        undefined,
        'Webhook listening',
      );
      endings.push(() => process.stop());
      return process;
    }),
  );
  await configure();
  for (const replica of replicas) await vi.waitUntil(async () => (await replica.get('/ready')).startsWith('200'), SOON);
  await vi.waitUntil(async () => (await caBundle()) !== '', SOON);
  const metadata = { name: NAMESPACE, annotations: { 'linkerd.io/inject': 'enabled' } };
  await source.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata });
});
afterAll(async () => {
  for (const ending of endings.splice(0).toReversed()) await ending();
});

/** This machine's address in the network of the API server. */
function addressBeside(apiAddress: string): string {
  const network = apiAddress.slice(0, apiAddress.lastIndexOf('.') + 1);
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  const own = addresses.find((address) => address.startsWith(network));
  if (own === undefined) throw new Error(`this machine has no address beside ${apiAddress}`);
  return own;
}

/** The chart's configuration, with the port of the replica that answers, and no pod admitted without it. */
async function configure(): Promise<void> {
  await source.create(MutatingWebhookConfigurationKind, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: CONFIGURATION },
    webhooks: [
      {
        name: 'linkerd-proxy-injector.linkerd.io',
        admissionReviewVersions: ['v1', 'v1beta1'],
        clientConfig: { service: { name: SERVICE, namespace: CONTROL_PLANE_NAMESPACE, path: '/', port: replicas[0].port } },
        failurePolicy: 'Fail',
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': NAMESPACE } },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods', 'services'], scope: 'Namespaced' }],
        sideEffects: 'None',
        timeoutSeconds: 10,
      },
    ],
  });
}

async function caBundle(): Promise<string> {
  const { webhooks } = await source.get(MutatingWebhookConfigurationKind, '', CONFIGURATION);
  return webhooks?.[0]?.clientConfig?.caBundle ?? '';
}

const podSpec = { containers: [{ name: 'app', image: 'localhost/app:1', ports: [{ containerPort: 3306 }] }] };
const names = (containers: readonly Container[] | undefined): string[] => (containers ?? []).map(({ name }) => name);

let count = 0;

/** Creates a pod and takes it away again; the pod as it was stored. */
async function createPod(annotations: Record<string, string> = {}): Promise<Pod> {
  const name = `pod-${(count += 1)}`;
  const metadata = { name, namespace: NAMESPACE, annotations };
  const pod = await source.create(PodKind, { apiVersion: 'v1', kind: 'Pod', metadata, spec: podSpec });
  await source.delete(PodKind, NAMESPACE, name);
  return pod;
}

describe('the injector of an API server', () => {
  it('[INJ-01] [INJ-05] [INJ-08] injects the pods that controllers make, and tells their owners', async () => {
    const template = { metadata: { labels: { app: 'web' } }, spec: podSpec };
    const workload = (apiVersion: string, kind: string, name: string, spec: object): never =>
      ({ apiVersion, kind, metadata: { name, namespace: NAMESPACE }, spec }) as never;
    await source.create(DeploymentKind, workload('apps/v1', 'Deployment', 'web', { selector: { matchLabels: { app: 'web' } }, template }));
    const bad = { annotations: { 'config.linkerd.io/proxy-log-http-headers': 'all' } };
    const job = { template: { metadata: bad, spec: { ...podSpec, restartPolicy: 'Never' } } };
    await source.create(JobKind, workload('batch/v1', 'Job', 'task', job));
    await vi.waitFor(async () => {
      const pods = await source.list(PodKind, { namespace: NAMESPACE });
      expect(
        pods.map(({ metadata, spec }) => [
          metadata.labels['linkerd.io/proxy-deployment'] ?? metadata.labels['linkerd.io/proxy-job'],
          names(spec?.initContainers),
        ]),
      ).toEqual(
        expect.arrayContaining([
          ['web', ['linkerd-init', 'linkerd-proxy']],
          ['task', ['linkerd-init', 'linkerd-proxy']],
        ]),
      );
      const events = await source.list(EventKind, { namespace: NAMESPACE });
      expect(
        events.map(({ reason, involvedObject, source: { component } = {} }) => [
          component,
          reason,
          involvedObject?.kind,
          involvedObject?.name,
        ]),
      ).toEqual(
        expect.arrayContaining([
          ['linkerd-proxy-injector', 'Injected', 'Deployment', 'web'],
          ['linkerd-proxy-injector', 'Injected', 'Job', 'task'],
          ['linkerd-proxy-injector', 'InjectionAnnotationIgnored', 'Job', 'task'],
        ]),
      );
    }, SOON);
  });

  it('keeps injecting while its Secret is deleted and overwritten', async () => {
    const loaded = (): number[] => replicas.map((replica) => replica.log().split('Webhook certificate loaded').length - 1);
    const stop = new AbortController();
    const outcomes: string[] = [];
    const load = Promise.all(
      [1, 2].map(async () => {
        while (!stop.signal.aborted) {
          outcomes.push(
            await createPod().then(
              ({ spec }) => names(spec?.initContainers).join(' '),
              (error: Error) => error.message,
            ),
          );
        }
      }),
    );
    const accidents = [
      (): Promise<unknown> => source.delete(SecretKind, CONTROL_PLANE_NAMESPACE, SECRET),
      (): Promise<unknown> => source.patch(SecretKind, CONTROL_PLANE_NAMESPACE, SECRET, { data: { 'tls.crt': 'AAAA' } }, 'weft-e2e'),
    ];
    for (const accident of accidents) {
      const before = loaded();
      await accident();
      await vi.waitFor(() => expect(loaded()).toEqual(before.map((times) => times + 1)), SOON);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    stop.abort();
    await load;
    expect(outcomes.length).toBeGreaterThan(20);
    expect(new Set(outcomes)).toEqual(new Set(['linkerd-init linkerd-proxy']));
  });

  it.each([
    [
      'someone overwrites its caBundle',
      async (): Promise<void> => {
        const { webhooks = [] } = await source.get(MutatingWebhookConfigurationKind, '', CONFIGURATION);
        const emptied = webhooks.map((hook) => ({ ...hook, clientConfig: { ...hook.clientConfig, caBundle: '' } }));
        await source.patch(MutatingWebhookConfigurationKind, '', CONFIGURATION, { webhooks: emptied }, 'weft-e2e');
      },
    ],
    [
      'its configuration is made anew',
      async (): Promise<void> => {
        await source.delete(MutatingWebhookConfigurationKind, '', CONFIGURATION);
        await configure();
      },
    ],
  ])('injects again soon after %s', async (_what, accident) => {
    const before = await caBundle();
    await accident();
    await vi.waitFor(async () => expect(await caBundle()).toBe(before), SOON);
    await vi.waitFor(async () => expect(names((await createPod()).spec?.initContainers)).toEqual(['linkerd-init', 'linkerd-proxy']), SOON);
  });

  it('[INJ-07] gives services their opaque ports', async () => {
    const spec = {
      ports: [
        { name: 'db', port: 3306 },
        { name: 'admin', port: 80 },
      ],
    };
    const service = await source.create(ServiceKind, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'db', namespace: NAMESPACE },
      spec,
    });
    expect(service.metadata.annotations).toEqual({ 'config.linkerd.io/opaque-ports': '3306' });
  });

  it('has the rights that it needs, and no more errors than conflicts', () => {
    const complaints = replicas.flatMap((replica) => replica.log().split('\n')).filter((line) => /"level":"(warn|error)"/.test(line));
    expect(complaints.filter((line) => !line.includes('Annotation ignored'))).toEqual([]);
  });
});

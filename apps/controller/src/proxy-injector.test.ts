// SPDX-License-Identifier: Apache-2.0
/*
 * The injector as an API server meets it: a child process over a Kubernetes API in memory, asked over HTTPS by the Service's name, trusting the
 * webhook configuration's bundle alone.
 */
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { applyPatch } from '@weft/injector';
import { createTestMesh } from '@weft/pki/testing';
import {
  createMemorySource,
  EventKind,
  MutatingWebhookConfigurationKind,
  SecretKind,
  serveKubernetesApi,
  type Event,
  type ResourceInput,
} from '@weft/resources';
import { afterEach, describe, expect, it, vi } from 'vitest';

const appDirectory = fileURLToPath(new URL('..', import.meta.url));
const mesh = createTestMesh();
const SERVER_NAME = 'linkerd-proxy-injector.linkerd.svc';
const CONFIGURATION = 'linkerd-proxy-injector-webhook-config';
const SECRET = 'linkerd-proxy-injector-k8s-tls';
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const VALUES = `
linkerdVersion: 0.1.0
identityTrustDomain: example.org
proxy: { image: { name: example.com/proxy, version: v7 } }
`;

const deploymentReference = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'uid-web', controller: true };
const replicaSetReference = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'uid-web-1', controller: true };
const podTemplate = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'app', image: 'app' }] } };

const OBJECTS: readonly ResourceInput[] = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', annotations: { 'linkerd.io/inject': 'enabled' } } },
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'plain' } },
  {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'web-1', namespace: 'shop', ownerReferences: [deploymentReference] },
    spec: { selector: { matchLabels: { app: 'web' } }, template: podTemplate },
  },
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: CONFIGURATION },
    webhooks: [
      {
        name: 'linkerd-proxy-injector.linkerd.io',
        clientConfig: { service: { name: 'linkerd-proxy-injector', namespace: 'linkerd', path: '/', port: 443 } },
      },
    ],
  },
];

function pod(annotations: Record<string, string> = {}, more: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'web-1-', annotations, ownerReferences: [replicaSetReference], ...more },
    spec: { containers: [{ name: 'app', image: 'app', ports: [{ containerPort: 8080 }] }], volumes: [] },
  };
}

describe('controller proxy-injector', () => {
  it('[INJ-01] [INJ-05] [INJ-08] [INJ-20] injects over HTTPS, with events on the owner and metrics', async () => {
    const { world, url } = await cluster();
    const injector = await start(url);
    const caBundle = await bundleOf(world);
    await vi.waitFor(async () => expect(await injector.get('/ready')).toBe('200 ok\n'), { timeout: 15_000, interval: 100 });
    const ask = (object: object, more: object = {}): Promise<Verdict> => review(injector.port, caBundle, object, more);

    const injected = await ask(pod());
    expect(injected.allowed).toBe(true);
    const result = applyPatch(pod(), patchOf(injected)) as ReturnType<typeof JSON.parse>;
    expect(result.metadata.labels).toEqual({
      'linkerd.io/control-plane-ns': 'linkerd',
      'linkerd.io/proxy-deployment': 'web',
      'linkerd.io/workload-ns': 'shop',
    });
    expect(result.spec.initContainers.map(({ name, image }: { name: string; image: string }) => [name, image])).toEqual([
      ['linkerd-init', 'example.com/proxy:v7'],
      ['linkerd-proxy', 'example.com/proxy:v7'],
    ]);

    const skipped = await ask(pod({ 'linkerd.io/inject': 'disabled' }));
    expect(skipped).toEqual({ uid: 'u-1', allowed: true });
    const reported = await ask(pod({ 'config.linkerd.io/proxy-log-http-headers': 'all' }));
    expect(reported.warnings).toEqual(['annotation config.linkerd.io/proxy-log-http-headers is neither insecure nor off; it is ignored']);
    expect(patchOf(reported).length).toBeGreaterThan(0);
    await ask(pod({ 'config.linkerd.io/admin-port': 'x' }), { dryRun: true });

    await vi.waitFor(async () => {
      const events = await world.list(EventKind, { namespace: 'shop' });
      const summaries = events.map(({ type, reason, count, involvedObject, source }: Event) => [
        type,
        reason,
        count,
        `${involvedObject?.kind} ${involvedObject?.name} ${involvedObject?.uid}`,
        source?.component,
      ]);
      const about = ['Deployment web uid-web', 'linkerd-proxy-injector'];
      expect(new Set(summaries.map((one) => JSON.stringify(one)))).toEqual(
        new Set([
          JSON.stringify(['Normal', 'Injected', 2, ...about]),
          JSON.stringify(['Normal', 'InjectionSkipped', 1, ...about]),
          JSON.stringify(['Warning', 'InjectionAnnotationIgnored', 1, ...about]),
        ]),
      );
    }, 10_000);

    const metrics = await injector.get('/metrics');
    const counted = (line: RegExp): string[] => metrics.split('\n').filter((one) => line.test(one));
    expect(
      counted(/^proxy_inject_admission_requests_total\{owner_kind="deployment",namespace="shop",annotation_at="namespace"/),
    ).toHaveLength(3);
    expect(
      counted(
        /^proxy_inject_admission_responses_total\{owner_kind="deployment",namespace="shop",skip="true",skip_reason="injection_disable_annotation_present",annotation_at="workload".* 1$/,
      ),
    ).toHaveLength(1);
    expect(counted(/^proxy_inject_admission_requests_total\{.*proxy_log_http_headers="all".* 1$/)).toHaveLength(1);

    injector.process.kill('SIGTERM');
    expect(await injector.exitCode).toBe(0);
  });

  it('[INJ-07] annotates services and unmeshed pods with opaque ports, and counts them as not skipped', async () => {
    const { world, url } = await cluster();
    const injector = await start(url);
    const caBundle = await bundleOf(world);
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'db' }, spec: { ports: [{ port: 3306 }] } };
    const verdict = await review(injector.port, caBundle, service, { namespace: 'plain' });
    expect(patchOf(verdict)).toEqual([
      { op: 'add', path: '/metadata/annotations', value: {} },
      { op: 'add', path: '/metadata/annotations/config.linkerd.io~1opaque-ports', value: '3306' },
    ]);
    expect(await injector.get('/metrics')).toMatch(
      /proxy_inject_admission_responses_total\{owner_kind="",namespace="plain",skip="false",skip_reason="",/,
    );
  });

  it('reads values and trust anchors anew for each pod, and refuses pods while they cannot be used', async () => {
    const { world, url } = await cluster();
    const injector = await start(url);
    const caBundle = await bundleOf(world);
    const imageOf = async (): Promise<unknown> =>
      (applyPatch(pod(), patchOf(await review(injector.port, caBundle, pod()))) as ReturnType<typeof JSON.parse>).spec.initContainers[0]
        .image;
    expect(await imageOf()).toBe('example.com/proxy:v7');
    injector.write('values', VALUES.replace('v7', 'v8'));
    expect(await imageOf()).toBe('example.com/proxy:v8');
    injector.write('values', `${VALUES}\nclusterNetworks: everywhere\n`);
    expect(await review(injector.port, caBundle, pod())).toEqual({
      uid: 'u-1',
      allowed: false,
      status: { message: 'values: clusterNetworks is not a list of CIDRs' },
    });
    injector.write('values', VALUES);
    expect(await imageOf()).toBe('example.com/proxy:v7');
  });

  it('is ready only with a certificate and the namespaces', async () => {
    const { url } = await cluster();
    const injector = await start(url, []);
    expect(await injector.get('/ping')).toBe('200 pong\n');
    expect(await injector.get('/ready')).toMatch(/^500/);
    const leaf = mesh.leafFor(SERVER_NAME);
    injector.write('tls.key', leaf.privateKeyPem);
    injector.write('tls.crt', leaf.chainPem);
    await vi.waitFor(async () => expect(await injector.get('/ready')).toBe('200 ok\n'), { timeout: 15_000, interval: 100 });
    expect(await review(injector.port, mesh.anchor.certificatePem, pod())).toMatchObject({ allowed: true });
  });

  it('rotates its certificate under load without a failed request', async () => {
    const { world, url } = await cluster();
    const injector = await start(url);
    await bundleOf(world);
    const old = (await world.get(SecretKind, 'linkerd', SECRET)).data?.['tls.crt'];
    const results: string[] = [];
    const stop = new AbortController();
    const load = (async () => {
      while (!stop.signal.aborted) {
        // As an API server: the bundle of the configuration as it is now, on fresh connections and on kept ones.
        const caBundle = await bundleOf(world);
        const agent = new Agent({ keepAlive: true });
        for (let count = 0; count < 5; count += 1) {
          await review(injector.port, caBundle, pod(), { agent }).then(
            ({ allowed }) => results.push(String(allowed)),
            (error: Error) => results.push(error.message),
          );
        }
        agent.destroy();
      }
    })();
    await world.delete(SecretKind, 'linkerd', SECRET);
    await vi.waitFor(() => expect(injector.output().match(/Webhook certificate loaded/g)).toHaveLength(2), {
      timeout: 20_000,
      interval: 100,
    });
    await delay(300);
    stop.abort();
    await load;
    expect((await world.get(SecretKind, 'linkerd', SECRET)).data?.['tls.crt']).not.toBe(old);
    expect(new Set(results)).toEqual(new Set(['true']));
  });
});

type World = ReturnType<typeof createMemorySource>;

async function cluster(): Promise<{ world: World; url: string }> {
  const world = createMemorySource({ objects: OBJECTS });
  const api = await serveKubernetesApi(world, { listen: { host: '127.0.0.1', port: 0 } });
  cleanups.push(
    () => world.close(),
    () => api.close(),
  );
  return { world, url: api.url };
}

/** The bundle of the configuration, as soon as it has one. */
async function bundleOf(world: World): Promise<string> {
  return vi.waitFor(
    async () => {
      const { webhooks } = await world.get(MutatingWebhookConfigurationKind, '', CONFIGURATION);
      const text = Buffer.from(webhooks?.[0]?.clientConfig?.caBundle ?? '', 'base64').toString();
      expect(text).toMatch(/BEGIN CERTIFICATE/);
      return text;
    },
    { timeout: 10_000, interval: 50 },
  );
}

interface RunningInjector {
  readonly process: ReturnType<typeof spawn>;
  readonly exitCode: Promise<number | null>;
  readonly port: number;
  output(): string;
  get(path: string): Promise<string>;
  /** Replaces one of its files. */
  write(name: string, text: string): void;
}

const MANAGED = [`-webhook-secret=${SECRET}`, '-webhook-service=linkerd-proxy-injector', `-webhook-config=${CONFIGURATION}`];

/** Starts the sub-command with its own files, and waits until it listens. */
async function start(url: string, flags: readonly string[] = MANAGED): Promise<RunningInjector> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-injector-'));
  cleanups.push(() => rmSync(directory, { recursive: true }));
  const write = (name: string, text: string): void => {
    writeFileSync(join(directory, `.${name}`), text);
    renameSync(join(directory, `.${name}`), join(directory, name));
  };
  write('values', VALUES);
  write('ca-bundle.crt', mesh.anchor.certificatePem);
  const args = [
    ...['--conditions=weft-source', 'src/main.ts', 'proxy-injector', '-addr=127.0.0.1:0', '-metrics-addr=127.0.0.1:0'],
    ...['-linkerd-namespace=linkerd', '-log-level=info', '-log-format=json', '-enable-pprof=false'],
    ...['-tls-directory', directory, `-values-file=${join(directory, 'values')}`],
    ...[`-trust-anchors-file=${join(directory, 'ca-bundle.crt')}`, '--resources', url, ...flags],
  ];
  const child = spawn(process.execPath, args, { cwd: appDirectory, stdio: ['ignore', 'pipe', 'inherit'] });
  const exitCode = once(child, 'exit').then(([code]) => code as number | null);
  cleanups.push(async () => {
    child.kill('SIGKILL');
    await exitCode;
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const portOf = (message: string): number => {
    const line = text.split('\n').find((one) => one.includes(message)) ?? '{}';
    return (JSON.parse(line) as { port?: number }).port ?? 0;
  };
  await vi.waitFor(() => {
    if (child.exitCode !== null) throw new Error(`exited with ${child.exitCode}: ${text}`);
    expect(portOf('Webhook listening')).toBeGreaterThan(0);
  }, 15_000);
  const get = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${portOf('Admin server listening')}${path}`);
    return `${response.status} ${await response.text()}`.replace(/^200 (?=#)/, '');
  };
  return { process: child, exitCode, port: portOf('Webhook listening'), output: () => text, get, write };
}

interface Verdict {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patch?: string;
  readonly warnings?: readonly string[];
}

function patchOf({ patch }: Verdict): Parameters<typeof applyPatch>[1] {
  return JSON.parse(Buffer.from(patch ?? 'W10=', 'base64').toString()) as Parameters<typeof applyPatch>[1];
}

function review(
  port: number,
  ca: string,
  object: object,
  more: { readonly agent?: Agent; readonly namespace?: string } & object = {},
): Promise<Verdict> {
  const { agent, ...fields } = more;
  const { kind } = object as { kind: string };
  const request = { uid: 'u-1', kind: { group: '', version: 'v1', kind }, operation: 'CREATE', namespace: 'shop', object, ...fields };
  const body = JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });
  return new Promise((resolve, reject) => {
    const call = httpsRequest(
      { host: '127.0.0.1', port, path: '/?timeout=10s', method: 'POST', servername: SERVER_NAME, ca, agent: agent ?? false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          if (response.statusCode === 200) resolve((JSON.parse(text) as { response: Verdict }).response);
          else reject(new Error(`${response.statusCode} ${text}`));
        });
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

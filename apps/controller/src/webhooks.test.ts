// SPDX-License-Identifier: Apache-2.0
/*
 * The validating webhooks as API servers meet them: child processes, asked over HTTPS, with a certificate in files or one that they make
 * themselves in a Secret.
 */
import { Buffer } from 'node:buffer';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTestMesh } from '@weft/pki/testing';
import {
  createMemorySource,
  SecretKind,
  serveKubernetesApi,
  ValidatingWebhookConfigurationKind,
  type WebhookConfiguration,
} from '@weft/resources';
import { afterEach, describe, expect, it, vi } from 'vitest';

const appDirectory = fileURLToPath(new URL('..', import.meta.url));
const mesh = createTestMesh();
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const ARGUMENTS = ['--conditions=weft-source', 'src/main.ts'];
const SP = ['sp-validator', '-addr=127.0.0.1:0', '-metrics-addr=127.0.0.1:0', '-log-format=json'];
const POLICY = [
  'policy',
  '--server-addr=127.0.0.1:0',
  '--grpc-addr=127.0.0.1:0',
  '--admin-addr=127.0.0.1:0',
  '--default-opaque-ports=25',
  '--log-format=json',
];

interface Verdict {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: { readonly code?: number; readonly message: string };
  readonly warnings?: readonly string[];
}

describe('[AZ-16] controller sp-validator', () => {
  it('reviews profiles over HTTPS with a certificate from files, and takes a new one', async () => {
    const directory = certificateDirectory('linkerd-sp-validator.linkerd.svc');
    const child = await start([...SP, '-tls-directory', directory]);
    await vi.waitFor(() => expect(child.output()).toMatch(/Certificate loaded/), 10_000);
    const ask = (spec: unknown): Promise<Verdict> =>
      review(child.port, 'linkerd-sp-validator.linkerd.svc', mesh.trustAnchorsPem, 'linkerd.io/v1alpha2', 'ServiceProfile', spec);
    expect(await ask({ routes: [{ name: 'r', condition: { method: 'GET' } }] })).toEqual({ uid: 'u-1', allowed: true });
    expect(await ask({ routes: [{ name: 'r', condition: {} }] })).toEqual({
      uid: 'u-1',
      allowed: false,
      status: { code: 400, message: expect.stringMatching(/^ServiceProfile "x" is invalid: spec\.routes\[0\]\.condition: /) as string },
    });
    expect((await ask({ routes: [{ name: 'r', condition: { method: 'get' } }] })).warnings).toHaveLength(1);
    expect(await child.get('/ready')).toBe('200 ok\n');
    const metrics = await child.get('/metrics');
    expect(metrics).toMatch(/weft_admission_reviews_total\{allowed="true"\} 2/);
    expect(metrics).toMatch(/weft_admission_reviews_total\{allowed="false"\} 1/);
    expect(child.output()).toMatch(/Refused/);

    writePair(directory, 'renewed.linkerd.svc');
    await vi.waitFor(() => review(child.port, 'renewed.linkerd.svc', mesh.trustAnchorsPem, 'linkerd.io/v1alpha2', 'ServiceProfile', {}), {
      timeout: 15_000,
      interval: 200,
    });
    child.process.kill('SIGTERM');
    expect(await child.exitCode).toBe(0);
  });

  it('is not ready while there is no certificate', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-webhook-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const child = await start([...SP, '--tls-directory', directory]);
    expect(await child.get('/live')).toBe('200 live\n');
    expect(await child.get('/ready')).toMatch(/^500/);
    writePair(directory, 'linkerd-sp-validator.linkerd.svc');
    await vi.waitFor(async () => expect(await child.get('/ready')).toBe('200 ok\n'), { timeout: 15_000, interval: 200 });
  });

  it('makes its own certificate in a Secret, and tells API servers', async () => {
    const { url, caBundle } = await cluster('linkerd-sp-validator-webhook-config');
    const flags = [
      '-webhook-secret=linkerd-sp-validator-k8s-tls',
      '-webhook-service=linkerd-sp-validator',
      '-webhook-config=linkerd-sp-validator-webhook-config',
    ];
    const child = await start([...SP, ...flags, '-linkerd-namespace=mesh', '--resources', url]);
    const ca = await caBundle();
    await vi.waitFor(async () => expect(await child.get('/ready')).toBe('200 ok\n'), { timeout: 15_000, interval: 200 });
    const verdict = await review(child.port, 'linkerd-sp-validator.mesh.svc', [ca], 'linkerd.io/v1alpha2', 'ServiceProfile', { extra: 1 });
    expect(verdict).toMatchObject({ allowed: false, status: { code: 400 } });
  });
});

describe('[AZ-16] controller policy', () => {
  it('reviews policies beside the policy API, with a mounted certificate', async () => {
    const directory = certificateDirectory('linkerd-policy-validator.linkerd.svc');
    const { url } = await cluster('linkerd-policy-validator-webhook-config');
    const files = [`--server-tls-key=${directory}/tls.key`, `--server-tls-certs=${directory}/tls.crt`];
    const child = await start([...POLICY, ...files, '--resources', url]);
    await vi.waitFor(() => expect(child.output()).toMatch(/Certificate loaded/), 10_000);
    const ask = (apiVersion: string, kind: string, spec: unknown, path?: string): Promise<Verdict> =>
      review(child.port, 'linkerd-policy-validator.linkerd.svc', mesh.trustAnchorsPem, apiVersion, kind, spec, path);
    const target = (name: string): unknown => ({ targetRef: { kind: 'Namespace', name }, requiredAuthenticationRefs: [] });
    expect(await ask('policy.linkerd.io/v1alpha1', 'AuthorizationPolicy', target('shop'))).toEqual({ uid: 'u-1', allowed: true });
    expect(await ask('policy.linkerd.io/v1alpha1', 'AuthorizationPolicy', target('other'))).toMatchObject({
      allowed: false,
      status: { message: expect.stringMatching(/cannot target another namespace: "other"/) as string },
    });
    expect(await ask('gateway.networking.k8s.io/v1', 'HTTPRoute', { parentRefs: 'x' })).toMatchObject({
      allowed: true,
      warnings: [expect.stringMatching(/admitted without review/) as string],
    });
    await expect(ask('policy.linkerd.io/v1beta3', 'Server', {}, '/other')).rejects.toThrow(/404/);
    expect(await child.get('/ready')).toBe('200 ok\n');
  });

  it('makes its own certificate in a Secret of the control plane', async () => {
    const { url, caBundle, world } = await cluster('linkerd-policy-validator-webhook-config');
    const child = await start([
      ...POLICY,
      '--webhook-secret=linkerd-policy-validator-k8s-tls',
      '--webhook-service=linkerd-policy-validator',
      '--webhook-config=linkerd-policy-validator-webhook-config',
      '--control-plane-namespace=mesh',
      '--resources',
      url,
    ]);
    const ca = await caBundle();
    const ask = (): Promise<Verdict> =>
      review(child.port, 'linkerd-policy-validator.mesh.svc', [ca], 'policy.linkerd.io/v1beta3', 'Server', { podSelector: {}, port: 0 });
    await vi.waitFor(async () => expect(await ask()).toMatchObject({ allowed: false }), { timeout: 15_000, interval: 200 });
    expect((await world.get(SecretKind, 'mesh', 'linkerd-policy-validator-k8s-tls')).type).toBe('kubernetes.io/tls');
  });

  it('serves no webhook where that is switched off, and in a cluster says what one needs', async () => {
    const { url } = await cluster('linkerd-policy-validator-webhook-config');
    const directory = certificateDirectory('linkerd-policy-validator.linkerd.svc');
    const files = [`--server-tls-key=${directory}/tls.key`, `--server-tls-certs=${directory}/tls.crt`];
    const off = await start([...POLICY, ...files, '--admission-controller-disabled', '--resources', url], 'gRPC server listening');
    expect(off.output()).not.toMatch(/Webhook listening/);

    const kubeconfig = join(directory, 'kubeconfig.json');
    const context = { name: 'x', context: { cluster: 'x', user: 'x' } };
    const named = { clusters: [{ name: 'x', cluster: { server: url } }], users: [{ name: 'x', user: {} }], contexts: [context] };
    writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', 'current-context': 'x', ...named }));
    const child = spawn(process.execPath, [...ARGUMENTS, ...POLICY, '--kubeconfig', kubeconfig], {
      cwd: appDirectory,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const [code] = (await once(child, 'exit')) as [number];
    expect([code, text]).toEqual([1, expect.stringMatching(/the admission webhook needs a certificate/)]);
  });

  it.each([
    [[...POLICY, '--webhook-secret=a'], /go together/],
    [[...POLICY, '--server-tls-key=/a/tls.key'], /of one directory/],
    [[...POLICY, '--server-tls-key=/a/tls.key', '--server-tls-certs=/b/tls.crt'], /of one directory/],
    [[...SP, '-webhook-config=a'], /go together/],
  ])('ends with a usage error for %j', (args, message) => {
    const result = spawnSync(process.execPath, [...ARGUMENTS, ...args], { cwd: appDirectory, encoding: 'utf8' });
    expect([result.status, result.stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});

/** A cluster in memory that has a webhook configuration. */
async function cluster(
  configuration: string,
): Promise<{ url: string; world: ReturnType<typeof createMemorySource>; readonly caBundle: () => Promise<string> }> {
  const world = createMemorySource();
  const api = await serveKubernetesApi(world, { listen: { host: '127.0.0.1', port: 0 } });
  cleanups.push(
    () => world.close(),
    () => api.close(),
  );
  await world.create(ValidatingWebhookConfigurationKind, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: configuration },
    webhooks: [
      {
        name: 'hook.linkerd.io',
        clientConfig: { service: { name: configuration.replace('-webhook-config', ''), namespace: 'mesh', path: '/' } },
      },
    ],
  });
  return {
    url: api.url,
    world,
    caBundle: async () => {
      const bundle = (object: WebhookConfiguration): string => object.webhooks?.[0]?.clientConfig?.caBundle ?? '';
      return vi.waitFor(
        async () => {
          const text = Buffer.from(bundle(await world.get(ValidatingWebhookConfigurationKind, '', configuration)), 'base64').toString();
          expect(text).toMatch(/BEGIN CERTIFICATE/);
          return text;
        },
        { timeout: 15_000, interval: 100 },
      );
    },
  };
}

function certificateDirectory(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-webhook-'));
  cleanups.push(() => rmSync(directory, { recursive: true }));
  writePair(directory, name);
  return directory;
}

function writePair(directory: string, name: string): void {
  const leaf = mesh.leafFor(name);
  writeFileSync(join(directory, 'tls.crt'), leaf.chainPem);
  writeFileSync(join(directory, 'tls.key'), leaf.privateKeyPem);
}

interface RunningWebhook {
  readonly process: ReturnType<typeof spawn>;
  readonly exitCode: Promise<number | null>;
  /** Of the webhook. */
  readonly port: number;
  output(): string;
  /** Status and body of a path of the admin server. */
  get(path: string): Promise<string>;
}

/** Starts a sub-command and waits until it says that it listens. */
async function start(args: readonly string[], listening = 'Webhook listening'): Promise<RunningWebhook> {
  const child = spawn(process.execPath, [...ARGUMENTS, ...args], { cwd: appDirectory, stdio: ['ignore', 'pipe', 'inherit'] });
  const exitCode = once(child, 'exit').then(([code]) => code as number | null);
  cleanups.push(async () => {
    child.kill('SIGKILL');
    await exitCode;
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const portOf = (message: string): number => {
    const line = text.split('\n').find((one) => one.includes(message)) ?? '{}';
    const event = JSON.parse(line) as { port?: number; fields?: { port: number } };
    return event.port ?? event.fields?.port ?? 0;
  };
  await vi.waitFor(() => {
    if (child.exitCode !== null) throw new Error(`exited with ${child.exitCode}: ${text}`);
    expect(portOf(listening)).toBeGreaterThan(0);
  }, 15_000);
  return {
    process: child,
    exitCode,
    port: portOf(listening),
    output: () => text,
    async get(path) {
      const response = await fetch(`http://127.0.0.1:${portOf('Admin server listening')}${path}`);
      return `${response.status} ${await response.text()}`;
    },
  };
}

/** Asks as an API server does: by the Service's name, trusting the configuration's bundle alone. */
function review(
  port: number,
  servername: string,
  ca: readonly string[],
  apiVersion: string,
  kind: string,
  spec: unknown,
  path = '/',
): Promise<Verdict> {
  const [group = '', version = ''] = apiVersion.split('/');
  const object = { apiVersion, kind, metadata: { name: 'x', namespace: 'shop' }, spec };
  const request = { uid: 'u-1', kind: { group, version, kind }, operation: 'CREATE', namespace: 'shop', name: 'x', object };
  const body = JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });
  return new Promise((resolve, reject) => {
    const call = httpsRequest(
      { host: '127.0.0.1', port, path, method: 'POST', servername, ca: [...ca], agent: false, minVersion: 'TLSv1.3' },
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

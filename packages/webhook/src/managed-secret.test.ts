// SPDX-License-Identifier: Apache-2.0
/*
 * Replicas that make and rotate one certificate over one API: what every accident of an installation's life leaves them serving with.
 */
import { Buffer } from 'node:buffer';
import { createMemorySource, MutatingWebhookConfigurationKind, ResourceError, SecretKind, type ResourceSource } from '@weft/resources';
import { Logger } from '@weft/telemetry';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isTrustedBy, makeSecretData, MANAGED_CERTIFICATE_DEFAULTS } from './managed-certificate.ts';
import { manageCertificateSecret, type ManagedCertificateOptions } from './managed-secret.ts';
import { selfSignedSecret } from './testing/self-signed-secret.ts';
import type { CertificateSource } from './types.ts';

const NAME = 'hook.mesh.svc';
const DAY_MS = 86_400_000;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

type World = ReturnType<typeof createMemorySource>;

const CONFIGURATION = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingWebhookConfiguration',
  metadata: { name: 'hooks' },
  webhooks: [
    { name: 'ours.mesh', clientConfig: { service: { name: 'hook', namespace: 'mesh', path: '/' } }, failurePolicy: 'Ignore' },
    { name: 'theirs.mesh', clientConfig: { service: { name: 'other', namespace: 'mesh' }, caBundle: 'dGhlaXJz' } },
  ],
};

async function world(hasConfiguration = true): Promise<World> {
  const source = createMemorySource();
  cleanups.push(() => source.close());
  if (hasConfiguration) await source.create(MutatingWebhookConfigurationKind, CONFIGURATION);
  return source;
}

function replica(source: ResourceSource, more: Partial<ManagedCertificateOptions> = {}): CertificateSource {
  const certificates = manageCertificateSecret({
    source,
    namespace: 'mesh',
    secretName: 'hook-tls',
    serviceName: 'hook',
    configurations: [{ kind: 'MutatingWebhookConfiguration', name: 'hooks' }],
    logger: Logger.create({ filter: 'off', write: () => undefined }),
    settleMs: 50,
    ...more,
  });
  cleanups.push(() => certificates.close());
  return certificates;
}

async function secretData(source: World): Promise<Readonly<Record<string, string>>> {
  return (await source.get(SecretKind, 'mesh', 'hook-tls')).data ?? {};
}

const decoded = (text: string | undefined): string => Buffer.from(text ?? '', 'base64').toString();

async function bundles(source: World): Promise<readonly string[]> {
  const { webhooks = [] } = await source.get(MutatingWebhookConfigurationKind, '', 'hooks');
  return webhooks.map(({ clientConfig }) => decoded(clientConfig?.caBundle));
}

/** The replicas serve what the Secret holds, and the configuration trusts it. */
async function settled(source: World, replicas: readonly CertificateSource[], nowMs: number = Date.now()): Promise<void> {
  await vi.waitFor(async () => {
    const data = await secretData(source);
    const [bundle] = await bundles(source);
    for (const { current } of replicas) {
      expect(current?.certificatePem).toBe(decoded(data['tls.crt']));
      expect(isTrustedBy(current ?? { certificatePem: '', privateKeyPem: '' }, bundle ?? '', NAME, nowMs)).toBe(true);
    }
    expect(bundle).toBe(decoded(data['ca.crt']) || decoded(data['tls.crt']));
  }, 5_000);
}

describe('managed webhook certificates', () => {
  it('are one for three replicas that start at once', async () => {
    const source = await world();
    const writes = vi.spyOn(source, 'create');
    const replicas = [replica(source), replica(source), replica(source)];
    await Promise.all(replicas.map(({ loaded }) => loaded));
    await settled(source, replicas);
    expect(writes.mock.results.filter(({ type }) => type === 'return').length).toBeGreaterThan(0);
    expect((await source.get(SecretKind, 'mesh', 'hook-tls')).type).toBe('kubernetes.io/tls');
    expect(await bundles(source)).toEqual([decoded((await secretData(source))['ca.crt']), 'theirs']);
    const [ours] = (await source.get(MutatingWebhookConfigurationKind, '', 'hooks')).webhooks ?? [];
    expect(ours).toMatchObject({ name: 'ours.mesh', failurePolicy: 'Ignore', clientConfig: { service: { path: '/' } } });
  });

  it('settle without a complaint when replicas write at once', async () => {
    const source = await world();
    const lines: string[] = [];
    const logger = Logger.create({ filter: 'warn', write: (line) => lines.push(line) });
    const replicas = [1, 2, 3, 4, 5].map(() => replica(source, { logger }));
    await settled(source, replicas);
    expect(lines).toEqual([]);
  });

  it('are made anew after the Secret is deleted, and the old one is trusted until the change-over', async () => {
    const source = await world();
    const replicas = [replica(source), replica(source)];
    await settled(source, replicas);
    const old = replicas[0].current;
    const oldBundle = (await bundles(source))[0] ?? '';
    const seen: boolean[] = [];
    for (const one of replicas) {
      one.onChange(() => {
        const store = source.store.get(MutatingWebhookConfigurationKind, '', 'hooks') as unknown as typeof CONFIGURATION;
        const bundle = decoded((store.webhooks[0] as { clientConfig: { caBundle?: string } }).clientConfig.caBundle);
        const pair = one.current ?? { certificatePem: '', privateKeyPem: '' };
        seen.push(isTrustedBy(pair, bundle, NAME, Date.now()) && isTrustedBy(old ?? pair, bundle, NAME, Date.now()));
      });
    }
    await source.delete(SecretKind, 'mesh', 'hook-tls');
    await vi.waitFor(() => expect(seen).toHaveLength(2), 5_000);
    await settled(source, replicas);
    expect(seen).toEqual([true, true]);
    expect(replicas[0].current?.certificatePem).not.toBe(old?.certificatePem);
    expect((await bundles(source))[0]).toContain(oldBundle.trim());
  });

  it.each([
    ['no certificate', { 'tls.crt': '', 'tls.key': '' }],
    ['garbage', { 'tls.crt': 'AAAA', 'tls.key': 'AAAA' }],
    ['a certificate for another name', makeSecretData('other.mesh.svc', Date.now(), MANAGED_CERTIFICATE_DEFAULTS, undefined)],
    ['an expired certificate', makeSecretData(NAME, Date.now() - 400 * DAY_MS, MANAGED_CERTIFICATE_DEFAULTS, undefined)],
  ])('replace a Secret with %s, and keep what else it holds', async (_what, data) => {
    const source = await world();
    const metadata = { name: 'hook-tls', namespace: 'mesh', labels: { team: 'blue' } };
    await source.create(SecretKind, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      type: 'kubernetes.io/tls',
      data: { ...data, note: 'bm90ZQ==' },
    });
    const replicas = [replica(source), replica(source)];
    await settled(source, replicas);
    const secret = await source.get(SecretKind, 'mesh', 'hook-tls');
    expect([secret.metadata.labels['team'], secret.data?.['note']]).toEqual(['blue', 'bm90ZQ==']);
  });

  it('are replaced while they serve when someone overwrites the Secret with garbage', async () => {
    const source = await world();
    const replicas = [replica(source)];
    await settled(source, replicas);
    await source.patch(SecretKind, 'mesh', 'hook-tls', { data: { 'tls.crt': 'AAAA' } }, 'someone');
    await vi.waitFor(async () => expect(decoded((await secretData(source))['tls.crt'])).toMatch(/BEGIN CERTIFICATE/), 5_000);
    await settled(source, replicas);
  });

  it('keep a good Secret that was there, and renew it near its end', async () => {
    const source = await world();
    let nowMs = Date.now();
    const data = makeSecretData(NAME, nowMs, MANAGED_CERTIFICATE_DEFAULTS, undefined);
    await source.create(SecretKind, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'hook-tls', namespace: 'mesh' },
      type: 'kubernetes.io/tls',
      data,
    });
    const replicas = [replica(source, { now: () => nowMs, recheckMs: 50 }), replica(source, { now: () => nowMs, recheckMs: 50 })];
    await settled(source, replicas);
    expect(await secretData(source)).toEqual(data);
    nowMs += MANAGED_CERTIFICATE_DEFAULTS.lifetimeMs - MANAGED_CERTIFICATE_DEFAULTS.renewBeforeMs + 1_000;
    await vi.waitFor(async () => expect((await secretData(source))['tls.crt']).not.toBe(data['tls.crt']), 5_000);
    await settled(source, replicas, nowMs);
    nowMs += MANAGED_CERTIFICATE_DEFAULTS.lifetimeMs * 2;
    await vi.waitFor(() => settled(source, replicas, nowMs), 5_000);
  });

  it('take over the Secret of the reference, and replace it near its end while it is still trusted', async () => {
    const source = await world();
    let nowMs = Date.now();
    const data = selfSignedSecret(NAME, nowMs - DAY_MS, nowMs + 364 * DAY_MS);
    const metadata = { name: 'hook-tls', namespace: 'mesh' };
    await source.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata, type: 'kubernetes.io/tls', data });
    const replicas = [replica(source, { now: () => nowMs, recheckMs: 50 }), replica(source, { now: () => nowMs, recheckMs: 50 })];
    await settled(source, replicas);
    expect(await secretData(source)).toEqual(data);
    nowMs += 340 * DAY_MS;
    await vi.waitFor(async () => expect((await secretData(source))['tls.crt']).not.toBe(data['tls.crt']), 5_000);
    await settled(source, replicas, nowMs);
    expect((await bundles(source))[0]).toContain(decoded(data['tls.crt']));
  });

  it('put the caBundle back when someone overwrites it or makes the configuration anew', async () => {
    const source = await world(false);
    const replicas = [replica(source)];
    await replicas[0].loaded;
    await source.create(MutatingWebhookConfigurationKind, CONFIGURATION);
    await settled(source, replicas);
    const object = await source.get(MutatingWebhookConfigurationKind, '', 'hooks');
    const webhooks = (object.webhooks ?? []).map((hook) => ({ ...hook, clientConfig: { ...hook.clientConfig, caBundle: 'bWluZQ==' } }));
    await source.patch(MutatingWebhookConfigurationKind, '', 'hooks', { webhooks }, 'someone');
    await settled(source, replicas);
    expect((await bundles(source))[1]).toBe('mine');
    await source.delete(MutatingWebhookConfigurationKind, '', 'hooks');
    await source.create(MutatingWebhookConfigurationKind, CONFIGURATION);
    await settled(source, replicas);
  });

  it('do not keep an API server busy against another writer of the caBundle', async () => {
    const source = await world();
    const replicas = [replica(source)];
    await settled(source, replicas);
    const patches = vi.spyOn(source, 'patch');
    const rival = source.watch(MutatingWebhookConfigurationKind, { name: 'hooks' }, (event) => {
      if (event.type !== 'modified') return;
      const [ours, theirs] = event.object.webhooks ?? [];
      if (ours === undefined || ours.clientConfig?.caBundle === 'bWluZQ==') return;
      const webhooks = [{ ...ours, clientConfig: { ...ours.clientConfig, caBundle: 'bWluZQ==' } }, theirs];
      queueMicrotask(() => void source.store.patch(MutatingWebhookConfigurationKind, '', 'hooks', { webhooks }));
    });
    cleanups.push(() => rival.close());
    source.store.patch(MutatingWebhookConfigurationKind, '', 'hooks', { metadata: { labels: { a: 'b' } } });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const count = patches.mock.calls.filter(([kind]) => kind.kind === 'MutatingWebhookConfiguration').length;
    expect(count).toBeGreaterThan(3);
    expect(count).toBeLessThan(25);
  });

  it('serve with a good Secret while it cannot be written, and with a made one once it can', async () => {
    const source = await world();
    let isDenied = true;
    const deny = (): void => {
      if (isDenied) throw new ResourceError('ERR_FORBIDDEN', 'secrets is forbidden');
    };
    const guarded: ResourceSource = {
      ...source,
      create: async (kind, object) => {
        deny();
        return source.create(kind, object);
      },
      update: async (kind, object) => {
        deny();
        return source.update(kind, object);
      },
    };
    const data = makeSecretData(NAME, Date.now() - 350 * DAY_MS, MANAGED_CERTIFICATE_DEFAULTS, undefined);
    await source.create(SecretKind, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'hook-tls', namespace: 'mesh' },
      type: 'kubernetes.io/tls',
      data,
    });
    const ending = replica(guarded);
    await ending.loaded;
    expect(ending.current?.certificatePem).toBe(decoded(data['tls.crt']));
    isDenied = false;
    await settled(source, [ending]);
    expect(ending.current?.certificatePem).not.toBe(decoded(data['tls.crt']));
  });
});

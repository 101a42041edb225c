// SPDX-License-Identifier: Apache-2.0
/*
 * The mesh's trust anchor is replaced while everything runs (features OP-01, ID-09; design §2): first both anchors, then an issuer under the new one,
 * then the new anchor alone. Nothing is restarted but by the last test, no request fails, no connection breaks, and new connections can be made in
 * every stage. The load is that of no-failed-request: open loop, nothing retried.
 */
import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTestAuthority } from '@weft/pki/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HostMesh, type PodView, until } from './mesh.ts';

/** How long a removed anchor is still trusted (packages/proxy, ANCHOR_REMOVAL_GRACE_MS), and as much again for slow machines. */
const REMOVAL_PATIENCE_MS = 120_000;

let mesh: HostMesh;
beforeAll(async () => {
  mesh = await HostMesh.start({ fixture: 'drain', name: 'trust' });
});
afterAll(() => mesh?.stop());

const directory = (): string => join('/var/lib/weft', mesh.name, 'pki');

/** Replaces a file of the identity service, for the user that reads it. */
function replace(file: string, text: string): void {
  const path = join(directory(), file);
  const { uid, gid } = statSync(path);
  writeFileSync(path, text);
  chownSync(path, uid, gid);
}

const failures = (): string[] => [...mesh.logs('e2e', 'load-', 'load').values()].flatMap((text) => text.match(/^FAILED.*$/gm) ?? []);

/** Every pod with a proxy: the application, its clients, the control plane itself. */
const meshed = async (): Promise<readonly PodView[]> => [...(await mesh.pods('e2e')), ...(await mesh.pods('linkerd'))];

/** Resolves once every proxy says so. */
async function everywhere(what: string, name: string, value: (current: number) => boolean, patienceMs?: number): Promise<void> {
  for (const pod of await meshed()) {
    await until(`${what}: ${pod.name}`, async () => value((await mesh.metricsInside(pod)).sum(name)), patienceMs);
  }
}

/** New connections, meshed and opaque, one after the other. */
async function talk(): Promise<void> {
  const client = await mesh.pod('e2e', 'client');
  for (let i = 0; i < 5; i++) {
    const seen = await mesh.client<{ lines: string[] }>(client, 'talk', { host: 'server', port: 9001, lines: ['how', 'are', 'you'] });
    expect(seen.lines.length).toBeGreaterThanOrEqual(3);
  }
}

it('[OP-01] [ID-09] a new trust anchor touches no workload and fails no request', { timeout: 400_000 }, async () => {
  const before = new Map((await meshed()).map((pod) => [pod.uid, JSON.stringify(pod.restartCounts)]));
  const oldBundle = readFileSync(join(directory(), 'trust-roots/ca-bundle.crt'), 'utf8');
  const anchor = createTestAuthority('root.linkerd.cluster.local', { nowMs: Date.now() });
  const issuer = createTestAuthority('identity.linkerd.cluster.local', { nowMs: Date.now(), parent: anchor });
  await talk();

  replace('trust-roots/ca-bundle.crt', `${oldBundle.trimEnd()}\n${anchor.certificatePem}`);
  await everywhere('both anchors', 'weft_trust_anchors', (count) => count === 2);
  await talk();

  replace('issuer/key.pem', issuer.privateKeyPem);
  replace('issuer/crt.pem', issuer.certificatePem);
  await until('the issuer is taken', () =>
    [...mesh.logs('linkerd', 'linkerd-identity', 'identity').values()].join('').includes('Issuer updated'),
  );
  await talk();

  replace('trust-roots/ca-bundle.crt', anchor.certificatePem);
  await everywhere('a certificate under the new anchor', 'control_identity_cert_refreshes_total', (count) => count >= 2);
  await talk();
  await everywhere('the new anchor alone', 'weft_trust_anchors', (count) => count === 1, REMOVAL_PATIENCE_MS);
  await talk();
  await sleep(2000);

  expect(failures()).toEqual([]);
  expect(new Map((await meshed()).map((pod) => [pod.uid, JSON.stringify(pod.restartCounts)]))).toEqual(before);
  for (const pod of await meshed()) {
    const metrics = await mesh.metricsInside(pod);
    expect([pod.name, metrics.sum('weft_internal_errors_total')]).toEqual([pod.name, 0]);
  }
});

it('a proxy that restarts afterwards still knows the anchor that its environment does not', { timeout: 120_000 }, async () => {
  const [pod] = await mesh.pods('e2e', { app: 'client' });
  const prefix = `e2e/${pod?.name}/linkerd-proxy`;
  const [old] = mesh.processes(prefix);
  process.kill(old?.pid ?? 0, 'SIGKILL');
  await until('the proxy runs again', () => mesh.processes(prefix).some(({ pid }) => pid !== old?.pid));
  const again = await mesh.pod('e2e', 'client');
  await until('it is certified', async () => {
    const metrics = await mesh.metricsInside(again).catch(() => undefined);
    return metrics !== undefined && metrics.sum('control_identity_cert_refreshes_total') >= 1;
  });
  await talk();
  expect((await mesh.metricsInside(again)).sum('control_identity_cert_refreshes_total', { result: 'error' })).toBe(0);
});

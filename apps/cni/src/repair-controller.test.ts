// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { serveHttpsApi } from '@weft/cni/testing';
import { createMemorySource, PodKind } from '@weft/resources';
import { afterEach, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('repair-controller.ts', import.meta.url));

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function occupiedPort(): Promise<{ port: number; free: () => Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  return { port: (server.address() as AddressInfo).port, free: () => new Promise((resolve) => server.close(() => resolve())) };
}

describe('cni-repair-controller', () => {
  it('[NET-11] repairs pods and serves metrics, also when its port is taken for a while', async () => {
    const source = createMemorySource();
    const api = await serveHttpsApi(source, 'token');
    const account = mkdtempSync(join(tmpdir(), 'weft-repair-'));
    cleanups.push(
      () => source.close(),
      () => api.close(),
      () => rmSync(account, { recursive: true, force: true }),
    );
    writeFileSync(join(account, 'ca.crt'), api.ca);
    writeFileSync(join(account, 'token'), 'token');
    await source.create(PodKind, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'raced', namespace: 'shop', labels: { 'linkerd.io/control-plane-ns': 'linkerd' } },
      spec: { nodeName: 'node1', containers: [{ name: 'app' }] },
    });
    const status = {
      initContainerStatuses: [{ name: 'linkerd-network-validator', ready: false, lastState: { terminated: { exitCode: 95 } } }],
    };
    await source.patchStatus(PodKind, 'shop', 'raced', { status }, 'kubelet');

    const { port, free } = await occupiedPort();
    const child = spawn(process.execPath, ['--conditions=weft-source', MAIN], {
      env: {
        PATH: process.env['PATH'],
        SERVICE_ACCOUNT_PATH: account,
        KUBERNETES_SERVICE_HOST: 'localhost',
        KUBERNETES_SERVICE_PORT: String(api.port),
        LINKERD_CNI_REPAIR_CONTROLLER_NODE_NAME: 'node1',
        LINKERD_CNI_REPAIR_CONTROLLER_POD_NAME: 'linkerd-cni-abc',
        LINKERD_CNI_REPAIR_CONTROLLER_ADMIN_PORT: String(port),
        LINKERD_CNI_REPAIR_CONTROLLER_LOG_FORMAT: 'json',
      },
    });
    cleanups.push(() => child.kill('SIGKILL'));
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    let log = '';
    child.stdout.on('data', (data: Buffer) => (log += data.toString()));
    await expect.poll(() => source.list(PodKind), { timeout: 20_000 }).toEqual([]);
    await expect.poll(() => log, { timeout: 20_000 }).toContain('still in use');
    await free();
    const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text().catch(() => '');
    await expect
      .poll(() => metrics().catch(() => ''), { timeout: 20_000 })
      .toMatch(/^linkerd_cni_repair_controller_pods_deleted_total 1$/m);
    for (const name of [
      'queue_overflow_total',
      'pods_delete_errors_total',
      'pods_delete_timeout_total',
      'events_publish_errors_total',
      'pods_delete_latency_seconds_count',
    ]) {
      expect(await metrics()).toContain(`linkerd_cni_repair_controller_${name}`);
    }
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  }, 60_000);
});

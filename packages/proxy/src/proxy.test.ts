// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestMesh } from '@weft/pki/testing';
import { Logger } from '@weft/telemetry';
import { ControlStub } from '@weft/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { Proxy } from './proxy.ts';
import { testConfig } from './testing/test-config.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function ask(port: number, path: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on('error', reject);
    request.end();
  });
}

/** A whole proxy beside a control plane that may come up later. */
async function open() {
  const mesh = createTestMesh();
  const directory = mkdtempSync(join(tmpdir(), 'weft-proxy-'));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'token'), 'token');
  const stub = (address: string): ControlStub =>
    new ControlStub({ address, issuerCertificatePem: mesh.issuer.certificatePem, issuerKeyPem: mesh.issuer.privateKeyPem, targets: [] });
  // A port that is free now; the control plane takes it when the test says so.
  const probe = stub('127.0.0.1:0');
  const controlPort = await probe.start();
  await probe.stop();
  const config = testConfig({
    IDENTITY_TRUST_ANCHORS: mesh.trustAnchorsPem.join(''),
    IDENTITY_DIR: directory,
    IDENTITY_TOKEN_FILE: join(directory, 'token'),
    IDENTITY_MIN_REFRESH: '100ms',
    DESTINATION_SVC_ADDR: `127.0.0.1:${controlPort}`,
    POLICY_SVC_ADDR: `127.0.0.1:${controlPort}`,
    IDENTITY_SVC_ADDR: `127.0.0.1:${controlPort}`,
    INBOUND_LISTEN_ADDR: '127.0.0.1:0',
    OUTBOUND_LISTEN_ADDR: '127.0.0.1:0',
    ADMIN_LISTEN_ADDR: '127.0.0.1:0',
    SHUTDOWN_ENDPOINT_ENABLED: 'true',
    INBOUND_CONNECT_EXP_BACKOFF_MIN: '20ms',
    INBOUND_CONNECT_EXP_BACKOFF_MAX: '100ms',
  });
  const proxy = new Proxy({
    config,
    environment: {},
    log: Logger.create({ filter: 'off' }),
    version: '1.2.3',
    logFilter: { get: () => '', set: () => undefined },
    accessLogSink: () => {},
  });
  cleanups.push(() => proxy.stop());
  await proxy.start();
  return {
    proxy,
    adminPort: proxy.addresses.admin?.port ?? 0,
    startControl: async () => {
      const control = stub(`127.0.0.1:${controlPort}`);
      await control.start();
      cleanups.push(() => control.stop());
    },
  };
}

describe('a proxy', () => {
  it('is alive at once and ready with its first certificate', async () => {
    const { proxy, adminPort, startControl } = await open();
    expect(await ask(adminPort, '/live')).toEqual({ status: 200, body: 'live\n' });
    expect(await ask(adminPort, '/ready')).toEqual({ status: 503, body: 'not ready\n' });
    await startControl();
    await expect.poll(() => proxy.isReady, { timeout: 10_000 }).toBe(true);
    expect(await ask(adminPort, '/ready')).toEqual({ status: 200, body: 'ready\n' });
    const { body } = await ask(adminPort, '/metrics');
    expect(body).toContain('control_identity_cert_refreshes_total{result="ok"} 1');
    expect(body).toContain('proxy_build_info{date="",git_sha="",profile="release",vendor="weft",version="1.2.3"');
    expect(body).toMatch(/# EOF\n$/);
    expect(body).toMatch(/weft_inbound_requests_in_flight 0/);
  });

  it('[PROTO-24] stops on POST /shutdown, answering it first', async () => {
    const { proxy, adminPort, startControl } = await open();
    await startControl();
    await expect.poll(() => proxy.isReady, { timeout: 10_000 }).toBe(true);
    let isStopped = false;
    proxy.whenStopped(() => {
      isStopped = true;
    });
    expect(await ask(adminPort, '/shutdown', 'POST')).toEqual({ status: 200, body: 'shutdown\n' });
    await expect.poll(() => isStopped).toBe(true);
    await expect(ask(proxy.addresses.inbound?.port ?? 0, '/')).rejects.toThrow(/ECONNREFUSED/);
  });
});

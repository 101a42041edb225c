// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';

import { inClusterConnection, kubeconfigConnection } from '../index.ts';
import type { KubernetesConnection } from '../index.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function directory(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-connection-'));
  cleanups.push(() => rmSync(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

async function tlsOf({ tls }: KubernetesConnection): Promise<unknown> {
  return typeof tls === 'function' ? tls() : tls;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function kubeconfig(cluster: object, user: object, more: object = {}): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    clusters: [{ name: 'c', cluster: { server: 'https://api.example:6443', ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [
      { name: 'here', context: { cluster: 'c', user: 'u' } },
      { name: 'there', context: { cluster: 'nowhere', user: 'u' } },
    ],
    ...more,
  });
}

describe('a kubeconfig', () => {
  it('holds certificates and a token in itself', async () => {
    const path = join(
      directory({
        config: kubeconfig(
          { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'api' },
          { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY'), token: 'secret' },
        ),
      }),
      'config',
    );
    const connection = await kubeconfigConnection(path);
    expect(connection.baseUrl).toBe('https://api.example:6443');
    expect(await tlsOf(connection)).toEqual({ ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'api' });
    expect(await connection.bearerToken?.(false)).toBe('secret');
  });

  it('names files beside it, which are read when they are needed', async () => {
    const files = { config: kubeconfig({ 'certificate-authority': 'ca.crt' }, { tokenFile: 'token' }), 'ca.crt': 'CA', token: 'one\n' };
    const where = directory(files);
    const connection = await kubeconfigConnection(join(where, 'config'));
    expect(await tlsOf(connection)).toEqual({ ca: 'CA' });
    expect(await connection.bearerToken?.(false)).toBe('one');
    writeFileSync(join(where, 'token'), 'two');
    writeFileSync(join(where, 'ca.crt'), 'CA2');
    expect(await connection.bearerToken?.(false)).toBe('one');
    expect(await connection.bearerToken?.(true)).toBe('two');
    expect(await tlsOf(connection)).toEqual({ ca: 'CA2' });
  });

  it.each<[string, string, string | undefined, RegExp]>([
    ['is no object', '[]', undefined, /not a kubeconfig/],
    ['has no current context', kubeconfig({}, {}, { 'current-context': '' }), undefined, /no current context/],
    ['has no such context', kubeconfig({}, {}), 'elsewhere', /no context "elsewhere"/],
    ['has no such cluster', kubeconfig({}, {}), 'there', /no cluster "nowhere"/],
    ['has no server', kubeconfig({ server: '' }, {}), undefined, /has no server/],
    ['wants a plugin to be run', kubeconfig({}, { exec: { command: 'x' } }), undefined, /exec are not supported/],
    ['wants no verification', kubeconfig({ 'insecure-skip-tls-verify': true }, {}), undefined, /not supported/],
    ['names a file that is not there', kubeconfig({ 'certificate-authority': 'none.crt' }, {}), undefined, /ENOENT/],
  ])('that %s is refused', async (_name, text, context, message) => {
    await expect(kubeconfigConnection(join(directory({ config: text }), 'config'), context)).rejects.toThrow(message);
  });
});

describe('the connection of a pod', () => {
  it.each([
    ['10.96.0.1', 'https://10.96.0.1:443'],
    ['fd00::1', 'https://[fd00::1]:443'],
  ])('to %s is %s, with its mounted credentials', async (host, baseUrl) => {
    const connection = await inClusterConnection({ KUBERNETES_SERVICE_HOST: host }, directory({ 'ca.crt': 'CA', token: 'secret' }));
    expect(connection?.baseUrl).toBe(baseUrl);
    expect(await connection?.bearerToken?.(false)).toBe('secret');
  });

  it('does not exist outside of a cluster, and fails where its credentials are missing', async () => {
    expect(await inClusterConnection({})).toBeUndefined();
    await expect(inClusterConnection({ KUBERNETES_SERVICE_HOST: '10.96.0.1' }, directory({ token: 'x' }))).rejects.toThrow(/ca\.crt/);
  });
});

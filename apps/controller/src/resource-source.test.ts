// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestMesh } from '@weft/pki/testing';
import { ServerKind, ServiceKind } from '@weft/resources';
import { Logger } from '@weft/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { openSource } from './resource-source.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

describe('openSource in a cluster', () => {
  const mesh = createTestMesh();
  const leaf = mesh.leafFor('localhost');

  it('talks to the API server with the credentials of the pod, and trusts only their CA', async () => {
    const seen: string[] = [];
    const server = createServer({ key: leaf.privateKeyPem, cert: leaf.chainPem }, (request, response) => {
      seen.push(`${request.url} ${request.headers.authorization}`);
      response.end(JSON.stringify({ kind: 'ServiceList', apiVersion: 'v1', metadata: { resourceVersion: '1' }, items: [] }));
    }).listen(0, 'localhost');
    await once(server, 'listening');
    const directory = mkdtempSync(join(tmpdir(), 'weft-credentials-'));
    cleanups.push(
      () => rmSync(directory, { recursive: true }),
      () => void server.close(),
    );
    writeFileSync(join(directory, 'ca.crt'), mesh.anchor.certificatePem);
    writeFileSync(join(directory, 'token'), 'secret\n');
    const environment = { KUBERNETES_SERVICE_HOST: 'localhost', KUBERNETES_SERVICE_PORT: String((server.address() as AddressInfo).port) };
    const flags = { resources: undefined, crds: undefined };

    const { source, isCluster } = await openSource(flags, Logger.silent(), { environment, credentialsDirectory: directory });
    cleanups.push(() => source.close());
    expect(isCluster).toBe(true);
    expect(await source.list(ServiceKind)).toEqual([]);
    expect(seen).toEqual([expect.stringMatching(/^\/api\/v1\/services\S* Bearer secret$/)]);

    writeFileSync(join(directory, 'ca.crt'), createTestMesh().anchor.certificatePem);
    const foreign = (await openSource(flags, Logger.silent(), { environment, credentialsDirectory: directory })).source;
    cleanups.push(() => foreign.close());
    await expect(foreign.list(ServiceKind)).rejects.toThrow(/certificate/);
  });

  it('says what is missing outside of one', async () => {
    await expect(openSource({ resources: undefined, crds: undefined }, Logger.silent(), { environment: {} })).rejects.toThrow(
      /not in a cluster/,
    );
  });
});

describe('openSource on a directory', () => {
  it('[AZ-16] refuses the policies that a cluster would, and tells of those that do nothing', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-manifests-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const manifest = (name: string, spec: string): void =>
      writeFileSync(
        join(directory, `${name}.yaml`),
        `apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: { name: ${name}, namespace: shop }\nspec: ${spec}\n`,
      );
    manifest('bad', '{ podSelector: {}, port: 80, proxyProtocol: HTTP/3 }');
    manifest('odd', '{ podSelector: {}, port: "80" }');
    let log = '';
    const logger = Logger.create({ filter: 'info', write: (text) => (log += text) });
    const { source } = await openSource({ resources: directory, crds: undefined, kubeconfig: undefined }, logger);
    cleanups.push(() => source.close());
    expect((await source.list(ServerKind)).map(({ metadata }) => metadata.name)).toEqual(['odd']);
    expect(log).toMatch(/a manifest is not in force.*unknown protocol/);
    expect(log).toMatch(/A manifest will not do what it says.*port's? by number|port by number/);
  });
});

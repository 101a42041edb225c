// SPDX-License-Identifier: Apache-2.0
/* A whole proxy that lives outside the cluster: identity from a workload API, everything else as usual. */
import { once } from 'node:events';
import tls from 'node:tls';
import { createTestMesh } from '@weft/pki/testing';
import { Logger } from '@weft/telemetry';
import { afterEach, expect, it } from 'vitest';
import { Proxy } from '../proxy.ts';
import { testConfig } from '../testing/test-config.ts';
import { type SvidParts, startWorkloadApi, svidResponse } from '../testing/workload-api.ts';

const ID = 'spiffe://root.linkerd.cluster.local/ns/shop/vm';
const NAME = 'vm.shop.serviceaccount.identity.linkerd.cluster.local';
const mesh = createTestMesh();

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function svid(): SvidParts {
  const leaf = mesh.leafFor(NAME, { dnsNames: [], uris: [ID] });
  const chain = Buffer.concat([leaf.certificateDer, ...leaf.intermediatesDer]);
  return { id: ID, chain, key: leaf.privateKeyDer, bundle: mesh.anchor.certificateDer };
}

/** Serial number and URI of the certificate that the admin port shows for the server name. */
async function shown(port: number): Promise<{ serial: string; names: string | undefined }> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    servername: NAME,
    rejectUnauthorized: false,
    ALPNProtocols: ['transport.l5d.io/v1'],
  });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  const certificate = socket.getPeerX509Certificate();
  socket.destroy();
  return { serial: certificate?.serialNumber ?? '', names: certificate?.subjectAltName };
}

it('[ID-17] [NK-02] a proxy with a SPIFFE ID serves with what its agent sends, and with the next one when it sends that', async () => {
  const agent = await startWorkloadApi(svidResponse([svid()]));
  cleanups.push(() => agent.close());
  const proxy = new Proxy({
    config: testConfig({
      IDENTITY_TRUST_ANCHORS: mesh.trustAnchorsPem.join(''),
      IDENTITY_LOCAL_NAME: undefined,
      IDENTITY_SERVER_ID: ID,
      IDENTITY_SERVER_NAME: NAME,
      IDENTITY_DIR: undefined,
      IDENTITY_TOKEN_FILE: undefined,
      IDENTITY_SVC_ADDR: undefined,
      IDENTITY_SPIRE_WORKLOAD_API_ADDRESS: `unix://${agent.socketPath}`,
      // Nobody listens there: discovery is not what this is about.
      DESTINATION_SVC_ADDR: '127.0.0.1:1',
      POLICY_SVC_ADDR: '127.0.0.1:1',
      INBOUND_LISTEN_ADDR: '127.0.0.1:0',
      OUTBOUND_LISTEN_ADDR: '127.0.0.1:0',
      ADMIN_LISTEN_ADDR: '127.0.0.1:0',
    }),
    environment: {},
    log: Logger.silent(),
    version: '0.0.0',
    logFilter: { get: () => '', set: () => undefined },
    accessLogSink: () => {},
  });
  cleanups.push(() => proxy.stop());
  await proxy.start();
  await expect.poll(() => proxy.isReady, { timeout: 10_000 }).toBe(true);
  const port = proxy.addresses.admin?.port ?? 0;
  const first = await shown(port);
  expect(first.names).toBe(`URI:${ID}`);
  agent.send(svidResponse([svid()]));
  await expect.poll(async () => (await shown(port)).serial, { timeout: 10_000 }).not.toBe(first.serial);
});

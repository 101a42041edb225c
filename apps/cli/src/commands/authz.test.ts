// SPDX-License-Identifier: Apache-2.0
import type { ResourceInput } from '@weft/resources';
import { afterEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { fakePod, startFakeCluster, type FakeCluster } from '../testdata/fake-cluster.ts';
import { authz } from './authz.ts';

let cluster: FakeCluster | undefined;
afterEach(async () => {
  await cluster?.end();
  cluster = undefined;
});

const POLICIES = `
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: { name: http, namespace: shop, labels: { tier: front } }
spec: { podSelector: { matchLabels: { app: web } }, port: 8080 }
---
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: { name: admin, namespace: shop }
spec: { podSelector: { matchExpressions: [{ key: app, operator: Exists }] }, port: 9090 }
---
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: { name: other, namespace: shop }
spec: { podSelector: { matchLabels: { app: cart } }, port: 8080 }
---
apiVersion: policy.linkerd.io/v1beta1
kind: ServerAuthorization
metadata: { name: by-label, namespace: shop }
spec: { server: { selector: { matchLabels: { tier: front } } }, client: { unauthenticated: true } }
---
apiVersion: policy.linkerd.io/v1beta1
kind: ServerAuthorization
metadata: { name: by-name, namespace: shop }
spec: { server: { name: http }, client: { unauthenticated: true } }
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: { name: on-server, namespace: shop }
spec: { targetRef: { group: policy.linkerd.io, kind: server, name: http }, requiredAuthenticationRefs: [] }
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: { name: on-route, namespace: shop }
spec: { targetRef: { group: policy.linkerd.io, kind: HTTPRoute, name: orders }, requiredAuthenticationRefs: [] }
---
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: { name: orders, namespace: shop }
spec: { parentRefs: [{ group: policy.linkerd.io, kind: Server, name: http }], rules: [{}] }
`;

const NAMESPACE_WIDE = `
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: { name: everywhere, namespace: shop }
spec: { targetRef: { group: core, kind: Namespace, name: shop }, requiredAuthenticationRefs: [] }
`;

async function start(text: string): Promise<FakeCluster> {
  const pod = fakePod('shop', 'web-1');
  const labelled = { ...pod, metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, app: 'web' } } };
  const objects = parseAllDocuments(text).flatMap((document) => (document.toJS() as ResourceInput | null) ?? []);
  cluster = await startFakeCluster([labelled, ...objects]);
  return cluster;
}

async function run(from: FakeCluster, ...words: string[]): Promise<{ out: string; err: string }> {
  const written = { out: '', err: '' };
  await authz(from, 'linkerd', words, undefined, {
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
  });
  return written;
}

const rows = (text: string): string[][] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ +/));

describe('[CLI-28] weft authz', () => {
  it('lists what admits clients to the Servers of a workload, and Servers that admit nobody', async () => {
    const { out } = await run(await start(POLICIES), 'po/web-1');
    expect(rows(out)).toEqual([
      ['ROUTE', 'SERVER', 'AUTHORIZATION_POLICY', 'SERVER_AUTHORIZATION'],
      ['*', 'admin', '-', '-'],
      ['*', 'http', 'on-server', '-'],
      ['*', 'http', '-', 'by-label'],
      ['*', 'http', '-', 'by-name'],
      ['orders', 'http', 'on-route', '-'],
    ]);
  });

  it('counts policies on the namespace for each of its Servers', async () => {
    const { out } = await run(await start(`${POLICIES}---${NAMESPACE_WIDE}`), 'ns/shop');
    expect(rows(out).filter(([, , policy]) => policy === 'everywhere')).toEqual([
      ['*', 'admin', 'everywhere', '-'],
      ['*', 'http', 'everywhere', '-'],
    ]);
  });

  it('says where no Server is, or no pod', async () => {
    const from = await start('');
    expect((await run(from, 'po')).err).toMatch(/No Server selects these pods.*po\/web-1 PORT/);
    await expect(run(from, 'deploy/web')).rejects.toThrow(/no pod of deploy\/web/);
    await expect(run(from, 'svc/web')).rejects.toThrow(/select pods/);
  });
});

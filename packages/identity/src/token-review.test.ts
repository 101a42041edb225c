// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { createKubernetesSource, createMemorySource, ResourceError, type ResourceInput, type ResourceSource } from '@weft/resources';
import { afterEach, describe, expect, it } from 'vitest';
import { checkTokenReviewAccess, createKubernetesTokenReviewer } from './token-review.ts';

describe('createKubernetesTokenReviewer', () => {
  const created: ResourceInput[] = [];
  const answering = (status: unknown): ResourceSource => ({
    ...createMemorySource(),
    create: (kind, object) => {
      created.push(object);
      return Promise.resolve({ ...object, kind: kind.kind, metadata: { ...object.metadata }, status } as never);
    },
  });

  it('[ID-03] asks with a TokenReview and reads its status', async () => {
    created.length = 0;
    const source = answering({ authenticated: true, user: { username: 'system:serviceaccount:shop:web' } });
    expect(await createKubernetesTokenReviewer(source).review('t', ['identity.l5d.io'])).toEqual({
      authenticated: true,
      username: 'system:serviceaccount:shop:web',
    });
    await createKubernetesTokenReviewer(source).review('t', []);
    expect(created.map((object) => [object.apiVersion, object.kind, object['spec']])).toEqual([
      ['authentication.k8s.io/v1', 'TokenReview', { token: 't', audiences: ['identity.l5d.io'] }],
      ['authentication.k8s.io/v1', 'TokenReview', { token: 't' }],
    ]);
  });

  it('passes on refusals and failures', async () => {
    expect(await createKubernetesTokenReviewer(answering({ error: 'expired' })).review('t', [])).toEqual({
      authenticated: false,
      username: '',
      error: 'expired',
    });
    expect(await createKubernetesTokenReviewer(answering(undefined)).review('t', [])).toEqual({ authenticated: false, username: '' });
    const away = { ...answering({}), create: () => Promise.reject(new ResourceError('ERR_UNAVAILABLE', 'away')) };
    await expect(createKubernetesTokenReviewer(away).review('t', [])).rejects.toThrow('away');
  });
});

describe('over HTTP', () => {
  const cleanups: (() => void | Promise<void>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  });

  /** An API server that answers reviews as real ones do: without a name in the metadata. */
  async function apiServer(status: object): Promise<{ source: ResourceSource; requests: string[] }> {
    const requests: string[] = [];
    const server = createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`);
      request.resume().on('end', () => {
        response.writeHead(201, { 'content-type': 'application/json' });
        response.end(
          JSON.stringify({ kind: 'X', apiVersion: 'x/v1', metadata: { creationTimestamp: null, managedFields: [] }, spec: {}, status }),
        );
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const source = createKubernetesSource({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    cleanups.push(
      () => void server.close(),
      () => source.close(),
    );
    return { source, requests };
  }

  it('[ID-03] reviews go to the API server', async () => {
    const { source, requests } = await apiServer({ authenticated: true, user: { username: 'system:serviceaccount:shop:web' } });
    expect(await createKubernetesTokenReviewer(source).review('t', ['identity.l5d.io'])).toEqual({
      authenticated: true,
      username: 'system:serviceaccount:shop:web',
    });
    expect(requests).toEqual(['POST /apis/authentication.k8s.io/v1/tokenreviews']);
  });

  it('a missing permission is found at start', async () => {
    const { source, requests } = await apiServer({ allowed: true });
    await checkTokenReviewAccess(source);
    expect(requests).toEqual(['POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews']);
    await expect(checkTokenReviewAccess((await apiServer({ allowed: false, reason: 'RBAC' })).source)).rejects.toThrow(
      'not authorized to create tokenreviews.authentication.k8s.io: RBAC',
    );
  });
});

// SPDX-License-Identifier: Apache-2.0
import { createMemorySource, ResourceError, type ResourceInput, type ResourceSource } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { createKubernetesTokenReviewer } from './token-review.ts';

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

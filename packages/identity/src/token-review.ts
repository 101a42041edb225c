// SPDX-License-Identifier: Apache-2.0
/*
 * Token review by a Kubernetes API server, and the question as the identity service asks it: for its own audience first, and once more
 * without one when the reviewer does not know audiences (control-contract §2.3 step 5).
 */
import { IDENTITY_AUDIENCE, type TokenReview, type TokenReviewer } from '@weft/pki';
import type { Resource, ResourceKind, ResourceSource } from '@weft/resources';
import { IdentityError } from './errors.ts';

interface TokenReviewObject extends Resource<
  { readonly token: string; readonly audiences?: readonly string[] },
  { readonly authenticated?: boolean; readonly error?: string; readonly user?: { readonly username?: string } }
> {}

/** authentication.k8s.io/v1 TokenReview: only ever created, the answer is in its status. */
const TokenReviewKind: ResourceKind<TokenReviewObject> = {
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'TokenReview',
  plural: 'tokenreviews',
  isNamespaced: false,
  isReview: true,
};

/** A reviewer that asks the API server behind a resource source. */
export function createKubernetesTokenReviewer(source: ResourceSource): TokenReviewer {
  return {
    async review(token, audiences) {
      const { status = {} } = await source.create(TokenReviewKind, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        metadata: { name: '' },
        spec: { token, ...(audiences.length === 0 ? {} : { audiences }) },
      });
      const { error } = status;
      return {
        authenticated: status.authenticated === true,
        username: status.user?.username ?? '',
        ...(error === undefined || error === '' ? {} : { error }),
      };
    },
  };
}

interface AccessReviewObject extends Resource<
  { readonly resourceAttributes: object },
  { readonly allowed?: boolean; readonly reason?: string }
> {}

/** authorization.k8s.io/v1 SelfSubjectAccessReview: only ever created, the answer is in its status. */
const AccessReviewKind: ResourceKind<AccessReviewObject> = {
  group: 'authorization.k8s.io',
  version: 'v1',
  kind: 'SelfSubjectAccessReview',
  plural: 'selfsubjectaccessreviews',
  isNamespaced: false,
  isReview: true,
};

/**
 * Asks the API server whether this process may create TokenReviews (control-contract §2.1), so that a missing permission shows at start and
 * not as refused certificates. Rejects with IdentityError `ERR_IDENTITY_ACCESS` when it may not.
 */
export async function checkTokenReviewAccess(source: ResourceSource): Promise<void> {
  const { status = {} } = await source.create(AccessReviewKind, {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    metadata: { name: '' },
    spec: { resourceAttributes: { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews', verb: 'create' } },
  });
  if (status.allowed === true) return;
  const reason = status.reason === undefined || status.reason === '' ? '' : `: ${status.reason}`;
  throw new IdentityError('ERR_IDENTITY_ACCESS', `not authorized to create tokenreviews.authentication.k8s.io${reason}`);
}

/** Reviews a token that was sent to the identity service. */
export async function reviewIdentityToken(reviewer: TokenReviewer, token: string): Promise<TokenReview> {
  const review = await reviewer.review(token, [IDENTITY_AUDIENCE]);
  return review.error?.includes('token audiences') ? reviewer.review(token, []) : review;
}

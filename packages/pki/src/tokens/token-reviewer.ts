// SPDX-License-Identifier: Apache-2.0
/*
 * Who is behind a bearer token (design §2): the question of a Kubernetes TokenReview, answered by an API server or, where there is no
 * cluster, by a local key. Callers cannot tell which.
 */

/** An answer, with the fields of a TokenReview's status. */
export interface TokenReview {
  readonly authenticated: boolean;
  /** Such as `system:serviceaccount:<namespace>:<name>`; '' when not authenticated. */
  readonly username: string;
  /** Why the token was refused, in the words of the reviewer; undefined when nothing went wrong. */
  readonly error?: string;
}

/** Reviews tokens. Rejects when the question could not be answered at all (an API server that is away). */
export interface TokenReviewer {
  /** `audiences`: the token must be meant for one of them; empty asks for the reviewer's own. */
  review(token: string, audiences: readonly string[]): Promise<TokenReview>;
}

/** The audience of tokens for the identity service (control-contract §2.3). */
export const IDENTITY_AUDIENCE = 'identity.l5d.io';
/** The audience of an API server itself, and the issuer of its tokens. */
export const DEFAULT_TOKEN_ISSUER = 'https://kubernetes.default.svc.cluster.local';

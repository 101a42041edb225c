// SPDX-License-Identifier: Apache-2.0
import { createHmac, generateKeyPairSync } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exportPublicKeyDer, generateKey } from '../lean/keys.ts';
import { createLocalTokenIssuer, createLocalTokenReviewer, MAX_TOKEN_LENGTH } from './local-tokens.ts';
import { DEFAULT_TOKEN_ISSUER, IDENTITY_AUDIENCE } from './token-reviewer.ts';

let nowMs = Date.parse('2026-11-23T12:00:00Z');
const now = (): number => nowMs;
const key = generateKey();
const issuer = createLocalTokenIssuer({ privateKey: key.privateKey, now });
const reviewer = createLocalTokenReviewer({ keys: [key.publicKey], now });
const request = { namespace: 'shop', serviceAccount: 'web', audiences: [IDENTITY_AUDIENCE], lifetimeSeconds: 3600 };
const token = issuer.issue(request);

const parts = (text: string): [string, string, string] => text.split('.') as [string, string, string];
const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const claimsOf = (text: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(parts(text)[1], 'base64url').toString()) as Record<string, unknown>;

describe('issued tokens', () => {
  it('[ID-03] have the claims of a projected service account token', () => {
    expect(claimsOf(token)).toMatchObject({
      aud: ['identity.l5d.io'],
      iss: DEFAULT_TOKEN_ISSUER,
      sub: 'system:serviceaccount:shop:web',
      exp: nowMs / 1000 + 3600,
      'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'web' } },
    });
  });

  it('[ID-03] are accepted for their audience, also with only the private key to check with', async () => {
    const accepted = { authenticated: true, username: 'system:serviceaccount:shop:web' };
    expect(await reviewer.review(token, [IDENTITY_AUDIENCE])).toEqual(accepted);
    expect(
      await createLocalTokenReviewer({ keys: [generateKey().publicKey, key.privateKey], now }).review(token, ['a', IDENTITY_AUDIENCE]),
    ).toEqual(accepted);
  });

  it('are accepted without an audience only when meant for the reviewer itself', async () => {
    const own = issuer.issue({ ...request, audiences: [DEFAULT_TOKEN_ISSUER] });
    expect(await reviewer.review(own, [])).toMatchObject({ authenticated: true });
    expect(await reviewer.review(token, [])).toMatchObject({ authenticated: false });
  });
});

describe('refusals', () => {
  const forged = generateKey();
  const [header, claims, signature] = parts(token);
  it.each<[string, string, RegExp]>([
    ['nothing', '', /^invalid bearer token$/],
    ['text', 'not a token', /^invalid bearer token$/],
    ['four parts', `${token}.x`, /^invalid bearer token$/],
    ['a huge token', `${token}${'A'.repeat(MAX_TOKEN_LENGTH)}`, /^invalid bearer token$/],
    ['algorithm none', `${json({ alg: 'none', kid: 'x' })}.${claims}.${signature}`, /^invalid bearer token$/],
    ['the public key as HMAC secret', hmacToken(), /^invalid bearer token$/],
    ['a header that is no object', `${json([1])}.${claims}.${signature}`, /^invalid bearer token$/],
    ['another key', createLocalTokenIssuer({ privateKey: forged.privateKey, now }).issue(request), /known key/],
    [
      'changed claims',
      `${header}.${json({ ...claimsOf(token), sub: 'system:serviceaccount:kube-system:admin' })}.${signature}`,
      /signature is invalid/,
    ],
    ['a cut signature', `${header}.${claims}.${signature.slice(0, 40)}`, /known key/],
    ['stray characters', `${header}.${claims}.${signature}=`, /known key/],
    [
      'another audience',
      issuer.issue({ ...request, audiences: ['something.else'] }),
      /token audiences \["something.else"\] is invalid for the target audiences \["identity.l5d.io"\]/,
    ],
    [
      'another issuer',
      createLocalTokenIssuer({ privateKey: key.privateKey, issuer: 'https://else', now }).issue(request),
      /^invalid bearer token$/,
    ],
    ['an account with a colon', issuer.issue({ ...request, serviceAccount: 'a:b' }), /not for a service account/],
  ])('of %s', async (_name, text, error) => {
    const review = await reviewer.review(text, [IDENTITY_AUDIENCE]);
    expect(review).toMatchObject({ authenticated: false, username: '' });
    expect(review.error).toMatch(error);
  });

  function hmacToken(): string {
    const [ownHeader, ownClaims] = parts(token);
    const kid = (JSON.parse(Buffer.from(ownHeader, 'base64url').toString()) as { kid: string }).kid;
    const signed = `${json({ alg: 'HS256', kid })}.${ownClaims}`;
    return `${signed}.${createHmac('sha256', exportPublicKeyDer(key.publicKey)).update(signed).digest('base64url')}`;
  }

  it('of an expired token and of one not valid yet', async () => {
    const start = nowMs;
    nowMs = start + 3_600_000;
    expect((await reviewer.review(token, [IDENTITY_AUDIENCE])).error).toMatch(/expired/);
    nowMs = start - 1_000;
    expect((await reviewer.review(token, [IDENTITY_AUDIENCE])).error).toMatch(/not valid yet/);
    nowMs = start;
  });

  it('never throw, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.base64String(), { minLength: 0, maxLength: 4 }), async (texts) => {
        expect(await reviewer.review(texts.join('.'), [])).toMatchObject({ authenticated: false });
      }),
    );
  });

  it('of keys of another kind, when made', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    expect(() => createLocalTokenIssuer({ privateKey })).toThrow(/P-256/);
    expect(() => createLocalTokenIssuer({ privateKey: key.publicKey })).toThrow(/private/);
    expect(() => createLocalTokenReviewer({ keys: [publicKey] })).toThrow(/P-256/);
  });
});

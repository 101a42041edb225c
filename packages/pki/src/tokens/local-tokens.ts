// SPDX-License-Identifier: Apache-2.0
/*
 * Service account tokens without a cluster: the claims of Kubernetes' projected tokens, signed with ES256 by a local P-256 key (RFC 7515,
 * RFC 7518 §3.4), and their review. Refusals use an API server's words, since the identity service passes them on (control-contract
 * §2.3) and looks into them for the audience. Whoever holds the key can be anyone in the mesh: it belongs to the machine's root.
 */
import { Buffer } from 'node:buffer';
import { createHash, createPublicKey, randomUUID, sign, verify, type KeyObject } from 'node:crypto';
import { PkiError } from '../lean/errors.ts';
import { exportPublicKeyDer, isP256 } from '../lean/keys.ts';
import { DEFAULT_TOKEN_ISSUER, type TokenReview, type TokenReviewer } from './token-reviewer.ts';

export interface LocalTokenIssuerOptions {
  /** P-256. */
  readonly privateKey: KeyObject;
  /** `iss`; default that of a cluster. */
  readonly issuer?: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Whom a token is for. */
export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly audiences: readonly string[];
  readonly lifetimeSeconds: number;
  /** Bound object, written into the claims as Kubernetes does. */
  readonly pod?: { readonly name: string; readonly uid: string };
}

/** Issues tokens. */
export interface LocalTokenIssuer {
  issue(request: TokenRequest): string;
}

export interface LocalTokenReviewerOptions {
  /** P-256 public keys (or private ones, for their public half); several during a rotation. */
  readonly keys: readonly KeyObject[];
  /** Required `iss`; default that of a cluster. */
  readonly issuer?: string;
  /** Audiences that stand in when a review names none; default the issuer. */
  readonly ownAudiences?: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Longer tokens are refused before anything is decoded; projected tokens are around 1 KB. */
export const MAX_TOKEN_LENGTH = 16_384;

const REFUSED = 'invalid bearer token';

/** Makes an issuer. Throws PkiError `ERR_PKI_KEY` for a key of another kind. */
export function createLocalTokenIssuer(options: LocalTokenIssuerOptions): LocalTokenIssuer {
  const { privateKey } = options;
  if (privateKey.type !== 'private' || !isP256(privateKey)) throw new PkiError('ERR_PKI_KEY', 'tokens are signed with a private P-256 key');
  const header = encodeJson({ alg: 'ES256', kid: keyIdOf(privateKey), typ: 'JWT' });
  const now = options.now ?? Date.now;
  return {
    issue(request) {
      const issuedAt = Math.floor(now() / 1000);
      const { namespace, serviceAccount, pod } = request;
      const claims = encodeJson({
        aud: request.audiences,
        exp: issuedAt + request.lifetimeSeconds,
        iat: issuedAt,
        iss: options.issuer ?? DEFAULT_TOKEN_ISSUER,
        jti: randomUUID(),
        'kubernetes.io': { namespace, ...(pod === undefined ? {} : { pod }), serviceaccount: { name: serviceAccount } },
        nbf: issuedAt,
        sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
      });
      const signed = `${header}.${claims}`;
      const signature = sign('sha256', Buffer.from(signed, 'latin1'), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${signed}.${signature.toString('base64url')}`;
    },
  };
}

/** Makes a reviewer. Throws PkiError `ERR_PKI_KEY` for a key of another kind. */
export function createLocalTokenReviewer(options: LocalTokenReviewerOptions): TokenReviewer {
  const keys = new Map<string, KeyObject>();
  for (const key of options.keys) {
    if (!isP256(key)) throw new PkiError('ERR_PKI_KEY', 'tokens are reviewed with P-256 keys');
    keys.set(keyIdOf(key), key.type === 'private' ? createPublicKey(key) : key);
  }
  const issuer = options.issuer ?? DEFAULT_TOKEN_ISSUER;
  const ownAudiences = options.ownAudiences ?? [issuer];
  const now = options.now ?? Date.now;
  return {
    review: (token, audiences) =>
      Promise.resolve(reviewToken(token, audiences.length === 0 ? ownAudiences : audiences, { keys, issuer, nowMs: now() })),
  };
}

interface Known {
  readonly keys: ReadonlyMap<string, KeyObject>;
  readonly issuer: string;
  readonly nowMs: number;
}

function reviewToken(token: string, audiences: readonly string[], known: Known): TokenReview {
  const parts = token.split('.', 4);
  const [headerText, claimsText, signatureText] = parts;
  if (token.length > MAX_TOKEN_LENGTH || parts.length !== 3 || !headerText || !claimsText || !signatureText) return refuse();
  const header = decodeJson(headerText);
  // The algorithm is ours to choose: a token that names another (`none`, HS256 with our public key) is not looked at further.
  if (header?.['alg'] !== 'ES256' || typeof header['kid'] !== 'string') return refuse();
  const key = known.keys.get(header['kid']);
  const signature = decodeBase64Url(signatureText);
  if (key === undefined || signature?.length !== 64) return refuse('token is not signed by a known key');
  const signed = Buffer.from(`${headerText}.${claimsText}`, 'latin1');
  if (!verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature)) return refuse('token signature is invalid');

  const claims = decodeJson(claimsText);
  const { iss, sub, exp, nbf, aud } = claims ?? {};
  if (iss !== known.issuer || typeof sub !== 'string' || typeof exp !== 'number') return refuse();
  const nowSeconds = known.nowMs / 1000;
  if (nowSeconds >= exp) return refuse('service account token has expired');
  if (typeof nbf === 'number' && nowSeconds < nbf) return refuse('service account token is not valid yet');
  const own = Array.isArray(aud) ? aud.filter((one): one is string => typeof one === 'string') : typeof aud === 'string' ? [aud] : [];
  if (!own.some((one) => audiences.includes(one))) {
    return refuse(`token audiences ${quoteList(own)} is invalid for the target audiences ${quoteList(audiences)}`);
  }
  if (!/^system:serviceaccount:[^:]+:[^:]+$/.test(sub)) return refuse('token is not for a service account');
  return { authenticated: true, username: sub };
}

function refuse(reason?: string): TokenReview {
  return { authenticated: false, username: '', error: reason === undefined ? REFUSED : `[${REFUSED}, ${reason}]` };
}

function quoteList(names: readonly string[]): string {
  return `[${names.map((name) => JSON.stringify(name)).join(' ')}]`;
}

function keyIdOf(key: KeyObject): string {
  return createHash('sha256').update(exportPublicKeyDer(key)).digest('base64url');
}

function encodeJson(value: unknown): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

function decodeJson(text: string): Record<string, unknown> | undefined {
  const bytes = decodeBase64Url(text);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

// Node's decoder skips what it does not know; two texts must not mean one token.
function decodeBase64Url(text: string): Buffer | undefined {
  return /^[\w-]+$/.test(text) ? Buffer.from(text, 'base64url') : undefined;
}

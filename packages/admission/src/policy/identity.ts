// SPDX-License-Identifier: Apache-2.0
/*
 * Client identities as MeshTLSAuthentication lists them (control-contract §3.5): a SPIFFE id, or a DNS name whose first label may be `*`.
 * Source of the SPIFFE rules: SPIFFE-ID §2.
 */

/** A URI name in a certificate has at most this many bytes (SPIFFE-ID §2.3). */
const MAX_SPIFFE_LENGTH = 2048;
const MAX_DNS_LENGTH = 253;

const DNS_IDENTITY = /^(?:\*|[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const PATH_SEGMENT = /^[A-Za-z0-9._-]+$/;

/** Why `text` is no identity, undefined where it is one. */
export function identityFault(text: string): string | undefined {
  if (text.startsWith('spiffe://')) return spiffeFault(text);
  if (text.length <= MAX_DNS_LENGTH && DNS_IDENTITY.test(text)) return undefined;
  return "is neither a SPIFFE id (spiffe://…) nor a DNS name; a wildcard '*' may only be the whole first label";
}

function spiffeFault(text: string): string | undefined {
  if (text.length > MAX_SPIFFE_LENGTH) return `is too long for a SPIFFE id; ${MAX_SPIFFE_LENGTH} characters is the most`;
  const [trustDomain = '', ...segments] = text.slice('spiffe://'.length).split('/');
  if (!TRUST_DOMAIN.test(trustDomain)) return 'has no valid trust domain: lower-case letters, digits, dots, dashes and underscores';
  if (segments.at(-1) === '') return 'must not end in a slash';
  if (segments.includes('')) return 'must not have empty path segments';
  if (segments.includes('.') || segments.includes('..')) return "must not have '.' or '..' as path segments";
  if (!segments.every((segment) => PATH_SEGMENT.test(segment))) {
    return 'has a path segment with characters other than letters, digits, dots, dashes and underscores';
  }
  return undefined;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Client identities as authorizations name them (control-contract §3.2, features AZ-04): `*` is anyone with an identity, `*.a.b` anyone below
 * a.b, everything else one exact name; a ServiceAccount or a Namespace stands for the names that the mesh gives its pods.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inbound } from '@weft/proto';

/** One way to match a client's identity. */
export type IdentityMatch =
  | { readonly kind: 'exact'; readonly name: string }
  | { readonly kind: 'suffix'; readonly parts: readonly string[] };

/** Where the mesh's identities live: `<sa>.<ns>.serviceaccount.identity.<control plane ns>.<trust domain>`. */
export interface IdentityDomain {
  readonly controlPlaneNamespace: string;
  readonly trustDomain: string;
}

/** Reads `*`, `*.suffix` or an exact name (a URI-like identity too). */
export function parseIdentityMatch(text: string): IdentityMatch {
  if (text === '*') return { kind: 'suffix', parts: [] };
  return text.startsWith('*.') ? { kind: 'suffix', parts: text.slice(2).split('.') } : { kind: 'exact', name: text };
}

/** The identity of a ServiceAccount's pods. */
export function serviceAccountIdentity(name: string, namespace: string, domain: IdentityDomain): string {
  return `${name}.${namespace}.serviceaccount.identity.${domain.controlPlaneNamespace}.${domain.trustDomain}`;
}

/** Matches the pods of a ServiceAccount. */
export function serviceAccountMatch(name: string, namespace: string, domain: IdentityDomain): IdentityMatch {
  return { kind: 'exact', name: serviceAccountIdentity(name, namespace, domain) };
}

/** The identities of all pods of a namespace. */
export function namespaceIdentities(namespace: string, domain: IdentityDomain): IdentityMatch {
  const { controlPlaneNamespace, trustDomain } = domain;
  return { kind: 'suffix', parts: `${namespace}.serviceaccount.identity.${controlPlaneNamespace}.${trustDomain}`.split('.') };
}

/** The authentication that asks for one of these identities. */
export function identitiesAuthentication(identities: readonly IdentityMatch[]): MessageInitShape<typeof inbound.AuthnSchema> {
  const names: { name: string }[] = [];
  const suffixes: { parts: string[] }[] = [];
  for (const identity of identities) {
    if (identity.kind === 'exact') names.push({ name: identity.name });
    else suffixes.push({ parts: [...identity.parts] });
  }
  return { permit: { case: 'meshTLS', value: { clients: { case: 'identities', value: { identities: names, suffixes } } } } };
}

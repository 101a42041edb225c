// SPDX-License-Identifier: Apache-2.0
/*
 * AuthorizationPolicy and ServerAuthorization (control-contract §3.5): what is authorized, and whom. References are not resolved here: an
 * object may be created before the one that it names.
 */
import type { Field } from '../field.ts';
import { quote } from '../findings.ts';
import { reviewNetworks } from './networks.ts';
import { GATEWAY_GROUP, isRefTo, type ObjectRef, POLICY_GROUP, quotedKind, readRef, type RefKind } from './object-ref.ts';

const NAMESPACE: RefKind = { group: '', kind: 'Namespace' };
const TARGETS: readonly RefKind[] = [
  { group: POLICY_GROUP, kind: 'Server' },
  { group: POLICY_GROUP, kind: 'HTTPRoute' },
  { group: GATEWAY_GROUP, kind: 'HTTPRoute' },
  { group: GATEWAY_GROUP, kind: 'GRPCRoute' },
];

const MESH_TLS: RefKind = { group: POLICY_GROUP, kind: 'MeshTLSAuthentication' };
const SERVICE_ACCOUNT: RefKind = { group: '', kind: 'ServiceAccount' };
const NETWORK: RefKind = { group: POLICY_GROUP, kind: 'NetworkAuthentication' };
const AUTHENTICATIONS: readonly RefKind[] = [MESH_TLS, SERVICE_ACCOUNT, NETWORK];

/** Reviews the spec of an AuthorizationPolicy of `namespace`. */
export function reviewAuthorizationPolicy(spec: Field, namespace: string | undefined): void {
  const targetField = spec.get('targetRef');
  const target = readRef(targetField);
  if (target !== undefined) reviewTarget(targetField, target, namespace);

  const list = spec.get('requiredAuthenticationRefs');
  if (!list.isSet) list.findings.shape(list.path, 'is required; an empty list authorizes everyone');
  const count = new Map<RefKind, number>();
  for (const field of list.items()) {
    const ref = readRef(field);
    if (ref === undefined) continue;
    const kind = AUTHENTICATIONS.find((candidate) => isRefTo(ref, candidate));
    if (kind === undefined) {
      field.refuse(
        `${quotedKind(ref)} is no authentication; use MeshTLSAuthentication.${POLICY_GROUP}, NetworkAuthentication.${POLICY_GROUP} or ServiceAccount`,
      );
      continue;
    }
    count.set(kind, (count.get(kind) ?? 0) + 1);
  }
  for (const [kind, number] of count) {
    if (number > 1)
      list.refuse(`only a single ${kind.kind} may be set; all references must hold together. Put the alternatives into one object`);
  }
  if (count.has(MESH_TLS) && count.has(SERVICE_ACCOUNT)) {
    list.refuse(
      'a MeshTLSAuthentication and a ServiceAccount may not be set together; name the ServiceAccount in the MeshTLSAuthentication',
    );
  }
}

/** Reviews the spec of a ServerAuthorization. */
export function reviewServerAuthorization(spec: Field): void {
  const server = spec.get('server');
  if (server.isRequiredObject()) {
    server.get('name').text();
    server.get('selector').isObject();
  }
  const client = spec.get('client');
  if (!client.isRequiredObject()) return;
  reviewNetworks(client.get('networks'));
  const isOpen = client.get('unauthenticated').boolean() === true;
  const meshTls = client.get('meshTLS');
  if (!meshTls.isObject()) return;
  if (isOpen) client.get('unauthenticated').refuse('must be false if meshTLS is set; remove one of the two');
  const identities = meshTls.get('identities').items();
  const accounts = meshTls.get('serviceAccounts').items();
  for (const identity of identities) identity.text();
  for (const account of accounts) {
    if (!account.isObject()) continue;
    account.get('name').requiredText();
    account.get('namespace').text();
  }
  const anyTls = meshTls.get('unauthenticatedTLS');
  if (anyTls.boolean() === true && identities.length + accounts.length > 0) {
    anyTls.refuse('must be false if identities or serviceAccounts are set; it would admit clients without an identity');
  }
}

function reviewTarget(field: Field, target: ObjectRef, namespace: string | undefined): void {
  if (isRefTo(target, NAMESPACE)) {
    if (namespace !== undefined && target.name !== namespace) {
      field.get('name').refuse(`cannot target another namespace: ${quote(target.name)}; create the policy in that namespace`);
    }
    return;
  }
  if (TARGETS.some((candidate) => isRefTo(target, candidate))) return;
  field.refuse(
    `${quotedKind(target)} cannot be authorized; target a Server.${POLICY_GROUP}, Namespace, HTTPRoute or GRPCRoute, with its group`,
  );
}

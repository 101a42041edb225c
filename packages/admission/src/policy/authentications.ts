// SPDX-License-Identifier: Apache-2.0
/* MeshTLSAuthentication and NetworkAuthentication (control-contract §3.5): who a client may be, and where it may come from. */
import type { Field } from '../field.ts';
import { quote } from '../findings.ts';
import { identityFault } from './identity.ts';
import { reviewNonEmptyNetworks } from './networks.ts';
import { isRefTo, quotedKind, readRef } from './object-ref.ts';

/** Reviews the spec of a MeshTLSAuthentication. */
export function reviewMeshTlsAuthentication(spec: Field): void {
  const identities = spec.get('identities');
  const refs = spec.get('identityRefs');
  if (!identities.isSet && !refs.isSet) spec.refuse('identities or identityRefs is required');
  for (const identity of identities.items()) reviewIdentity(identity);
  for (const field of refs.items()) {
    const ref = readRef(field, false);
    if (ref === undefined) continue;
    const isNamespace = isRefTo(ref, { group: '', kind: 'Namespace' });
    if (!isNamespace && !isRefTo(ref, { group: '', kind: 'ServiceAccount' })) {
      field.refuse(`${quotedKind(ref)} has no identity; name a ServiceAccount or a Namespace`);
    } else if (isNamespace && ref.namespace !== undefined) {
      field.get('namespace').refuse('a Namespace is cluster-scoped and cannot have a namespace; write its own name in name');
    }
  }
}

/** Reviews the spec of a NetworkAuthentication. */
export function reviewNetworkAuthentication(spec: Field): void {
  reviewNonEmptyNetworks(spec.get('networks'), true);
}

/** Reviews one client identity. */
function reviewIdentity(field: Field): void {
  const text = field.text();
  const fault = text === undefined ? undefined : identityFault(text);
  if (text !== undefined && fault !== undefined) field.refuse(`${quote(text)} ${fault}`);
}

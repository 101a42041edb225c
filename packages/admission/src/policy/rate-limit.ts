// SPDX-License-Identifier: Apache-2.0
/* HTTPLocalRateLimitPolicy (control-contract §3.5): limits above zero, and none above the total. */
import type { Field } from '../field.ts';
import { isRefTo, POLICY_GROUP, quotedKind, readRef } from './object-ref.ts';

/** The contract carries rates in 32 bits. */
const MAX_RATE = 0xffff_ffff;

/** Reviews the spec of an HTTPLocalRateLimitPolicy. */
export function reviewRateLimit(spec: Field): void {
  const targetField = spec.get('targetRef');
  const target = readRef(targetField);
  if (target !== undefined && !isRefTo(target, { group: POLICY_GROUP, kind: 'Server' })) {
    targetField.refuse(`${quotedKind(target)} cannot be limited; target a Server of group ${POLICY_GROUP}`);
  }
  const totalField = spec.get('total');
  const total = totalField.isObject() ? reviewRate(totalField, undefined) : undefined;
  const identity = spec.get('identity');
  if (identity.isObject()) reviewRate(identity, total);
  for (const override of spec.get('overrides').items()) {
    if (!override.isObject()) continue;
    reviewRate(override, total);
    for (const clientField of override.get('clientRefs').items()) {
      const client = readRef(clientField);
      if (client !== undefined && !isRefTo(client, { group: '', kind: 'ServiceAccount' })) {
        clientField.refuse(`${quotedKind(client)} is no client; name a ServiceAccount`);
      }
    }
  }
}

function reviewRate(owner: Field, total: number | undefined): number | undefined {
  const field = owner.get('requestsPerSecond');
  if (!field.isSet) field.findings.shape(field.path, 'is required');
  const rate = field.integer(Number.MIN_SAFE_INTEGER, MAX_RATE);
  if (rate === undefined) return undefined;
  if (rate <= 0) field.refuse('must be greater than 0; to refuse all requests use an authorization policy');
  if (total !== undefined && rate > total) field.refuse(`must be less than or equal to total.requestsPerSecond (${total})`);
  return rate;
}

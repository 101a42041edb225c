// SPDX-License-Identifier: Apache-2.0
/*
 * ServiceProfile (control-contract §4.6): strict in its fields, so that a misspelt one is told and not passed over. What the reference
 * admits though it can never work is admitted with a warning.
 */
import { goDurationNs, milliValue } from '@weft/kube-text';
import type { Field } from '../field.ts';
import { quote } from '../findings.ts';
import { reviewRequestMatch, reviewResponseMatch } from './request-match.ts';

const MAX_UINT32 = 0xffff_ffff;
const MAX_NAME_LENGTH = 253;
const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** Reviews a whole ServiceProfile. */
export function reviewServiceProfileObject(profile: Field): void {
  profile.refuseUnknown(['apiVersion', 'kind', 'metadata', 'spec']);
  reviewName(profile.get('metadata'));
  const spec = profile.get('spec');
  if (!spec.isObject()) return;
  spec.refuseUnknown(['routes', 'retryBudget', 'dstOverrides', 'opaquePorts']);
  const names = new Set<string>();
  for (const route of spec.get('routes').items()) reviewRoute(route, names);
  reviewBudget(spec.get('retryBudget'));
  for (const override of spec.get('dstOverrides').items()) reviewOverride(override);
}

function reviewName(metadata: Field): void {
  const name = metadata.get('name').text();
  // The API server makes the name of an object that asks for one.
  if (name === undefined || name === '') return;
  if (name.length > MAX_NAME_LENGTH || !SUBDOMAIN.test(name)) {
    metadata.get('name').refuse(`${quote(name)} is no DNS name; a profile is named by its service, such as web.shop.svc.cluster.local`);
  }
}

function reviewRoute(route: Field, names: Set<string>): void {
  if (!route.isObject()) return;
  route.refuseUnknown(['name', 'condition', 'isRetryable', 'timeout', 'responseClasses']);
  const name = route.get('name').requiredText();
  if (name !== undefined && names.has(name)) route.get('name').warn(`${quote(name)} names two routes; their metrics are counted together`);
  if (name !== undefined) names.add(name);
  reviewRequestMatch(route.get('condition'));
  route.get('isRetryable').boolean();
  reviewDuration(route.get('timeout'));
  for (const responseClass of route.get('responseClasses').items()) {
    if (!responseClass.isObject()) continue;
    responseClass.refuseUnknown(['condition', 'isFailure']);
    reviewResponseMatch(responseClass.get('condition'));
    responseClass.get('isFailure').boolean();
  }
}

function reviewBudget(budget: Field): void {
  if (!budget.isObject()) return;
  budget.refuseUnknown(['retryRatio', 'minRetriesPerSecond', 'ttl']);
  const ratio = budget.get('retryRatio');
  if (typeof ratio.value !== 'number') {
    if (ratio.isSet) ratio.findings.shape(ratio.path, 'must be a number');
  } else if (!(ratio.value >= 0)) ratio.refuse('must be non-negative');
  budget.get('minRetriesPerSecond').integer(0, MAX_UINT32);
  if (budget.get('ttl').requiredText() !== undefined) reviewDuration(budget.get('ttl'));
}

function reviewDuration(field: Field): void {
  const text = field.text();
  if (text === undefined || text === '' || goDurationNs(text) !== undefined) return;
  field.refuse(`invalid duration ${quote(text)}; write numbers with units, such as 250ms, 10s or 1m30s`);
}

function reviewOverride(override: Field): void {
  if (!override.isObject()) return;
  override.refuseUnknown(['authority', 'weight']);
  if (!override.get('authority').text()) override.warn('names no authority, and gets no traffic');
  const weight = override.get('weight');
  const { value } = weight;
  if (typeof value !== 'string' && typeof value !== 'number') {
    if (weight.isSet) weight.findings.shape(weight.path, 'must be a number or a quantity such as 500m');
    return;
  }
  const thousandths = milliValue(value);
  if (thousandths === undefined) weight.refuse(`${quote(String(value))} is no quantity; write a number such as 1 or 500m`);
  else if (thousandths < 0) weight.warn('is negative, and counts as 0');
}

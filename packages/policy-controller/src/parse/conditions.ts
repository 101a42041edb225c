// SPDX-License-Identifier: Apache-2.0
/*
 * Conditions as others may have written them (control-contract §3.4): a status is anyone's to patch, and where no schema is enforced it may hold
 * anything. What is no condition says nothing.
 */
import type { Condition } from '@weft/resources';

/** The conditions of a list that are objects. */
export function readConditions(list: readonly Condition[] | undefined): Condition[] {
  return Array.isArray(list) ? list.filter((item: Condition | null) => typeof item === 'object' && item !== null) : [];
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The header modifiers of requests and responses (proxy-contract §6.9): add, then set, then remove.
 */
import type { FieldList } from '@weft/bytes';
import type { HeaderModifier } from './policy.ts';

/**
 * `fields` after the modifier; a new list, or the same one if the modifier is empty. `add` appends, `set` leaves one field of that name (in the
 * first one's place), `remove` drops all of it. Names are lower-cased; HTTP/2's pseudo-fields cannot be touched.
 */
export function applyHeaderModifier(fields: FieldList, modifier: HeaderModifier): FieldList {
  const { add, set, remove } = modifier;
  if (add.length === 0 && set.length === 0 && remove.length === 0) return fields;
  let result = fields.slice();
  for (const [name, value] of add) {
    if (!name.startsWith(':')) result.push(name.toLowerCase(), value);
  }
  for (const [name, value] of set) {
    if (!name.startsWith(':')) result = withField(result, name.toLowerCase(), value);
  }
  for (const name of remove) {
    if (!name.startsWith(':')) result = withField(result, name.toLowerCase(), undefined);
  }
  return result;
}

/** The list with one field of `name`, or none if `value` is undefined. */
function withField(fields: FieldList, name: string, value: string | undefined): FieldList {
  const result: FieldList = [];
  let isPlaced = value === undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== name) {
      result.push(fields[i] as string, fields[i + 1] as string);
    } else if (!isPlaced) {
      result.push(name, value as string);
      isPlaced = true;
    }
  }
  if (!isPlaced) result.push(name, value as string);
  return result;
}

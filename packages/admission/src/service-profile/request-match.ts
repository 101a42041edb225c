// SPDX-License-Identifier: Apache-2.0
/*
 * Conditions of ServiceProfiles on requests and responses (control-contract §4.6): trees of all, any and not, each node with something in
 * it. Their schemas keep unknown fields below the first level, so a misspelt one is caught here alone.
 */
import { MAX_MATCH_DEPTH } from '@weft/destination/syntax';
import type { Field } from '../field.ts';
import { quote } from '../findings.ts';
import { patternFault } from '../route/read-match.ts';

const REQUEST_FIELDS: readonly string[] = ['all', 'any', 'not', 'method', 'pathRegex'];
const RESPONSE_FIELDS: readonly string[] = ['all', 'any', 'not', 'status'];
const MIN_STATUS = 100;
const MAX_STATUS = 599;
const MAX_UINT32 = 0xffff_ffff;

/** Reviews a condition on requests. */
export function reviewRequestMatch(field: Field): void {
  reviewTree(field, REQUEST_FIELDS, 'A request match must have a field set: all, any, not, method or pathRegex', (node) => {
    const method = node.get('method').text();
    if (method !== undefined && method !== method.toUpperCase()) {
      node.get('method').warn(`methods are compared with case: ${quote(method)} matches no usual request; write it in upper case`);
    }
    const pathRegex = node.get('pathRegex').text();
    const fault = pathRegex === undefined ? undefined : patternFault(node.get('pathRegex'), pathRegex);
    if (fault !== undefined) node.get('pathRegex').warn(`${fault}; the route matches nothing until that is mended`);
    return Boolean(method) || Boolean(pathRegex);
  });
}

/** Reviews a condition on responses. */
export function reviewResponseMatch(field: Field): void {
  reviewTree(field, RESPONSE_FIELDS, 'A response match must have a field set: all, any, not or status', (node) => {
    const status = node.get('status');
    if (!status.isObject()) return false;
    status.refuseUnknown(['min', 'max']);
    const min = readStatus(status.get('min'));
    const max = readStatus(status.get('max'));
    if (max !== 0 && min > max) status.get('max').refuse('cannot be smaller than min');
    return true;
  });
}

/** 0 stands for a bound that is not set. */
function readStatus(field: Field): number {
  const status = field.integer(0, MAX_UINT32) ?? 0;
  if (status !== 0 && (status < MIN_STATUS || status > MAX_STATUS)) {
    field.refuse(`must be between ${MIN_STATUS} and ${MAX_STATUS}, inclusive`);
  }
  return status;
}

/** Reviews each node of a tree, without recursion deeper than clients decode. `reviewLeaf` tells whether the node has fields of its own. */
function reviewTree(root: Field, known: readonly string[], emptyReason: string, reviewLeaf: (node: Field) => boolean, depth = 1): void {
  if (!root.isRequiredObject()) return;
  if (depth > MAX_MATCH_DEPTH) {
    root.refuse(`conditions may be nested ${MAX_MATCH_DEPTH} deep; use fewer levels`);
    return;
  }
  root.refuseUnknown(known);
  const lists = [root.get('all'), root.get('any')];
  const not = root.get('not');
  const hasOwn = reviewLeaf(root);
  if (!hasOwn && !not.isSet && !lists.some((list) => list.isSet)) root.refuse(emptyReason);
  for (const list of lists) for (const child of list.items()) reviewTree(child, known, emptyReason, reviewLeaf, depth + 1);
  if (not.isSet) reviewTree(not, known, emptyReason, reviewLeaf, depth + 1);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * How much pattern one route, and all routes of one policy, may bring. Compiling patterns is the dearest thing that a route asks of the
 * controller and of every proxy (16 rules of 8 matches with 33 patterns of the largest size would take minutes), and admission, which has the same limit per object, may
 * be switched off. Older routes come first, so that a new one never takes an old one's place.
 */
import type { GRPCRoute, HTTPRoute } from '@weft/resources';
import { MAX_PATTERN_SIZE, patternSize } from './pattern-size.ts';

/** Size of all patterns of one route, in single matches after repetitions are written out; admission's limit for one object. */
export const MAX_ROUTE_PATTERN_SIZE: number = MAX_PATTERN_SIZE;
/** Size of all patterns of the routes of one policy, in the same unit. */
export const MAX_POLICY_PATTERN_SIZE: number = 4 * MAX_ROUTE_PATTERN_SIZE;

const REGEX = 'RegularExpression';

/** The size of all patterns of an HTTPRoute or GRPCRoute, 0 for other routes. */
export function routePatternSize(spec: HTTPRoute['spec'] | GRPCRoute['spec'] | undefined): number {
  let size = 0;
  for (const rule of spec?.rules ?? []) {
    for (const match of rule.matches ?? []) {
      const path = 'path' in match ? match.path : undefined;
      if (path?.type === REGEX) size += patternSize(path.value ?? '');
      const params = 'queryParams' in match ? match.queryParams : undefined;
      for (const field of [...(match.headers ?? []), ...(params ?? [])]) if (field.type === REGEX) size += patternSize(field.value);
    }
  }
  return size;
}

/** The routes, in order, that are within both limits; `onIgnored` hears of the others. */
export function withinPatternBudget<R extends { readonly patternSize: number }>(
  routes: readonly R[],
  onIgnored: (route: R, reason: string) => void,
): R[] {
  let total = 0;
  return routes.filter((route) => {
    const { patternSize: size } = route;
    if (size > MAX_ROUTE_PATTERN_SIZE) {
      onIgnored(route, `its patterns are too large together: more than ${MAX_ROUTE_PATTERN_SIZE} single matches`);
      return false;
    }
    if (total + size > MAX_POLICY_PATTERN_SIZE) {
      onIgnored(route, `with it the patterns of the parent's routes are too large: more than ${MAX_POLICY_PATTERN_SIZE} single matches`);
      return false;
    }
    total += size;
    return true;
  });
}

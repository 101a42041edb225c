// SPDX-License-Identifier: Apache-2.0
/*
 * Matches and filters of routes, read out of unchecked JSON into the types that the policy controller's own parsers take (control-contract
 * §3.5): what they refuse is refused here, with their reason.
 */
import { grpcRouteMatch, httpRouteMatch, type Parsed, parsePattern, routeFilters } from '@weft/policy-controller/syntax';
import type {
  GRPCRouteMatch,
  HeaderModifier,
  HTTPRouteMatch,
  PathModifier,
  RequestRedirect,
  RouteFilter,
  ValueMatch,
} from '@weft/resources';
import type { Field } from '../field.ts';
import { quote } from '../findings.ts';

const MAX_PORT = 65_535;
const REGEX = 'RegularExpression';

/** Filters that a mesh route acts upon. */
const SUPPORTED_FILTERS: readonly string[] = ['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect'];

/** Reviews the matches of an HTTPRoute rule. */
export function reviewHttpMatches(list: Field): void {
  for (const field of list.items()) {
    if (!field.isObject()) continue;
    const path = field.get('path');
    const match: HTTPRouteMatch = {
      ...(path.isObject() ? { path: present({ type: path.get('type').text(), value: path.get('value').text() }) } : {}),
      headers: readValueMatches(field.get('headers')),
      queryParams: readValueMatches(field.get('queryParams')),
      ...present({ method: field.get('method').text() }),
    };
    const patterns = [...(match.headers ?? []), ...(match.queryParams ?? [])]
      .filter(({ type }) => type === REGEX)
      .map(({ value }) => value);
    if (match.path?.type === REGEX && match.path.value !== undefined) patterns.push(match.path.value);
    if (patterns.every((pattern) => field.findings.spendPattern(field.path, pattern))) refuseInvalid(field, httpRouteMatch(match));
  }
}

/** Reviews the matches of a GRPCRoute rule. */
export function reviewGrpcMatches(list: Field): void {
  for (const field of list.items()) {
    if (!field.isObject()) continue;
    const method = field.get('method');
    const match: GRPCRouteMatch = {
      ...(method.isObject()
        ? {
            method: present({
              type: method.get('type').text(),
              service: method.get('service').text(),
              method: method.get('method').text(),
            }),
          }
        : {}),
      headers: readValueMatches(field.get('headers')),
    };
    const patterns = (match.headers ?? []).filter(({ type }) => type === REGEX).map(({ value }) => value);
    if (patterns.every((pattern) => field.findings.spendPattern(field.path, pattern))) refuseInvalid(field, grpcRouteMatch(match));
  }
}

/** Reviews filters; those that the mesh does not know are admitted with a warning. `owner` is what has no effect with one. */
export function reviewFilters(list: Field, owner: string): void {
  for (const field of list.items()) {
    if (!field.isObject()) continue;
    const type = field.get('type').requiredText();
    if (type === undefined) continue;
    if (!SUPPORTED_FILTERS.includes(type)) {
      field.warn(`the mesh does not support the filter ${quote(type)}; with it the ${owner} has no effect`);
      continue;
    }
    refuseInvalid(field, routeFilters([readFilter(field, type)]));
  }
}

/** Whether a pattern compiles; for those of ServiceProfiles, too. */
export function patternFault(field: Field, pattern: string): string | undefined {
  if (!field.findings.spendPattern(field.path, pattern)) return undefined;
  const parsed = parsePattern(pattern);
  return parsed.ok ? undefined : parsed.reason;
}

function readValueMatches(list: Field): ValueMatch[] {
  const matches: ValueMatch[] = [];
  for (const field of list.items()) {
    if (!field.isObject()) continue;
    const name = field.get('name').requiredText();
    const value = field.get('value').text();
    if (name !== undefined && value !== undefined) matches.push({ name, value, ...present({ type: field.get('type').text() }) });
  }
  return matches;
}

function readFilter(field: Field, type: string): RouteFilter {
  const requestHeaders = field.get('requestHeaderModifier');
  const responseHeaders = field.get('responseHeaderModifier');
  const redirect = field.get('requestRedirect');
  return {
    type,
    ...(requestHeaders.isObject() ? { requestHeaderModifier: readModifier(requestHeaders) } : {}),
    ...(responseHeaders.isObject() ? { responseHeaderModifier: readModifier(responseHeaders) } : {}),
    ...(redirect.isObject() ? { requestRedirect: readRedirect(redirect) } : {}),
  };
}

function readModifier(field: Field): HeaderModifier {
  const remove = field.get('remove').items();
  return {
    set: readHeaderValues(field.get('set')),
    add: readHeaderValues(field.get('add')),
    remove: remove.flatMap((name) => name.text() ?? []),
  };
}

function readHeaderValues(list: Field): { name: string; value: string }[] {
  const fields: { name: string; value: string }[] = [];
  for (const field of list.items()) {
    if (!field.isObject()) continue;
    const name = field.get('name').text();
    const value = field.get('value').text();
    if (name !== undefined && value !== undefined) fields.push({ name, value });
  }
  return fields;
}

function readRedirect(field: Field): RequestRedirect {
  const path = field.get('path');
  return {
    ...present({
      scheme: field.get('scheme').text(),
      hostname: field.get('hostname').text(),
      port: field.get('port').integer(1, MAX_PORT),
      statusCode: field.get('statusCode').integer(100, 599),
    }),
    ...(path.isObject() ? { path: readPathModifier(path) } : {}),
  };
}

function readPathModifier(field: Field): PathModifier {
  const type = field.get('type').requiredText();
  if (type !== undefined && type !== 'ReplaceFullPath' && type !== 'ReplacePrefixMatch') {
    field.get('type').refuse(`unknown type ${quote(type)}; use ReplaceFullPath or ReplacePrefixMatch`);
  }
  return {
    type: type === 'ReplaceFullPath' ? type : 'ReplacePrefixMatch',
    ...present({ replaceFullPath: field.get('replaceFullPath').text(), replacePrefixMatch: field.get('replacePrefixMatch').text() }),
  };
}

function refuseInvalid(field: Field, parsed: Parsed<unknown>): void {
  if (!parsed.ok) field.refuse(parsed.reason);
}

/** The properties that are set. */
function present<T extends Readonly<Record<string, unknown>>>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Parts of route matches that HTTP and gRPC share (control-contract §3.2, features RT-06): hostnames, header matches, and the check that a
 * pattern compiles. Patterns are matched in linear time by the proxy (re2 syntax), so one that only a backtracking engine knows is invalid.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { httpRoute } from '@weft/proto';
import type { ValueMatch } from '@weft/resources';
import { RE2JS } from 're2js';
import { type Parsed, invalid, valid } from '../parse/parsed.ts';
import { MAX_PATTERN_SIZE, patternSize } from './pattern-size.ts';

/** Longest pattern that is compiled, in characters; the API server's own limit for match values is below it. */
export const MAX_PATTERN_LENGTH = 4096;

const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const encoder = new TextEncoder();

/** `*.x.y` as a suffix of reversed labels, anything else as an exact host. */
export function hostMatch(hostname: string): MessageInitShape<typeof httpRoute.HostMatchSchema> {
  if (!hostname.startsWith('*.')) return { match: { case: 'exact', value: hostname } };
  return { match: { case: 'suffix', value: { reverseLabels: hostname.slice(2).split('.').reverse() } } };
}

/** A header match by exact bytes or by pattern. */
export function headerMatch(match: ValueMatch): Parsed<MessageInitShape<typeof httpRoute.HeaderMatchSchema>> {
  const name = parseFieldName(match.name);
  if (!name.ok) return name;
  if (!isRegex(match)) return valid({ name: name.value, value: { case: 'exact', value: encoder.encode(match.value) } });
  const pattern = parsePattern(match.value);
  return pattern.ok ? valid({ name: name.value, value: { case: 'regex', value: pattern.value } }) : pattern;
}

/** A query parameter match; names are compared as they stand. */
export function queryParamMatch(match: ValueMatch): Parsed<MessageInitShape<typeof httpRoute.QueryParamMatchSchema>> {
  if (!isRegex(match)) return valid({ name: match.name, value: { case: 'exact', value: match.value } });
  const pattern = parsePattern(match.value);
  return pattern.ok ? valid({ name: match.name, value: { case: 'regex', value: pattern.value } }) : pattern;
}

/** A field name in lower case (RFC 9110 §5.1). */
export function parseFieldName(name: string): Parsed<string> {
  return FIELD_NAME.test(name) ? valid(name.toLowerCase()) : invalid(`invalid header name '${name}'`);
}

/** A pattern that compiles. */
export function parsePattern(pattern: string): Parsed<string> {
  if (pattern.length > MAX_PATTERN_LENGTH) return invalid(`pattern too long: more than ${MAX_PATTERN_LENGTH} characters`);
  if (patternSize(pattern) > MAX_PATTERN_SIZE) return invalid(`pattern too large: more than ${MAX_PATTERN_SIZE} single matches`);
  try {
    RE2JS.compile(pattern);
    return valid(pattern);
  } catch (error) {
    return invalid(`invalid pattern: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function isRegex(match: ValueMatch): boolean {
  return match.type === 'RegularExpression';
}

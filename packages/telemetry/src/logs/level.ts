// SPDX-License-Identifier: Apache-2.0
/*
 * Log levels and the filter language of the proxy (proxy-contract §1.5 LOG, features LOG-02): comma-separated directives as in
 * `warn,linkerd=info,[{headers}]=off`. A directive is a level, a target prefix with a level, or either with a span in brackets. The
 * longest matching target prefix decides; a directive that names a span applies inside matching spans and wins over those that do
 * not, so that `[{headers}]=off` keeps header dumps out whatever the level.
 */
import { plainValue, type LogFields } from './fields.ts';

/** From most to least urgent; the numbers order them. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One span a logger is in. */
export interface LogSpan {
  readonly name: string;
  readonly fields: LogFields;
}

interface Directive {
  readonly target: string;
  readonly span:
    | { readonly name: string; readonly fields: readonly { readonly name: string; readonly value: string | undefined }[] }
    | undefined;
  /** 0 is off, 1 error … 5 trace. */
  readonly rank: number;
}

/** A parsed filter. Immutable: a change at run time is a new filter. */
export class LogFilter {
  /** The text that it was parsed from. */
  readonly text: string;
  private readonly directives: readonly Directive[];

  constructor(text: string, directives: readonly Directive[]) {
    this.text = text;
    this.directives = directives;
  }

  /** Rank of the least urgent level written for a target inside these spans: 0 none, 1 error … 5 trace. */
  rankOf(target: string, spans: readonly LogSpan[]): number {
    let best: Directive | undefined;
    for (const directive of this.directives) {
      if (!target.startsWith(directive.target)) continue;
      if (directive.span !== undefined && !spans.some((span) => matchesSpan(directive, span))) continue;
      if (best === undefined || isMoreSpecific(directive, best)) best = directive;
    }
    return best?.rank ?? 0;
  }
}

/** Rank of a level: error 1 … trace 5. */
export function rankOfLevel(level: LogLevel): number {
  return LOG_LEVELS.indexOf(level) + 1;
}

/** Longest filter text taken, at start or over the admin port. */
export const MAX_FILTER_LENGTH = 4096;

/** Parses a filter; a mistake comes back with the directive that holds it. Empty text enables errors only, as the reference does. */
export function parseLogFilter(text: string): LogFilter | { readonly error: string } {
  if (text.length > MAX_FILTER_LENGTH) return { error: `filter is longer than ${MAX_FILTER_LENGTH} characters` };
  const directives: Directive[] = [];
  for (const part of splitDirectives(text)) {
    const directive = parseDirective(part);
    if (directive === undefined) return { error: `invalid filter directive: ${JSON.stringify(part.slice(0, 80))}` };
    directives.push(directive);
  }
  if (directives.length === 0) directives.push({ target: '', span: undefined, rank: 1 });
  return new LogFilter(text, directives);
}

// Commas inside braces belong to a span's fields.
function splitDirectives(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = '';
  for (const character of text) {
    if (character === '{' || character === '[') depth += 1;
    if (character === '}' || character === ']') depth -= 1;
    if (character === ',' && depth <= 0) {
      parts.push(part.trim());
      part = '';
    } else {
      part += character;
    }
  }
  parts.push(part.trim());
  return parts.filter((one) => one !== '');
}

const DIRECTIVE = /^([\w:.-]*)(?:\[([\w:.-]*)(?:\{([^{}]*)\})?\])?(?:=(\w*))?$/;

function parseDirective(text: string): Directive | undefined {
  const alone = parseRank(text);
  if (alone !== undefined) return { target: '', span: undefined, rank: alone };
  const match = DIRECTIVE.exec(text);
  if (match === null) return undefined;
  const [, target = '', spanName, fieldText, level] = match;
  const rank = level === undefined || level === '' ? rankOfLevel('trace') : parseRank(level);
  if (rank === undefined) return undefined;
  if (spanName === undefined) return { target, span: undefined, rank };
  const fields = (fieldText ?? '')
    .split(',')
    .map((field) => field.trim())
    .filter((field) => field !== '')
    .map((field) => {
      const [name = '', ...value] = field.split('=');
      return { name, value: value.length === 0 ? undefined : value.join('=').replaceAll(/^"|"$/g, '') };
    });
  return { target, span: { name: spanName, fields }, rank };
}

function parseRank(text: string): number | undefined {
  const lower = text.toLowerCase();
  if (lower === 'off') return 0;
  if (/^[0-5]$/.test(lower)) return Number(lower);
  const index = (LOG_LEVELS as readonly string[]).indexOf(lower === 'warning' ? 'warn' : lower);
  return index === -1 ? undefined : index + 1;
}

function matchesSpan(directive: Directive, span: LogSpan): boolean {
  const wanted = directive.span;
  if (wanted === undefined || (wanted.name !== '' && wanted.name !== span.name)) return false;
  return wanted.fields.every(({ name, value }) => name in span.fields && (value === undefined || plainValue(span.fields[name]) === value));
}

function isMoreSpecific(one: Directive, other: Directive): boolean {
  const oneSpan = one.span === undefined ? 0 : 1;
  const otherSpan = other.span === undefined ? 0 : 1;
  if (oneSpan !== otherSpan) return oneSpan > otherSpan;
  // A later directive of the same length replaces an earlier one.
  return one.target.length >= other.target.length;
}

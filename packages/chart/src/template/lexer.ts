// SPDX-License-Identifier: Apache-2.0
/*
 * Words of a template: text between actions, and the tokens of each action, as Go's text/template has them (trim markers, comments, raw
 * strings). Only the tokens of our subset: character constants, floats and imaginary numbers are refused.
 */
import { ChartError } from '../errors.ts';

/** Kind of a token inside an action. `chain` is one field access that follows a parenthesis or a variable without a space. */
export type TokenKind = 'identifier' | 'field' | 'chain' | 'variable' | 'string' | 'int' | 'dot' | 'punctuation';

/** One token of an action. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly line: number;
}

/** Text as it is, or the tokens of one action. */
export type Segment =
  | { readonly kind: 'text'; readonly text: string; readonly line: number }
  | { readonly kind: 'action'; readonly tokens: readonly Token[]; readonly line: number };

const WHITE_SPACE = /^[ \t\r\n]+/;
const PUNCTUATION = /^(:=|[()|=,])/;

/** Splits a template; throws `ERR_CHART_SYNTAX`. */
export function lexTemplate(file: string, source: string): Segment[] {
  const segments: Segment[] = [];
  let position = 0;
  let line = 1;
  let isTrimming = false;
  const refuse = (message: string, atLine: number): never => {
    throw new ChartError('ERR_CHART_SYNTAX', message, { file, line: atLine });
  };
  while (position < source.length) {
    const open = source.indexOf('{{', position);
    const end = open === -1 ? source.length : open;
    let text = source.slice(position, end);
    const textLine = line;
    line += countLines(text);
    if (isTrimming) text = text.replace(/^[ \t\r\n]+/, '');
    isTrimming = false;
    if (open === -1) {
      if (text !== '') segments.push({ kind: 'text', text, line: textLine });
      break;
    }
    position = open + 2;
    if (/^-[ \t\r\n]/.test(source.slice(position, position + 2))) {
      text = text.replace(/[ \t\r\n]+$/, '');
      position += 1;
    }
    if (text !== '') segments.push({ kind: 'text', text, line: textLine });
    const actionLine = line;
    const comment = /^[ \t\r\n]*\/\*/.exec(source.slice(position));
    if (comment !== null) {
      const close = source.indexOf('*/', position + comment[0].length);
      if (close === -1) refuse('a comment is not closed', actionLine);
      const tail = /^([ \t\r\n]+-)?\}\}/.exec(source.slice(close + 2)) ?? refuse('a comment must fill its action', actionLine);
      isTrimming = tail[1] !== undefined;
      line += countLines(source.slice(position, close + 2 + tail[0].length));
      position = close + 2 + tail[0].length;
      continue;
    }
    const tokens: Token[] = [];
    for (;;) {
      const rest = source.slice(position);
      if (rest === '') refuse('an action is not closed', actionLine);
      const closing = /^([ \t\r\n]+-)?\}\}/.exec(rest);
      if (closing !== null) {
        isTrimming = closing[1] !== undefined;
        line += countLines(closing[0]);
        position += closing[0].length;
        break;
      }
      const blank = WHITE_SPACE.exec(rest);
      if (blank !== null) {
        line += countLines(blank[0]);
        position += blank[0].length;
        continue;
      }
      const before = tokens.at(-1);
      const canChain = before !== undefined && (['field', 'chain', 'variable'].includes(before.kind) || before.text === ')');
      const isJoined = canChain && !/[ \t\r\n]/.test(source[position - 1] ?? ' ');
      const token = readToken(rest, line, isJoined, (message) => refuse(message, line));
      tokens.push(token.token);
      line += countLines(rest.slice(0, token.length));
      position += token.length;
    }
    segments.push({ kind: 'action', tokens, line: actionLine });
  }
  return segments;
}

function readToken(rest: string, line: number, isJoined: boolean, refuse: (message: string) => never): { token: Token; length: number } {
  const make = (kind: TokenKind, text: string, length: number): { token: Token; length: number } => ({
    token: { kind, text, line },
    length,
  });
  const first = rest[0];
  if (first === '"') {
    const match = /^"(?:[^"\\\n]|\\.)*"/.exec(rest) ?? refuse('a string is not closed');
    return make('string', unquote(match[0], refuse), match[0].length);
  }
  if (first === '`') {
    const match = /^`[^`]*`/.exec(rest) ?? refuse('a raw string is not closed');
    return make('string', match[0].slice(1, -1), match[0].length);
  }
  const punctuation = PUNCTUATION.exec(rest);
  if (punctuation !== null) return make('punctuation', punctuation[0], punctuation[0].length);
  const field = /^\.[A-Za-z_]\w*/.exec(rest);
  if (field !== null) return make(isJoined ? 'chain' : 'field', field[0].slice(1), field[0].length);
  if (first === '.') return make('dot', '.', 1);
  const variable = /^\$\w*/.exec(rest);
  if (variable !== null) return make('variable', variable[0], variable[0].length);
  const number = /^[+-]?\d[\w.]*/.exec(rest);
  if (number !== null) {
    if (!/^[+-]?(0|[1-9]\d*)$/.test(number[0])) refuse(`the number ${number[0]} is outside the subset: only decimal integers`);
    return make('int', number[0], number[0].length);
  }
  const identifier = /^[A-Za-z_]\w*/.exec(rest);
  if (identifier !== null) return make('identifier', identifier[0], identifier[0].length);
  return refuse(`unexpected character ${JSON.stringify(first)}`);
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\' };

function unquote(literal: string, refuse: (message: string) => never): string {
  return literal
    .slice(1, -1)
    .replace(/\\(.)/g, (_, escape: string) => ESCAPES[escape] ?? refuse(`the escape \\${escape} is outside the subset`));
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * `--set`, `--set-string` and `--set-file` (features CLI-14) with Helm's syntax: `a.b=1,c[0].d=x,list={a,b}`; a backslash takes away the
 * meaning of the character after it; `null` takes a default away.
 */
import type { Data, Dictionary } from '@weft/chart';
import { CommandFailure, EXIT_USAGE } from '../command-context.ts';

/** Largest index that a list may be given; a typing error must not fill the memory. */
export const MAX_LIST_INDEX = 1024;
/** Deepest nesting of a path. */
export const MAX_PATH_DEPTH = 30;

/** How the text after `=` is read: with types, as text, or as the name of a file whose text it is. */
export type ValueReader = (text: string) => Data;

type Step = string | number;

/** Applies one flag to `target`. Throws CommandFailure for what is no assignment. */
export function applySet(target: Dictionary, expression: string, read: ValueReader = typedValue): void {
  for (const part of split(expression, ',')) {
    if (part === '') continue;
    const [path, value] = cut(part);
    if (value === undefined) throw refused(expression, `${JSON.stringify(part)} has no value; write name=value`);
    assign(target, parsePath(path, expression), readValue(value, read), expression);
  }
}

/** Numbers, booleans and null by their looks, as Helm has it; the rest is text. */
export function typedValue(text: string): Data {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'null') return null;
  // Leading zeros are kept as text, as in Helm: they may be a code.
  if (/^-?(0|[1-9]\d{0,14})$/.test(text)) return Number(text);
  return text;
}

function readValue(text: string, read: ValueReader): Data {
  const list = /^\{(.*)\}$/s.exec(text);
  if (list === null) return read(unescape(text));
  return list[1] === '' ? [] : split(list[1] as string, ',').map((item) => read(unescape(item)));
}

/** Parts between separators that are neither escaped nor within braces. */
function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] as string;
    if (character === '\\') {
      part += character + (text[index + 1] ?? '');
      index += 1;
      continue;
    }
    if (character === '{') depth += 1;
    if (character === '}') depth -= 1;
    if (character === separator && depth <= 0) {
      parts.push(part);
      part = '';
    } else part += character;
  }
  return [...parts, part];
}

function cut(text: string): readonly [string, string | undefined] {
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === '=') return [text.slice(0, index), text.slice(index + 1)];
  }
  return [text, undefined];
}

function unescape(text: string): string {
  return text.replace(/\\(.)/gs, '$1');
}

function parsePath(text: string, expression: string): Step[] {
  const steps: Step[] = [];
  for (const part of split(text, '.')) {
    const match = /^(.*?)((?:\[\d+\])*)$/s.exec(part);
    const name = unescape(match?.[1] ?? '');
    if (name === '') throw refused(expression, `${JSON.stringify(text)} is no path of names`);
    // Such a name would reach into the program instead of the values.
    if (name === '__proto__') throw refused(expression, `${name} is no name of a value`);
    steps.push(name);
    for (const index of (match?.[2] ?? '').matchAll(/\[(\d+)\]/g)) {
      const number = Number(index[1]);
      if (number > MAX_LIST_INDEX) throw refused(expression, `the index ${number} is larger than ${MAX_LIST_INDEX}`);
      steps.push(number);
    }
  }
  if (steps.length > MAX_PATH_DEPTH) throw refused(expression, `the path is deeper than ${MAX_PATH_DEPTH}`);
  return steps;
}

type Container = Dictionary | Data[];

function assign(target: Dictionary, steps: readonly Step[], value: Data, expression: string): void {
  let place: Container = target;
  for (const [at, step] of steps.entries()) {
    const next = steps[at + 1];
    if (next === undefined) {
      put(place, step, value);
      return;
    }
    const present = valueIn(place, step);
    const isFitting = typeof next === 'number' ? Array.isArray(present) : isMap(present);
    if (!isFitting && present !== undefined && present !== null && typeof present === 'object') {
      throw refused(expression, `${steps.slice(0, at + 1).join('.')} is ${Array.isArray(present) ? 'a list' : 'a map'}`);
    }
    const inner: Container = isFitting ? (present as Container) : typeof next === 'number' ? [] : {};
    put(place, step, inner);
    place = inner;
  }
}

function valueIn(place: Container, step: Step): Data | undefined {
  if (typeof step === 'number') return Array.isArray(place) ? place[step] : undefined;
  return !Array.isArray(place) && Object.hasOwn(place, step) ? place[step] : undefined;
}

function put(place: Container, step: Step, value: Data): void {
  if (Array.isArray(place) && typeof step === 'number') {
    while (place.length < step) place.push(null);
    place[step] = value;
  } else if (!Array.isArray(place)) place[String(step)] = value;
}

function isMap(value: Data | undefined): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refused(expression: string, why: string): CommandFailure {
  return new CommandFailure(`cannot read --set ${expression}: ${why}`, EXIT_USAGE);
}

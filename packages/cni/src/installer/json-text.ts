// SPDX-License-Identifier: Apache-2.0
/*
 * Where the parts of a JSON text are, so that one of them can be replaced and every other byte stays: other people's numbers, order and
 * layout survive what we add and what we take away again. The text must be valid JSON (parse it first); nothing is checked here.
 */

/** Offsets in UTF-16 units; `end` is the one after the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The value of a member of the object that the text is; the last one where a key comes twice, as JSON.parse has it. */
export function memberSpan(text: string, key: string): Span | undefined {
  let found: Span | undefined;
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  while (text[at] === '"') {
    const keyEnd = skipString(text, at);
    const name = JSON.parse(text.slice(at, keyEnd)) as string;
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = skipValue(text, start);
    if (name === key) found = { start, end };
    at = skipSpace(text, end);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return found;
}

/** The elements of the array that begins at `start`. */
export function elementSpans(text: string, start: number): Span[] {
  const spans: Span[] = [];
  let at = skipSpace(text, start + 1);
  while (at < text.length && text[at] !== ']') {
    const end = skipValue(text, at);
    spans.push({ start: at, end });
    at = skipSpace(text, end);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return spans;
}

/** The text without the element, and without the comma that it no longer needs. */
export function withoutElement(text: string, spans: readonly Span[], index: number): string {
  const span = spans[index];
  if (span === undefined) return text;
  const before = spans[index - 1];
  const after = spans[index + 1];
  if (before !== undefined) return text.slice(0, before.end) + text.slice(span.end);
  return text.slice(0, span.start) + text.slice(after === undefined ? span.end : after.start);
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text[at] as string)) at += 1;
  return at;
}

function skipString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function skipValue(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length;) {
    const character = text[at] as string;
    if (character === '"') at = skipString(text, at);
    else {
      if (character === '{' || character === '[') depth += 1;
      else if (character === '}' || character === ']') {
        depth -= 1;
        // The end of what encloses a number or a word.
        if (depth < 0) return at;
      } else if (depth === 0 && (character === ',' || ' \t\r\n'.includes(character))) return at;
      at += 1;
    }
    if (depth === 0 && '"}]'.includes(character)) return at;
  }
  return text.length;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Query parameters of a request target, form-decoded as browsers write them (WHATWG URL §5.1): `+` is a space, percent escapes are UTF-8,
 * malformed ones stay as they are. Parsed only for routes that match on them.
 */
import { Buffer } from 'node:buffer';

const PERCENT = 0x25;

/** Name at even indexes, value at odd ones, in order; duplicates stay apart. `query` is the text behind `?`, one unit per octet. */
export function parseQueryParams(query: string): string[] {
  const params: string[] = [];
  let start = 0;
  while (start < query.length) {
    let end = query.indexOf('&', start);
    if (end < 0) end = query.length;
    if (end > start) {
      const equals = query.indexOf('=', start);
      const nameEnd = equals >= 0 && equals < end ? equals : end;
      params.push(decode(query.slice(start, nameEnd)), nameEnd === end ? '' : decode(query.slice(nameEnd + 1, end)));
    }
    start = end + 1;
  }
  return params;
}

function decode(text: string): string {
  let isPlain = true;
  for (let i = 0; i < text.length && isPlain; i++) {
    const unit = text.charCodeAt(i);
    isPlain = unit !== PERCENT && unit !== 0x2b && unit < 0x80;
  }
  if (isPlain) return text;
  const bytes = Buffer.from(text.replaceAll('+', ' '), 'latin1');
  let used = 0;
  for (let i = 0; i < bytes.length; i++) {
    let byte = bytes[i] as number;
    if (byte === PERCENT && i + 2 < bytes.length) {
      const high = hexDigit(bytes[i + 1] as number);
      const low = hexDigit(bytes[i + 2] as number);
      if (high >= 0 && low >= 0) {
        byte = high * 16 + low;
        i += 2;
      }
    }
    bytes[used++] = byte;
  }
  return bytes.toString('utf8', 0, used);
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

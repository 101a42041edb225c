// SPDX-License-Identifier: Apache-2.0
/*
 * What the fields of a head say about framing and the connection: Host, Content-Length, Transfer-Encoding, Connection,
 * Upgrade, Expect (RFC 9112 §3.2, §6, §9; RFC 9110 §7.6.1, §7.8, §8.6, §10.1.1). It only collects; what a contradiction means
 * is for the request or response head to say.
 */
import type { FieldList } from '@weft/bytes';
import {
  FIRST_PLAIN_ID,
  ID_CONNECTION,
  ID_CONTENT_LENGTH,
  ID_EXPECT,
  ID_HOST,
  ID_TRANSFER_ENCODING,
  ID_UNKNOWN_MIXED_CASE,
  ID_UPGRADE,
  KNOWN_NAMES,
} from './known-names.ts';
import { type FieldScanner, type ModelHead, SPAN_INTS } from './field-scanner.ts';
import { latin1 } from './latin1.ts';
import { h1Error, unknownCodingError } from './errors.ts';
import type { H1Error } from './types.ts';

/** `contentLength` where no such field was there. */
export const NO_CONTENT_LENGTH = -1;

/** Facts of one head. One instance serves many decoders: `collect` starts it afresh. */
export class FieldFacts {
  host: string | undefined = undefined;
  hostCount = 0;
  contentLength: number = NO_CONTENT_LENGTH;
  isChunked = false;
  saysClose = false;
  saysKeepAlive = false;
  saysUpgrade = false;
  upgrade: string | undefined = undefined;
  expectsContinue = false;
  /** The first contradiction in wire order; undefined where the fields are sound. */
  error: H1Error | undefined = undefined;

  /**
   * Builds the field list from the scanner's spans over `bytes` (whose section begins at `base`) and notes the facts. Fields
   * of unchanged lines are `model`'s very strings. `text` is the section as latin1, where the caller has it already.
   */
  collect(bytes: Uint8Array, base: number, text: string | undefined, scanner: FieldScanner, model: ModelHead | undefined): FieldList {
    this.host = undefined;
    this.hostCount = 0;
    this.contentLength = NO_CONTENT_LENGTH;
    this.isChunked = false;
    this.saysClose = false;
    this.saysKeepAlive = false;
    this.saysUpgrade = false;
    this.upgrade = undefined;
    this.expectsContinue = false;
    this.error = undefined;

    const { spans } = scanner;
    const ints = scanner.fieldCount * SPAN_INTS;
    const fields: FieldList = [];
    for (let span = 0; span < ints; span += SPAN_INTS) {
      const id = spans[span + 4] as number;
      const same = spans[span + 5] as number;
      if (same >= 0 && model !== undefined) {
        const value = model.fields[same * 2 + 1] as string;
        fields.push(model.fields[same * 2] as string, id >= 0 && id < FIRST_PLAIN_ID ? this.note(id, value) : value);
        continue;
      }
      const value = textOf(bytes, base, text, spans[span + 2] as number, spans[span + 3] as number);
      if (id >= FIRST_PLAIN_ID) {
        fields.push(KNOWN_NAMES[id] as string, value);
      } else if (id >= 0) {
        fields.push(KNOWN_NAMES[id] as string, this.note(id, value));
      } else {
        const name = textOf(bytes, base, text, spans[span] as number, spans[span + 1] as number);
        fields.push(id === ID_UNKNOWN_MIXED_CASE ? name.toLowerCase() : name, value);
      }
    }
    return fields;
  }

  /** Notes one field; returns the value to hand on. */
  private note(id: number, value: string): string {
    switch (id) {
      case ID_HOST:
        this.hostCount += 1;
        this.host = value;
        return value;
      case ID_CONTENT_LENGTH:
        return this.noteContentLength(value);
      case ID_TRANSFER_ENCODING:
        this.noteTransferEncoding(value);
        return value;
      case ID_CONNECTION:
        this.noteConnection(value);
        return value;
      case ID_UPGRADE:
        this.upgrade = this.upgrade === undefined ? value.toLowerCase() : `${this.upgrade}, ${value.toLowerCase()}`;
        return value;
      case ID_EXPECT:
        if (value.toLowerCase() === '100-continue') this.expectsContinue = true;
        return value;
      default:
        return value;
    }
  }

  /**
   * RFC 9110 §8.6: 1*DIGIT. A list or a second field is refused even if equal. Leading zeros are valid, but some peers take
   * them for octal, so the value goes on in canonical form.
   */
  private noteContentLength(value: string): string {
    if (this.contentLength !== NO_CONTENT_LENGTH) {
      this.error ??= h1Error('ERR_H1_CONTENT_LENGTH', 'more than one Content-Length');
      return value;
    }
    const bytes = parseContentLength(value);
    if (bytes === undefined) {
      this.error ??= h1Error('ERR_H1_CONTENT_LENGTH', 'Content-Length is no decimal number below 2^53');
      return value;
    }
    this.contentLength = bytes;
    return value.length > 1 && value.charCodeAt(0) === 0x30 ? String(bytes) : value;
  }

  /** RFC 9112 §6.1, §7: exactly one field that says `chunked`, and nothing else. */
  private noteTransferEncoding(value: string): void {
    if (value === 'chunked' && !this.isChunked) {
      this.isChunked = true;
      return;
    }
    const codings = value
      .toLowerCase()
      .split(',')
      .map((coding) => coding.replace(/^[ \t]+|[ \t]+$/gu, ''));
    if (this.isChunked) {
      this.error ??= h1Error('ERR_H1_TRANSFER_ENCODING', 'more than one Transfer-Encoding');
    } else if (codings.length === 1 && codings[0] === 'chunked') {
      this.isChunked = true;
    } else if (codings.slice(0, -1).includes('chunked') || codings.some((coding) => !isToken(coding) || coding === 'identity')) {
      this.error ??= h1Error('ERR_H1_TRANSFER_ENCODING', 'chunked is not the one and final transfer coding');
    } else {
      this.error ??= unknownCodingError();
    }
  }

  private noteConnection(value: string): void {
    const options = value.toLowerCase();
    switch (options) {
      case 'keep-alive':
        this.saysKeepAlive = true;
        return;
      case 'close':
        this.saysClose = true;
        return;
      case 'upgrade':
        this.saysUpgrade = true;
        return;
      default:
        for (const option of options.split(',')) {
          const name = option.trim();
          if (name === 'keep-alive') this.saysKeepAlive = true;
          else if (name === 'close') this.saysClose = true;
          else if (name === 'upgrade') this.saysUpgrade = true;
        }
    }
  }
}

/** `bytes[base + start, base + end)`, cut from `text` where that was made. */
function textOf(bytes: Uint8Array, base: number, text: string | undefined, start: number, end: number): string {
  return text === undefined ? latin1(bytes, base + start, base + end) : text.slice(start, end);
}

/** Value of 1*DIGIT up to 2^53 - 1; undefined for anything else. */
export function parseContentLength(value: string): number | undefined {
  const { length } = value;
  if (length === 0) return undefined;
  let bytes = 0;
  for (let i = 0; i < length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    bytes = bytes * 10 + digit;
    if (bytes > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return bytes;
}

/** RFC 9112 §9.3. */
export function isPersistent(facts: FieldFacts, minorVersion: 0 | 1): boolean {
  if (facts.saysClose) return false;
  return minorVersion === 1 || facts.saysKeepAlive;
}

function isToken(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9a-z-]+$/u.test(text);
}

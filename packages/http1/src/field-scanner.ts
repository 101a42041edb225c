// SPDX-License-Identifier: Apache-2.0
/*
 * One pass over field lines (RFC 9112 §5): validates each octet, finds names and values, recognises known names. It makes no
 * string; it leaves spans, from which a head or trailer section is built once the section is complete.
 *
 * A line is judged only when its LF is there. So what is reported depends on the bytes alone, never on how they were cut.
 */
import type { Buffer } from 'node:buffer';
import { CR, COLON, FIELD_CONTENT, HTAB, LF, SP, TOKEN_LOWER } from './octets.ts';
import { ID_UNKNOWN, ID_UNKNOWN_MIXED_CASE, knownNameId, NAME_HASH_FACTOR } from './known-names.ts';
import type { H1ErrorCode } from './types.ts';

/**
 * Ints per field in `spans`: name start, name end, value start, value end (relative to the section), known id, and the index
 * of the model's field whose line is the same (-1: none). Of the latter only the start and the id are set.
 */
export const SPAN_INTS = 6;

/** How often in one section the rest is compared as a whole: each failure costs as much as scanning two lines. */
const MAX_REST_ATTEMPTS = 2;
/** From this length on the native comparison beats the loop. */
const MIN_REST_BYTES = 48;

/** An earlier head that the next one may resemble. */
export interface ModelHead {
  /** `bytes[0, length)` is the head. */
  readonly bytes: Buffer;
  readonly length: number;
  /** Where the last head that differed did so: index in `bytes`, and index of the field (-1: the start line). */
  differsAt: number;
  differsInField: number;
  readonly spans: Int32Array;
  readonly fieldCount: number;
  readonly fields: readonly string[];
}

/** The section's empty line was reached. */
export const SCAN_COMPLETE = 0;
/** More bytes are needed; `lineStart` is where to go on. */
export const SCAN_INCOMPLETE = 1;
/** The peer erred; `errorCode` and `errorMessage` tell how. */
export const SCAN_ERROR = 2;
export type ScanResult = typeof SCAN_COMPLETE | typeof SCAN_INCOMPLETE | typeof SCAN_ERROR;

/** State of a scan. One instance serves many decoders, since a scan ends within a push; `save` carries over what must last. */
export class FieldScanner {
  spans: Int32Array = new Int32Array(SPAN_INTS * 100);
  fieldCount = 0;
  /** First byte of the line that comes next, relative to the section. */
  lineStart = 0;
  errorCode: H1ErrorCode = 'ERR_H1_FIELD_NAME';
  errorMessage = '';
  /** Fields whose lines no model had: those need strings of their own. */
  freshCount = 0;

  /** Starts a section; `lineStart` is behind its start line. */
  begin(lineStart: number): void {
    this.fieldCount = 0;
    this.freshCount = 0;
    this.lineStart = lineStart;
  }

  /** The spans so far, to be handed to `resume` when more bytes have come. */
  save(): Int32Array {
    return this.spans.slice(0, this.fieldCount * SPAN_INTS);
  }

  resume(lineStart: number, saved: Int32Array): void {
    this.ensureRoom(saved.length);
    this.spans.set(saved);
    this.fieldCount = saved.length / SPAN_INTS;
    this.lineStart = lineStart;
    this.freshCount = 0;
    for (let span = 0; span < saved.length; span += SPAN_INTS) if (saved[span + 5] === -1) this.freshCount += 1;
  }

  /**
   * Scans lines of `bytes[base + lineStart, end)`. After `SCAN_COMPLETE`, `lineStart` is behind the empty line. Lines that
   * `model` has at the same place are recognised instead of scanned; it must have been scanned under the same options.
   * `isBehindChange`: the start line differs from the model's, so that all the rest may be as it was.
   */
  scan(
    bytes: Uint8Array,
    base: number,
    end: number,
    maxFieldCount: number,
    bareLf: boolean,
    model: ModelHead | undefined,
    isBehindChange: boolean,
  ): ScanResult {
    this.ensureRoom(maxFieldCount * SPAN_INTS);
    const { spans } = this;
    const modelFieldCount = model === undefined ? 0 : Math.min(model.fieldCount, maxFieldCount);
    let restAttempts = 0;
    let mayTakeRest = isBehindChange;
    // Locals: a module binding is loaded and checked anew on every turn of a loop, which trebles the cost of a byte.
    const tokenLower = TOKEN_LOWER;
    const fieldContent = FIELD_CONTENT;
    let at = base + this.lineStart;
    for (;;) {
      this.lineStart = at - base;
      if (at >= end) return SCAN_INCOMPLETE;
      if (this.fieldCount < modelFieldCount) {
        if (mayTakeRest && restAttempts < MAX_REST_ATTEMPTS) {
          restAttempts += 1;
          if (this.takeRest(bytes, base, at, end, model as ModelHead)) return SCAN_COMPLETE;
        }
        const lineBytes = this.takeLine(bytes, base, at, end, model as ModelHead);
        mayTakeRest = lineBytes === 0;
        if (lineBytes > 0) {
          at += lineBytes;
          continue;
        }
      }
      const nameStart = at;
      let octet = bytes[at] as number;
      let lower = tokenLower[octet] as number;
      let hash = 0;
      let caseBits = 0;
      while (lower !== 0) {
        hash = (Math.imul(hash, NAME_HASH_FACTOR) + lower) | 0;
        caseBits |= octet ^ lower;
        if (++at === end) return SCAN_INCOMPLETE;
        octet = bytes[at] as number;
        lower = tokenLower[octet] as number;
      }
      if (octet !== COLON || at === nameStart) {
        return at === nameStart ? this.endOrRefuse(bytes, base, at, end, bareLf) : this.refuseName(bytes, at, end);
      }
      if (this.fieldCount === maxFieldCount) return this.refuse(bytes, at, end, 'ERR_H1_TOO_MANY_FIELDS', 'too many fields');
      const nameEnd = at;

      do {
        if (++at === end) return SCAN_INCOMPLETE;
        octet = bytes[at] as number;
      } while (octet === SP || octet === HTAB);
      const valueStart = at;
      while (fieldContent[octet] === 1) {
        if (++at === end) return SCAN_INCOMPLETE;
        octet = bytes[at] as number;
      }
      let valueEnd = at;
      if (octet === CR) {
        if (++at === end) return SCAN_INCOMPLETE;
        if (bytes[at] !== LF) return this.refuse(bytes, at, end, 'ERR_H1_LINE_TERMINATOR', 'CR without LF in a field');
      } else if (octet !== LF) {
        return this.refuse(bytes, at, end, 'ERR_H1_FIELD_VALUE', 'control character in a field value');
      } else if (!bareLf) {
        return this.refuse(bytes, at, end, 'ERR_H1_LINE_TERMINATOR', 'LF without CR after a field');
      }
      at += 1;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd -= 1;

      const span = this.fieldCount * SPAN_INTS;
      spans[span] = nameStart - base;
      spans[span + 1] = nameEnd - base;
      spans[span + 2] = valueStart - base;
      spans[span + 3] = valueEnd - base;
      const id = knownNameId(bytes, nameStart, nameEnd, hash);
      spans[span + 4] = id === ID_UNKNOWN && caseBits !== 0 ? ID_UNKNOWN_MIXED_CASE : id;
      spans[span + 5] = -1;
      this.fieldCount += 1;
      this.freshCount += 1;
    }
  }

  /** Takes the line at `at` if it is the model's next one; returns its length, or 0. */
  private takeLine(bytes: Uint8Array, base: number, at: number, end: number, model: ModelHead): number {
    const index = this.fieldCount;
    const modelBytes = model.bytes;
    const modelStart = model.spans[index * SPAN_INTS] as number;
    const modelEnd = lineEndOf(model, index);
    const lineBytes = modelEnd - modelStart;
    if (end - at < lineBytes) return 0;
    for (let i = 0; i < lineBytes; i++) {
      if (bytes[at + i] !== modelBytes[modelStart + i]) {
        model.differsAt = modelStart + i;
        model.differsInField = index;
        return 0;
      }
    }
    this.takeSpan(model, at - base - modelStart);
    return lineBytes;
  }

  /** Takes the model's first `fieldCount` fields, which the caller has found to be there. */
  takeFirst(model: ModelHead, fieldCount: number): void {
    while (this.fieldCount < fieldCount) this.takeSpan(model, 0);
    this.lineStart = model.spans[fieldCount * SPAN_INTS] as number;
  }

  /** Takes all that is left of the model if it stands at `at`, empty line included. */
  private takeRest(bytes: Uint8Array, base: number, at: number, end: number, model: ModelHead): boolean {
    const modelStart = model.spans[this.fieldCount * SPAN_INTS] as number;
    const restBytes = model.length - modelStart;
    const restEnd = at + restBytes;
    if (restBytes < MIN_REST_BYTES || restEnd > end || bytes[restEnd - 1] !== LF) return false;
    if (model.bytes.compare(bytes, at, restEnd, modelStart, model.length) !== 0) return false;
    while (this.fieldCount < model.fieldCount) this.takeSpan(model, at - base - modelStart);
    this.lineStart = restEnd - base;
    return true;
  }

  /** Takes the model's next field; `shift` is how far it has moved. Its strings are the model's, so nobody asks for its other spans. */
  private takeSpan(model: ModelHead, shift: number): void {
    const { spans } = this;
    const span = this.fieldCount * SPAN_INTS;
    spans[span] = (model.spans[span] as number) + shift;
    spans[span + 4] = model.spans[span + 4] as number;
    spans[span + 5] = this.fieldCount;
    this.fieldCount += 1;
  }

  /** A line that starts with no name: the empty line, or an error. */
  private endOrRefuse(bytes: Uint8Array, base: number, at: number, end: number, bareLf: boolean): ScanResult {
    switch (bytes[at]) {
      case CR:
        if (at + 1 === end) return SCAN_INCOMPLETE;
        if (bytes[at + 1] !== LF) return this.refuse(bytes, at + 1, end, 'ERR_H1_LINE_TERMINATOR', 'CR without LF');
        this.lineStart = at + 2 - base;
        return SCAN_COMPLETE;
      case LF:
        if (!bareLf) return this.refuse(bytes, at, end, 'ERR_H1_LINE_TERMINATOR', 'LF without CR');
        this.lineStart = at + 1 - base;
        return SCAN_COMPLETE;
      case SP:
      case HTAB:
        // RFC 9112 §2.2 (before the first field) and §5.2 (after one).
        if (this.fieldCount === 0) return this.refuse(bytes, at, end, 'ERR_H1_FIELD_NAME', 'whitespace before the first field');
        return this.refuse(bytes, at, end, 'ERR_H1_OBS_FOLD', 'obsolete line folding');
      case COLON:
        return this.refuse(bytes, at, end, 'ERR_H1_FIELD_NAME', 'empty field name');
      default:
        return this.refuse(bytes, at, end, 'ERR_H1_FIELD_NAME', 'invalid character in a field name');
    }
  }

  private refuseName(bytes: Uint8Array, at: number, end: number): ScanResult {
    switch (bytes[at]) {
      case SP:
      case HTAB:
        // RFC 9112 §5.1: differences here have led to request smuggling.
        return this.refuse(bytes, at, end, 'ERR_H1_FIELD_NAME', 'whitespace between field name and colon');
      case CR:
      case LF:
        return this.refuse(bytes, at, end, 'ERR_H1_FIELD_NAME', 'field line without colon');
      default:
        return this.refuse(bytes, at, end, 'ERR_H1_FIELD_NAME', 'invalid character in a field name');
    }
  }

  private refuse(bytes: Uint8Array, at: number, end: number, code: H1ErrorCode, message: string): ScanResult {
    if (!hasLf(bytes, at, end)) return SCAN_INCOMPLETE;
    this.errorCode = code;
    this.errorMessage = message;
    return SCAN_ERROR;
  }

  private ensureRoom(ints: number): void {
    if (this.spans.length >= ints) return;
    const bigger = new Int32Array(ints);
    bigger.set(this.spans);
    this.spans = bigger;
  }
}

/** Where the next line of `model` begins: the next field's, or the empty one. */
function lineEndOf(model: ModelHead, index: number): number {
  const next = index + 1;
  if (next < model.fieldCount) return model.spans[next * SPAN_INTS] as number;
  return model.bytes[model.length - 2] === CR ? model.length - 2 : model.length - 1;
}

/** Whether `bytes[start, end)` has an LF. */
export function hasLf(bytes: Uint8Array, start: number, end: number): boolean {
  const at = bytes.indexOf(LF, start);
  return at !== -1 && at < end;
}

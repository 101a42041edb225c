// SPDX-License-Identifier: Apache-2.0
/*
 * The HPACK decoder (RFC 7541 §3, §6): field block fragments in, fields out, in place. A representation cut by the end of a
 * fragment is left to the caller, who brings it again with the next fragment in front. A literal so long that no limit could
 * admit it is skipped without being held: the block stays decodable (the table is shared by all streams), and the receiver
 * learns that a field was dropped.
 */
import { VALUE_MALFORMED, classifyName, classifyValue, joinClasses } from '../message/field-class.ts';
import { DynamicTable } from './dynamic-table.ts';
import { decodeHuffman } from './huffman.ts';
import { INTEGER_CUT, type IntegerCursor, decodeInteger } from './integer.ts';
import { decodeLatin1 } from './latin1.ts';
import { LiteralCache } from './literal-cache.ts';
import { STATIC_CLASSES, STATIC_NAMES, STATIC_TABLE_LENGTH, STATIC_VALUES } from './static-table.ts';

/** Takes decoded fields. */
export interface FieldReceiver {
  /** `fieldClass` as by `classifyField`. */
  onField(name: string, value: string, fieldClass: number): void;
  /** A field too long to be decoded was left out. */
  onFieldSkipped(): void;
}

/** `decode` failed: a connection error COMPRESSION_ERROR (RFC 9113 §4.3). */
export const HPACK_ERROR = -1;

/** At worst 30 bits of input become 8 bits of output. */
const MOST_EXPANDED_RATIO = 30 / 8;

/** What the coming octets are. Anything but a representation is part of skipping one. */
const AT_REPRESENTATION = 0;
const AT_SKIPPED_NAME = 1;
const AT_SKIPPED_VALUE_LENGTH = 2;
const AT_SKIPPED_VALUE = 3;
type DecoderState = typeof AT_REPRESENTATION | typeof AT_SKIPPED_NAME | typeof AT_SKIPPED_VALUE_LENGTH | typeof AT_SKIPPED_VALUE;

/** Outcomes of reading one string literal. */
const LITERAL_READ = 0;
const LITERAL_CUT = 1;
const LITERAL_BAD = 2;
const LITERAL_TOO_LONG = 3;
type LiteralOutcome = typeof LITERAL_READ | typeof LITERAL_CUT | typeof LITERAL_BAD | typeof LITERAL_TOO_LONG;

const SHARED_NAMES: LiteralCache = new LiteralCache(128);
const SHARED_VALUES: LiteralCache = new LiteralCache(512);

/** Decodes the field blocks of one direction of one connection, in order. */
export class HpackDecoder {
  private readonly table: DynamicTable;
  private readonly maxTableBytes: number;
  /** A literal with more octets on the wire is skipped; what is not skipped is all a caller ever has to hold. */
  private readonly maxLiteralBytes: number;
  private readonly cursor: IntegerCursor = { at: 0 };
  private state: DecoderState = AT_REPRESENTATION;
  private skipBytes = 0;
  private isSkippedIndexed = false;
  /** Size updates are allowed until the first field of a block (RFC 7541 §4.2). */
  private isBlockBegun = false;
  private literal = '';
  private literalClass = 0;

  /**
   * `maxTableBytes` is the SETTINGS_HEADER_TABLE_SIZE we announced (4,096 where we announced none); `maxFieldBytes` the most
   * a name or value may have, in octets, to be of use to anyone.
   */
  constructor(maxTableBytes: number, maxFieldBytes: number) {
    this.table = new DynamicTable(maxTableBytes);
    this.maxTableBytes = maxTableBytes;
    // Whatever is skipped must be sure to be too large for the table as well.
    this.maxLiteralBytes = Math.max(maxFieldBytes, Math.ceil(maxTableBytes * MOST_EXPANDED_RATIO) + 4);
  }

  /** Moves with every change of the dynamic table: equal blocks at equal generations decode to equal fields. */
  get generation(): number {
    return this.table.generation;
  }

  /**
   * Decodes `chunk[start, end)`, a fragment of a field block; `isLast` says that the block ends with it. Returns where
   * decoding stopped: `end`, or before it where a representation is cut and `isLast` is false; or HPACK_ERROR.
   */
  decode(chunk: Uint8Array, start: number, end: number, isLast: boolean, receiver: FieldReceiver): number {
    let at = start;
    while (at < end) {
      const next = this.state === AT_REPRESENTATION ? this.decodeField(chunk, at, end, receiver) : this.skip(chunk, at, end);
      if (next === HPACK_ERROR) return HPACK_ERROR;
      if (next === at) break;
      at = next;
    }
    if (!isLast) return at;
    if (at !== end || this.state !== AT_REPRESENTATION) return HPACK_ERROR;
    this.isBlockBegun = false;
    return end;
  }

  /** One representation (RFC 7541 §6). Returns where it ends, `at` when it is cut, or HPACK_ERROR. */
  private decodeField(chunk: Uint8Array, at: number, end: number, receiver: FieldReceiver): number {
    const first = chunk[at] as number;
    const { cursor } = this;
    if (first >= 0x80) {
      this.isBlockBegun = true;
      if (first !== 0xff) {
        // The index fits its prefix: one octet, no loop.
        return this.emitIndexed(first & 0x7f, receiver) ? at + 1 : HPACK_ERROR;
      }
      cursor.at = at;
      const index = decodeInteger(chunk, end, 7, cursor);
      if (index < 0) return index === INTEGER_CUT ? at : HPACK_ERROR;
      return this.emitIndexed(index, receiver) ? cursor.at : HPACK_ERROR;
    }
    if (first >= 0x40) return this.decodeLiteralField(chunk, at, end, 6, receiver);
    if (first >= 0x20) {
      if (this.isBlockBegun) return HPACK_ERROR;
      cursor.at = at;
      const maxBytes = decodeInteger(chunk, end, 5, cursor);
      if (maxBytes === INTEGER_CUT) return at;
      if (maxBytes < 0 || maxBytes > this.maxTableBytes) return HPACK_ERROR;
      this.table.resize(maxBytes);
      return cursor.at;
    }
    return this.decodeLiteralField(chunk, at, end, 4, receiver);
  }

  private emitIndexed(index: number, receiver: FieldReceiver): boolean {
    if (index <= STATIC_TABLE_LENGTH) {
      if (index === 0) return false;
      receiver.onField(STATIC_NAMES[index] as string, STATIC_VALUES[index] as string, STATIC_CLASSES[index] as number);
      return true;
    }
    const { table } = this;
    const dynamicIndex = index - STATIC_TABLE_LENGTH - 1;
    if (dynamicIndex >= table.length) return false;
    receiver.onField(table.nameAt(dynamicIndex), table.valueAt(dynamicIndex), table.classAt(dynamicIndex));
    return true;
  }

  /** A literal field (§6.2): with incremental indexing (prefix of six bits), without, or never indexed (four). */
  private decodeLiteralField(chunk: Uint8Array, at: number, end: number, prefixBits: number, receiver: FieldReceiver): number {
    const isIndexed = prefixBits === 6;
    const isSecret = !isIndexed && ((chunk[at] as number) & 0x10) !== 0;
    const { cursor, table } = this;
    cursor.at = at;
    const index = decodeInteger(chunk, end, prefixBits, cursor);
    if (index < 0) return index === INTEGER_CUT ? at : HPACK_ERROR;
    let name: string;
    let nameClass: number;
    if (index === 0) {
      const outcome = this.readLiteral(chunk, end, true, isSecret);
      if (outcome === LITERAL_TOO_LONG) return this.beginSkip(AT_SKIPPED_NAME, isIndexed, receiver);
      if (outcome !== LITERAL_READ) return outcome === LITERAL_CUT ? at : HPACK_ERROR;
      name = this.literal;
      nameClass = this.literalClass;
    } else if (index <= STATIC_TABLE_LENGTH) {
      name = STATIC_NAMES[index] as string;
      nameClass = STATIC_CLASSES[index] as number;
    } else {
      const dynamicIndex = index - STATIC_TABLE_LENGTH - 1;
      if (dynamicIndex >= table.length) return HPACK_ERROR;
      name = table.nameAt(dynamicIndex);
      // The class of an entry speaks of its value too, which is not the one that follows.
      nameClass = table.classAt(dynamicIndex) & ~VALUE_MALFORMED;
    }
    const outcome = this.readLiteral(chunk, end, false, isSecret);
    if (outcome === LITERAL_TOO_LONG) return this.beginSkip(AT_SKIPPED_VALUE, isIndexed, receiver);
    if (outcome !== LITERAL_READ) return outcome === LITERAL_CUT ? at : HPACK_ERROR;
    this.isBlockBegun = true;
    const value = this.literal;
    const fieldClass = joinClasses(nameClass, this.literalClass, value);
    if (isIndexed) table.insert(name, value, fieldClass);
    receiver.onField(name, value, fieldClass);
    return cursor.at;
  }

  /** A string literal (§5.2) at the cursor into `literal` and `literalClass`. */
  private readLiteral(chunk: Uint8Array, end: number, isName: boolean, isSecret: boolean): LiteralOutcome {
    const { cursor } = this;
    if (cursor.at >= end) return LITERAL_CUT;
    const isHuffman = (chunk[cursor.at] as number) >= 0x80;
    const bytes = decodeInteger(chunk, end, 7, cursor);
    if (bytes < 0) return bytes === INTEGER_CUT ? LITERAL_CUT : LITERAL_BAD;
    if (bytes > this.maxLiteralBytes) {
      this.skipBytes = bytes;
      return LITERAL_TOO_LONG;
    }
    const start = cursor.at;
    const literalEnd = start + bytes;
    if (literalEnd > end) return LITERAL_CUT;
    cursor.at = literalEnd;
    const cache = isName ? SHARED_NAMES : SHARED_VALUES;
    const slot = isSecret ? -1 : cache.slotOf(chunk, start, literalEnd);
    if (slot >= 0 && cache.holds(slot, chunk, start, literalEnd, isHuffman)) {
      this.literal = cache.text;
      this.literalClass = cache.textClass;
      return LITERAL_READ;
    }
    const text = isHuffman ? decodeHuffman(chunk, start, literalEnd) : decodeLatin1(chunk, start, literalEnd);
    if (text === undefined) return LITERAL_BAD;
    this.literal = text;
    this.literalClass = isName ? classifyName(text) : classifyValue(text);
    if (slot >= 0) cache.store(slot, chunk, start, literalEnd, isHuffman, text, this.literalClass);
    return LITERAL_READ;
  }

  private beginSkip(state: DecoderState, isIndexed: boolean, receiver: FieldReceiver): number {
    this.isBlockBegun = true;
    this.state = state;
    this.isSkippedIndexed = isIndexed;
    receiver.onFieldSkipped();
    return this.cursor.at;
  }

  /** Goes past a literal that is too long, and the value after it if it was a name. */
  private skip(chunk: Uint8Array, at: number, end: number): number {
    if (this.state === AT_SKIPPED_VALUE_LENGTH) {
      this.cursor.at = at;
      const bytes = decodeInteger(chunk, end, 7, this.cursor);
      if (bytes < 0) return bytes === INTEGER_CUT ? at : HPACK_ERROR;
      this.skipBytes = bytes;
      this.state = AT_SKIPPED_VALUE;
      at = this.cursor.at;
      if (bytes === 0) this.endSkip();
      return at;
    }
    const bytes = Math.min(this.skipBytes, end - at);
    this.skipBytes -= bytes;
    if (this.skipBytes === 0) {
      if (this.state === AT_SKIPPED_NAME) this.state = AT_SKIPPED_VALUE_LENGTH;
      else this.endSkip();
    }
    return at + bytes;
  }

  private endSkip(): void {
    this.state = AT_REPRESENTATION;
    if (this.isSkippedIndexed) this.table.insertOversized();
  }
}

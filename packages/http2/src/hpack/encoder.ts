// SPDX-License-Identifier: Apache-2.0
/*
 * The HPACK encoder (RFC 7541 §6): a field list into octets, straight into the connection's output. Literals go out raw:
 * inside a mesh the octets that Huffman coding saves cost less than its CPU on both sides. A list that was encoded a moment
 * ago, with the table unchanged since, is copied.
 */
import type { ByteWriter, FieldList } from '@weft/bytes';
import { H2UsageError } from '../errors.ts';
import { NAME_MALFORMED, classifyName } from '../message/field-class.ts';
import { ENTRY_OVERHEAD_BYTES } from './dynamic-table.ts';
import { EncoderTable, NameSlot } from './encoder-table.ts';
import { encodeHuffman, huffmanLength } from './huffman.ts';
import { INDEXING_INCREMENTAL, INDEXING_NEVER, INDEXING_NONE, indexingOf } from './index-policy.ts';
import { encodeInteger } from './integer.ts';
import { type RecentBlock, RecentBlocks } from './recent-blocks.ts';

/** Octets that would end a field line, and units that are no octets: RFC 9113 §8.2.1. */
const FORBIDDEN_IN_VALUE = /[\0\r\n\u0100-\uffff]/;

/** Encodes the field blocks of one direction of one connection, in order. */
export class HpackEncoder {
  private readonly table: EncoderTable;
  /** The table never grows beyond this, whatever the peer allows. */
  private readonly ownMaxBytes: number;
  private readonly useHuffman: boolean;
  private readonly recent: RecentBlocks = new RecentBlocks();
  /** Size updates to send before the next field: the smallest size in between, and the last (RFC 7541 §4.2). */
  private smallestPendingBytes = -1;
  private lastPendingBytes = -1;

  constructor(maxTableBytes: number, useHuffman: boolean = false) {
    this.table = new EncoderTable(maxTableBytes);
    this.ownMaxBytes = maxTableBytes;
    this.useHuffman = useHuffman;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerMaxTableBytes(bytes: number): void {
    const maxBytes = Math.min(bytes, this.ownMaxBytes);
    if (maxBytes === this.table.maxBytes && this.lastPendingBytes < 0) return;
    this.smallestPendingBytes = this.smallestPendingBytes < 0 ? maxBytes : Math.min(this.smallestPendingBytes, maxBytes);
    this.lastPendingBytes = maxBytes;
  }

  /** The block being encoded will never be sent: empties the tables of both ends with the next one, so that they agree again. */
  abandonBlock(): void {
    const maxBytes = this.lastPendingBytes < 0 ? this.table.maxBytes : this.lastPendingBytes;
    this.table.resize(0);
    this.smallestPendingBytes = 0;
    this.lastPendingBytes = maxBytes;
  }

  /**
   * Appends the field block of `fields` to `out`. Throws H2UsageError on a name that is not lower-case, or a value with CR, LF,
   * NUL or a character beyond latin1; then the caller drops what was appended and calls `abandonBlock`.
   */
  encode(fields: Readonly<FieldList>, out: ByteWriter): void {
    if (this.lastPendingBytes >= 0) this.encodeSizeUpdates(out);
    const { recent, table } = this;
    table.blockCount++;
    const { generation } = table;
    if (recent.replay(fields, generation, out)) return;
    const template = recent.template(fields, generation);
    if (template !== undefined) {
      this.encodeByTemplate(fields, template, out);
      return;
    }
    const start = out.length;
    const offsets = recent.beginOffsets(fields.length);
    for (let i = 0; i < fields.length; i += 2) {
      offsets[i >> 1] = out.length - start;
      this.encodeField(fields[i] as string, fields[i + 1] as string, out);
    }
    if (table.generation === generation) recent.store(fields, generation, out, start);
  }

  /** Encodes a list that mostly equals a recent one: what is equal is copied, while the table stays as it was then. */
  private encodeByTemplate(fields: Readonly<FieldList>, template: RecentBlock, out: ByteWriter): void {
    const { table } = this;
    const { generation } = template;
    const known = template.fields;
    let i = 0;
    while (i < fields.length) {
      let end = i;
      if (table.generation === generation) {
        while (end < fields.length && known[end] === fields[end] && known[end + 1] === fields[end + 1]) end += 2;
      }
      if (end > i) {
        out.writeBytes(template.octets, template.offsetOf(i), template.offsetOf(end));
        i = end;
      } else {
        this.encodeField(fields[i] as string, fields[i + 1] as string, out);
        i += 2;
      }
    }
  }

  private encodeSizeUpdates(out: ByteWriter): void {
    if (this.smallestPendingBytes < this.lastPendingBytes) {
      this.table.resize(this.smallestPendingBytes);
      encodeInteger(out, 0x20, 5, this.smallestPendingBytes);
    }
    this.table.resize(this.lastPendingBytes);
    encodeInteger(out, 0x20, 5, this.lastPendingBytes);
    this.smallestPendingBytes = -1;
    this.lastPendingBytes = -1;
  }

  private encodeField(name: string, value: string, out: ByteWriter): void {
    const { table } = this;
    let slot = table.slotOf(name);
    if (slot === undefined) {
      if ((classifyName(name) & NAME_MALFORMED) !== 0) {
        throw new H2UsageError('ERR_H2_FIELD_NAME', `not a lower-case field name: ${JSON.stringify(name)}`);
      }
      slot = new NameSlot(name);
      if (slot.staticIndex !== 0) table.addSlot(name, slot);
    }
    const index = table.fieldIndex(slot, value);
    if (index !== 0) {
      encodeInteger(out, 0x80, 7, index);
      return;
    }
    if (FORBIDDEN_IN_VALUE.test(value)) throw new H2UsageError('ERR_H2_FIELD_VALUE', `value of ${name} cannot be sent`);
    const entryBytes = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    let indexing = indexingOf(slot.indexRule, entryBytes, value, table.maxBytes);
    if (indexing === INDEXING_INCREMENTAL && !table.isWorthInserting(slot, value)) indexing = INDEXING_NONE;
    const nameIndex = table.nameIndex(slot);
    if (indexing === INDEXING_INCREMENTAL) {
      encodeInteger(out, 0x40, 6, nameIndex);
    } else {
      encodeInteger(out, indexing === INDEXING_NEVER ? 0x10 : 0x00, 4, nameIndex);
    }
    if (nameIndex === 0) this.encodeLiteral(name, out);
    this.encodeLiteral(value, out);
    if (indexing === INDEXING_INCREMENTAL) table.insert(name, slot, value);
  }

  private encodeLiteral(text: string, out: ByteWriter): void {
    if (this.useHuffman) {
      const bytes = huffmanLength(text);
      if (bytes < text.length) {
        encodeInteger(out, 0x80, 7, bytes);
        out.reserve(bytes);
        out.length = encodeHuffman(text, out.buffer, out.length);
        return;
      }
    }
    encodeInteger(out, 0x00, 7, text.length);
    out.writeLatin1(text);
  }
}

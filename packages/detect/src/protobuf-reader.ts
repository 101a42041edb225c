// SPDX-License-Identifier: Apache-2.0
/*
 * Just enough of the protobuf wire format to read one small message without a runtime: fields one after another, unknown ones skipped. Groups
 * (deprecated; no writer of ours makes them) are skipped too, to a bounded depth.
 */

export const WIRE_VARINT = 0;
const WIRE_64_BIT = 1;
export const WIRE_BYTES = 2;
const WIRE_GROUP_START = 3;
const WIRE_GROUP_END = 4;
const WIRE_32_BIT = 5;

/** Deepest nesting of skipped groups. */
const GROUP_MAX_DEPTH = 16;
const FIELD_NUMBER_MAX = 0x1fffffff;

/** A cursor over the fields of one message. Reads within `[start, end)` only. */
export class ProtobufReader {
  fieldNumber = 0;
  wireType = 0;
  /** Value of a varint field, truncated to 32 bits as protobuf does. */
  int32 = 0;
  /** Range of a length-delimited field. */
  bytesStart = 0;
  bytesEnd = 0;
  /** Set when `next` stopped because of bad bytes rather than at the end. */
  isMalformed = false;
  private readonly bytes: Uint8Array;
  private readonly end: number;
  private at: number;
  /** Bits 32 and up of the varint read last. */
  private highBits = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Moves to the next field; false at the end and on malformed bytes. */
  next(): boolean {
    if (this.at === this.end || this.isMalformed) return false;
    if (!this.readTag() || this.wireType === WIRE_GROUP_END || !this.readValue()) {
      this.isMalformed = true;
      return false;
    }
    return true;
  }

  /** Reads the rest; whether it was well formed. */
  skipAll(): boolean {
    while (this.next());
    return !this.isMalformed;
  }

  private readTag(): boolean {
    if (!this.readVarint() || this.highBits !== 0) return false;
    const tag = this.int32 >>> 0;
    this.fieldNumber = tag >>> 3;
    this.wireType = tag & 7;
    return this.fieldNumber > 0 && this.fieldNumber <= FIELD_NUMBER_MAX;
  }

  private readValue(): boolean {
    switch (this.wireType) {
      case WIRE_VARINT:
        return this.readVarint();
      case WIRE_64_BIT:
        return this.skip(8);
      case WIRE_32_BIT:
        return this.skip(4);
      case WIRE_BYTES: {
        if (!this.readVarint() || this.highBits !== 0) return false;
        this.bytesStart = this.at;
        if (!this.skip(this.int32 >>> 0)) return false;
        this.bytesEnd = this.at;
        return true;
      }
      case WIRE_GROUP_START:
        return this.skipGroup();
      default:
        return false;
    }
  }

  private skip(bytes: number): boolean {
    if (bytes > this.end - this.at) return false;
    this.at += bytes;
    return true;
  }

  private skipGroup(): boolean {
    const { fieldNumber } = this;
    const open = [fieldNumber];
    while (open.length > 0) {
      if (!this.readTag()) return false;
      if (this.wireType === WIRE_GROUP_END) {
        if (open.pop() !== this.fieldNumber) return false;
      } else if (this.wireType === WIRE_GROUP_START) {
        if (open.length === GROUP_MAX_DEPTH) return false;
        open.push(this.fieldNumber);
      } else if (!this.readValue()) {
        return false;
      }
    }
    this.fieldNumber = fieldNumber;
    this.wireType = WIRE_GROUP_START;
    return true;
  }

  /** At most ten bytes; bits above 32 are kept only as "were there any". */
  private readVarint(): boolean {
    let value = 0;
    this.highBits = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at === this.end) return false;
      const byte = this.bytes[this.at++] as number;
      if (shift < 28) value |= (byte & 0x7f) << shift;
      else if (shift === 28) {
        value |= (byte & 0x0f) << 28;
        this.highBits |= (byte & 0x7f) >>> 4;
      } else this.highBits |= byte & 0x7f;
      if (byte < 0x80) {
        this.int32 = value | 0;
        return true;
      }
    }
    return false;
  }
}

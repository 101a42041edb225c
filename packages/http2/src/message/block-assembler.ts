// SPDX-License-Identifier: Apache-2.0
/*
 * Field blocks from HEADERS and CONTINUATION (RFC 9113 §4.3, §6.10) to field sections. Fragments are decoded as they come; only
 * a representation that a fragment cuts is held until the next one, and the decoder bounds its size.
 */
import { Buffer } from 'node:buffer';
import { H2_CODES } from '../codes.ts';
import { HPACK_ERROR, HpackDecoder } from '../hpack/decoder.ts';
import type { H2Code } from '../types.ts';
import { FieldSection } from './field-section.ts';
import { KnownBlocks } from './known-blocks.ts';

/** Decodes the field blocks a peer sends, in order. */
export class BlockAssembler {
  /** The section being collected, or just completed. */
  readonly section: FieldSection;
  private readonly decoder: HpackDecoder;
  private readonly known: KnownBlocks = new KnownBlocks();
  private carry: Buffer | undefined = undefined;

  constructor(tableBytes: number, maxListBytes: number, maxFieldCount: number) {
    this.section = new FieldSection(maxListBytes, maxFieldCount);
    this.decoder = new HpackDecoder(tableBytes, maxListBytes);
  }

  /** The first fragment of a block. NO_ERROR or COMPRESSION_ERROR; with `isEnd`, `section` is complete. */
  begin(chunk: Uint8Array, start: number, end: number, isEnd: boolean): H2Code {
    if (!isEnd) {
      this.section.begin();
      return this.decode(chunk, start, end, false);
    }
    const { decoder, section } = this;
    const { generation } = decoder;
    const facts = this.known.find(chunk, start, end, generation);
    if (facts !== undefined) {
      section.restore(facts);
      return H2_CODES.NO_ERROR;
    }
    section.begin();
    const code = this.decode(chunk, start, end, true);
    if (code === H2_CODES.NO_ERROR && decoder.generation === generation && this.known.accepts(end - start)) {
      if (!section.isMalformed && !section.isOversized) this.known.keep(chunk, start, end, generation, section.keep());
    }
    return code;
  }

  /** A further fragment. */
  append(chunk: Uint8Array, start: number, end: number, isEnd: boolean): H2Code {
    const { carry } = this;
    if (carry === undefined) return this.decode(chunk, start, end, isEnd);
    this.carry = undefined;
    const joined = Buffer.allocUnsafe(carry.length + end - start);
    joined.set(carry, 0);
    joined.set(chunk.subarray(start, end), carry.length);
    return this.decode(joined, 0, joined.length, isEnd);
  }

  private decode(chunk: Uint8Array, start: number, end: number, isEnd: boolean): H2Code {
    const at = this.decoder.decode(chunk, start, end, isEnd, this.section);
    if (at === HPACK_ERROR) return H2_CODES.COMPRESSION_ERROR;
    if (at < end) this.carry = Buffer.from(chunk.subarray(at, end));
    return H2_CODES.NO_ERROR;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The last few field lists encoded without a change to the table, and their octets. While the table stays as it was, an
 * equal list encodes to equal octets, so they are copied, and so are the equal fields of a list that differs in some, such as
 * `:path`. Contents are compared, not identities: comparing strings that are the same object costs next to nothing, and a list
 * changed in place cannot deceive.
 */
import type { ByteWriter, FieldList } from '@weft/bytes';

const KEPT_BLOCKS = 4;
/** Longer blocks are not kept: they hold long values, which do not repeat. */
const MAX_BLOCK_BYTES = 256;
const MAX_BLOCK_FIELDS = 64;
/** A list serves as template for another of the same length in which at most so many strings differ. */
const MAX_DIFFERENCES = 3;

/** One list and its encoding. */
export class RecentBlock {
  fields: string[] = [];
  generation = -1;
  readonly octets: Uint8Array = new Uint8Array(MAX_BLOCK_BYTES);
  octetCount = 0;
  /** Where each field begins in `octets`. */
  readonly offsets: Uint16Array = new Uint16Array(MAX_BLOCK_FIELDS);

  /** Where the field at `fields[i]` begins; for `fields.length`, the end. */
  offsetOf(i: number): number {
    return i === this.fields.length ? this.octetCount : (this.offsets[i >> 1] as number);
  }
}

/** Offsets of the list being encoded; one for all connections, since encoding is not interrupted. */
const SCRATCH_OFFSETS: Uint16Array = new Uint16Array(MAX_BLOCK_FIELDS);

/** Replays field blocks. */
export class RecentBlocks {
  private readonly blocks: RecentBlock[] = [];
  private latest = 0;

  /** Appends the octets of a list equal to `fields` if one is known at `generation`; returns whether it was. */
  replay(fields: Readonly<FieldList>, generation: number, out: ByteWriter): boolean {
    const { blocks } = this;
    const count = blocks.length;
    for (let i = 0; i < count; i++) {
      // From the latest on: the next list is most likely the same again.
      const at = this.latest + i < count ? this.latest + i : this.latest + i - count;
      const block = blocks[at] as RecentBlock;
      if (block.generation === generation && isEqualList(block.fields, fields)) {
        out.writeBytes(block.octets, 0, block.octetCount);
        this.latest = at;
        return true;
      }
    }
    return false;
  }

  /** A list known at `generation` that mostly equals `fields`. */
  template(fields: Readonly<FieldList>, generation: number): RecentBlock | undefined {
    for (const block of this.blocks) {
      if (block.generation === generation && isSimilarList(block.fields, fields)) return block;
    }
    return undefined;
  }

  /** Where to note the offsets of a list about to be encoded and stored. */
  beginOffsets(stringCount: number): Uint16Array {
    return stringCount <= MAX_BLOCK_FIELDS * 2 ? SCRATCH_OFFSETS : new Uint16Array(stringCount >> 1);
  }

  /** Keeps what `out` got from `start` on as the encoding of `fields`, whose offsets were just noted. */
  store(fields: Readonly<FieldList>, generation: number, out: ByteWriter, start: number): void {
    const octetCount = out.length - start;
    if (octetCount > MAX_BLOCK_BYTES || fields.length > MAX_BLOCK_FIELDS * 2) return;
    const { blocks } = this;
    let block: RecentBlock;
    if (blocks.length < KEPT_BLOCKS) {
      block = new RecentBlock();
      blocks.push(block);
      this.latest = blocks.length - 1;
    } else {
      this.latest = (this.latest + KEPT_BLOCKS - 1) % KEPT_BLOCKS;
      block = blocks[this.latest] as RecentBlock;
    }
    block.fields = fields.slice();
    block.generation = generation;
    block.octets.set(out.buffer.subarray(start, out.length));
    block.octetCount = octetCount;
    block.offsets.set(SCRATCH_OFFSETS);
  }
}

function isEqualList(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  // Fields that differ between requests of one client stand late more often than early, `:path` excepted.
  for (let i = a.length - 1; i >= 0; i--) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

function isSimilarList(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  let differences = 0;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i] && ++differences > MAX_DIFFERENCES) return false;
  }
  return true;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The last few field lists encoded without a change to the table, and their octets. While the table stays as it was, an
 * equal list encodes to equal octets, so they are copied. Contents are compared, not identities: comparing strings that are
 * the same object costs next to nothing, and a list changed in place cannot deceive.
 */
import type { ByteWriter, FieldList } from '@weft/bytes';

const KEPT_BLOCKS = 4;
/** Longer blocks are not kept: they hold long values, which do not repeat. */
const MAX_BLOCK_BYTES = 256;

class RecentBlock {
  fields: string[] = [];
  generation = -1;
  readonly octets: Uint8Array = new Uint8Array(MAX_BLOCK_BYTES);
  octetCount = 0;
}

/** Replays field blocks. */
export class RecentBlocks {
  private readonly blocks: RecentBlock[] = [];
  private latest = 0;
  /** Lists that matched and lists that did not, for measurements. */
  hitCount = 0;
  missCount = 0;

  /** Appends the octets of a list equal to `fields` if one is known at `generation`; returns whether it was. */
  replay(fields: Readonly<FieldList>, generation: number, out: ByteWriter): boolean {
    const { blocks } = this;
    for (let i = 0; i < blocks.length; i++) {
      // From the latest on: the next list is most likely the same again.
      const block = blocks[(this.latest + i) % blocks.length] as RecentBlock;
      if (block.generation === generation && isEqualList(block.fields, fields)) {
        out.writeBytes(block.octets, 0, block.octetCount);
        this.latest = (this.latest + i) % blocks.length;
        this.hitCount++;
        return true;
      }
    }
    this.missCount++;
    return false;
  }

  /** Keeps what `out` got from `start` on as the encoding of `fields`. */
  store(fields: Readonly<FieldList>, generation: number, out: ByteWriter, start: number): void {
    const octetCount = out.length - start;
    if (octetCount > MAX_BLOCK_BYTES) return;
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
  }
}

function isEqualList(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  // The fields that differ between requests of one client stand late more often than early, `:path` excepted.
  for (let i = a.length - 1; i >= 0; i--) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

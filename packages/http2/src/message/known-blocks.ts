// SPDX-License-Identifier: Apache-2.0
/*
 * The last few field blocks that left the decoder's table unchanged, and the sections they came to. While the table stays as
 * it was, equal octets mean equal fields, so the section is restored, list and verdict, without decoding. Between two proxies
 * most requests repeat, and this is what makes them cheap.
 */
import type { SectionFacts } from './field-section.ts';

const KEPT_BLOCKS = 4;
/** Longer blocks are not kept: they hold long literals, which do not repeat. */
const MAX_BLOCK_BYTES = 256;

class KnownBlock {
  generation = -1;
  readonly octets: Uint8Array = new Uint8Array(MAX_BLOCK_BYTES);
  octetCount = 0;
  facts: SectionFacts | undefined = undefined;
}

/** Sections by field block. */
export class KnownBlocks {
  private readonly blocks: KnownBlock[] = [];
  private latest = 0;
  /** Blocks kept since the last one that was found again. */
  private unusedCount = 0;

  /** The section of the block `chunk[start, end)` at `generation`, if it is known. */
  find(chunk: Uint8Array, start: number, end: number, generation: number): SectionFacts | undefined {
    const { blocks } = this;
    const count = blocks.length;
    for (let i = 0; i < count; i++) {
      const at = this.latest + i < count ? this.latest + i : this.latest + i - count;
      const block = blocks[at] as KnownBlock;
      if (block.generation === generation && block.octetCount === end - start && isEqual(block.octets, chunk, start, end)) {
        this.latest = at;
        this.unusedCount = 0;
        return block.facts;
      }
    }
    return undefined;
  }

  /** Keeps the section of a block that was decoded without changing the table. */
  keep(chunk: Uint8Array, start: number, end: number, generation: number, facts: SectionFacts): void {
    const { blocks } = this;
    let block: KnownBlock;
    if (blocks.length < KEPT_BLOCKS) {
      block = new KnownBlock();
      blocks.push(block);
      this.latest = blocks.length - 1;
    } else {
      // The one before the latest in the order of search is the one found longest ago, or nearly.
      this.latest = (this.latest + KEPT_BLOCKS - 1) % KEPT_BLOCKS;
      block = blocks[this.latest] as KnownBlock;
    }
    block.generation = generation;
    block.facts = facts;
    block.octetCount = end - start;
    for (let at = start; at < end; at++) block.octets[at - start] = chunk[at] as number;
  }

  /** Whether a block of this size is worth keeping: where none ever comes again, only now and then. */
  accepts(bytes: number): boolean {
    if (bytes > MAX_BLOCK_BYTES) return false;
    this.unusedCount++;
    return this.unusedCount <= KEPT_BLOCKS * 2 || this.unusedCount % 16 === 0;
  }
}

function isEqual(octets: Uint8Array, chunk: Uint8Array, start: number, end: number): boolean {
  // Blocks that differ mostly differ near the end, where literals stand.
  for (let at = end - 1; at >= start; at--) {
    if (octets[at - start] !== chunk[at]) return false;
  }
  return true;
}

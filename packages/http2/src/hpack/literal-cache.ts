// SPDX-License-Identifier: Apache-2.0
/*
 * Remembers short string literals by their octets on the wire, so that a literal seen a moment ago costs a comparison
 * instead of a Huffman decode, a new string and a look at every character. Direct-mapped: a collision only overwrites, so no
 * input makes it slow. One cache serves all connections of a thread; never-indexed literals stay out of it, since they may
 * be secrets (RFC 7541 §7.1.3).
 */

/** Longer literals are not kept. */
const MAX_LITERAL_BYTES = 64;

/** Strings by literal. After a successful `find`, `text` and `textClass` tell what was found. */
export class LiteralCache {
  text = '';
  textClass = 0;
  private readonly mask: number;
  /** Octets of slot `i` at `[i * 64, …)`. */
  private readonly octets: Uint8Array;
  /** Length + 1, and 0x80 for Huffman-coded; 0: free. */
  private readonly tags: Uint8Array;
  private readonly texts: string[];
  private readonly classes: Int32Array;

  /** `slotCount` is a power of two. */
  constructor(slotCount: number) {
    this.mask = slotCount - 1;
    this.octets = new Uint8Array(slotCount * MAX_LITERAL_BYTES);
    this.tags = new Uint8Array(slotCount);
    this.texts = Array.from({ length: slotCount }, () => '');
    this.classes = new Int32Array(slotCount);
  }

  /** The slot for a literal, to hand to `holds` and `store`; -1 when it is too long to be kept. */
  slotOf(chunk: Uint8Array, start: number, end: number): number {
    const bytes = end - start;
    if (bytes > MAX_LITERAL_BYTES) return -1;
    let hash = bytes;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (chunk[at] as number), 0x0100_0193);
    return (hash ^ (hash >>> 15)) & this.mask;
  }

  /** Whether the slot holds this very literal; then `text` and `textClass` are set. */
  holds(slot: number, chunk: Uint8Array, start: number, end: number, isHuffman: boolean): boolean {
    if (this.tags[slot] !== tagOf(end - start, isHuffman)) return false;
    const { octets } = this;
    let own = slot * MAX_LITERAL_BYTES;
    for (let at = start; at < end; at++) {
      if (octets[own++] !== chunk[at]) return false;
    }
    this.text = this.texts[slot] as string;
    this.textClass = this.classes[slot] as number;
    return true;
  }

  store(slot: number, chunk: Uint8Array, start: number, end: number, isHuffman: boolean, text: string, textClass: number): void {
    this.tags[slot] = tagOf(end - start, isHuffman);
    let own = slot * MAX_LITERAL_BYTES;
    for (let at = start; at < end; at++) this.octets[own++] = chunk[at] as number;
    this.texts[slot] = text;
    this.classes[slot] = textClass;
  }
}

function tagOf(bytes: number, isHuffman: boolean): number {
  return isHuffman ? bytes + 0x81 : bytes + 1;
}

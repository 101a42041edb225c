// SPDX-License-Identifier: Apache-2.0
/*
 * The last so many stream identifiers put in. Looking one up scans them all, which is cheap next to the rare frame that asks;
 * putting one in is a store. Grows as needed, so that connections without resets pay next to nothing.
 */

const INITIAL_SLOTS = 16;

/** A bounded memory of identifiers. */
export class IdRing {
  private readonly maxSlots: number;
  /** Made with the first identifier. 0 is none. */
  private ids: Int32Array | undefined = undefined;
  private nextSlot = 0;

  constructor(maxSlots: number) {
    this.maxSlots = maxSlots;
  }

  add(id: number): void {
    let { ids } = this;
    if (ids === undefined) {
      ids = new Int32Array(Math.min(INITIAL_SLOTS, this.maxSlots));
      this.ids = ids;
    } else if (this.nextSlot === ids.length) {
      if (ids.length < this.maxSlots) {
        const larger = new Int32Array(Math.min(ids.length * 2, this.maxSlots));
        larger.set(ids);
        ids = larger;
        this.ids = larger;
      } else {
        this.nextSlot = 0;
      }
    }
    ids[this.nextSlot++] = id;
  }

  has(id: number): boolean {
    return this.ids !== undefined && this.ids.includes(id);
  }
}

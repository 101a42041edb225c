// SPDX-License-Identifier: Apache-2.0
/*
 * The decoder's dynamic table (RFC 7541 §2.3.2, §4): a ring of entries, newest first by index, evicted from the oldest end
 * when the sum of sizes would exceed the maximum. Three parallel arrays instead of an object an entry.
 */

/** What RFC 7541 §4.1 adds to the lengths of name and value. */
export const ENTRY_OVERHEAD_BYTES = 32;

const INITIAL_SLOTS = 16;

/** Entries seen from the decoding side. Index 0 is the newest. */
export class DynamicTable {
  /** Entries held. */
  length = 0;
  /** Moves with every change, so that what depends on indexes can tell whether they still mean the same. */
  generation = 0;
  private maxBytes: number;
  private bytes = 0;
  // Made with the first entry: many a connection stays idle.
  private names: string[] = [];
  private values: string[] = [];
  private classes: number[] = [];
  /** Slot of the newest entry. */
  private head = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  nameAt(index: number): string {
    return this.names[(this.head - index) & (this.names.length - 1)] as string;
  }

  valueAt(index: number): string {
    return this.values[(this.head - index) & (this.names.length - 1)] as string;
  }

  classAt(index: number): number {
    return this.classes[(this.head - index) & (this.names.length - 1)] as number;
  }

  /** Inserts an entry, evicting as needed; one larger than the table empties it (§4.4). */
  insert(name: string, value: string, fieldClass: number): void {
    const entryBytes = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.generation++;
    this.evictTo(this.maxBytes - entryBytes);
    if (entryBytes > this.maxBytes) return;
    if (this.length === this.names.length) this.growSlots();
    this.head = (this.head + 1) & (this.names.length - 1);
    this.names[this.head] = name;
    this.values[this.head] = value;
    this.classes[this.head] = fieldClass;
    this.length++;
    this.bytes += entryBytes;
  }

  /** Inserts an entry known only to be larger than the table: it empties it (§4.4). */
  insertOversized(): void {
    this.generation++;
    this.evictTo(0);
  }

  /** A size update (§4.3). The caller has checked it against the announced limit. */
  resize(maxBytes: number): void {
    this.generation++;
    this.maxBytes = maxBytes;
    this.evictTo(maxBytes);
  }

  private evictTo(maxBytes: number): void {
    while (this.length > 0 && this.bytes > maxBytes) {
      const slot = (this.head - this.length + 1) & (this.names.length - 1);
      this.bytes -= (this.names[slot] as string).length + (this.values[slot] as string).length + ENTRY_OVERHEAD_BYTES;
      this.names[slot] = '';
      this.values[slot] = '';
      this.length--;
    }
  }

  private growSlots(): void {
    const { length } = this;
    const slots = Math.max(length * 2, INITIAL_SLOTS);
    const names = Array.from({ length: slots }, () => '');
    const values = Array.from({ length: slots }, () => '');
    const classes = Array.from({ length: slots }, () => 0);
    for (let index = 0; index < length; index++) {
      names[length - 1 - index] = this.nameAt(index);
      values[length - 1 - index] = this.valueAt(index);
      classes[length - 1 - index] = this.classAt(index);
    }
    this.names = names;
    this.values = values;
    this.classes = classes;
    this.head = length - 1;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The encoder's side of the tables (RFC 7541 §2.3): from name, then value, to index. Two levels, because building a
 * `name + value` key for each field would cost more than the lookup. Each name has one slot that also keeps its static
 * entries and its indexing rule; the newest value stands in the slot itself, and a map is made only for a second one.
 */
import { ENTRY_OVERHEAD_BYTES } from './dynamic-table.ts';
import { indexRuleOf } from './index-policy.ts';
import { STATIC_NAMES, STATIC_TABLE_LENGTH, STATIC_VALUES } from './static-table.ts';

/** After so many insertions in quick succession a name's values are taken for unique. */
const CHURN_LIMIT = 4;
/** Insertions so many blocks apart, or less, are in quick succession. */
const CHURN_BLOCKS = 4;
/** Names remembered at most beyond those in the tables. */
const MAX_SLOTS = 256;

/** The static entries of one name. */
interface StaticName {
  readonly firstIndex: number;
  readonly indexByValue: Map<string, number>;
  longestValue: number;
}

const STATIC_BY_NAME: ReadonlyMap<string, StaticName> = collectStaticNames();

function collectStaticNames(): Map<string, StaticName> {
  const byName = new Map<string, StaticName>();
  for (let index = 1; index <= STATIC_TABLE_LENGTH; index++) {
    const name = STATIC_NAMES[index] as string;
    let entry = byName.get(name);
    if (entry === undefined) {
      entry = { firstIndex: index, indexByValue: new Map(), longestValue: 0 };
      byName.set(name, entry);
    }
    const value = STATIC_VALUES[index] as string;
    entry.indexByValue.set(value, index);
    entry.longestValue = Math.max(entry.longestValue, value.length);
  }
  return byName;
}

/** What the encoder knows about one name. Serials count insertions from 1; 0 means none. */
export class NameSlot {
  readonly staticIndex: number;
  readonly staticValues: ReadonlyMap<string, number> | undefined;
  /** Longer values need not be looked up, which spares hashing them. */
  readonly longestStaticValue: number;
  readonly indexRule: number;
  newestValue = '';
  newestSerial = 0;
  /** Serials of older values. */
  olderSerials: Map<string, number> | undefined = undefined;
  /** How many insertions in a row came within a few blocks of the one before: the values do not repeat. */
  churn = 0;
  lastInsertBlock = 0;
  /** The last value that was left out for churn. */
  lastMissedValue = '';

  constructor(name: string) {
    const fixed = STATIC_BY_NAME.get(name);
    this.staticIndex = fixed === undefined ? 0 : fixed.firstIndex;
    this.staticValues = fixed?.indexByValue;
    this.longestStaticValue = fixed === undefined ? -1 : fixed.longestValue;
    this.indexRule = indexRuleOf(name);
  }
}

/** The dynamic table as the peer's decoder will have it. */
export class EncoderTable {
  maxBytes: number;
  /** Moves with every change, like `DynamicTable.generation`. */
  generation = 0;
  /** Blocks encoded so far. */
  blockCount = 0;
  private bytes = 0;
  /** Made with the first name: many a connection stays idle. */
  private slots: Map<string, NameSlot> | undefined = undefined;
  /** Entries, oldest first, name and value by turns; live from `oldestAt`. */
  private entries: string[] = [];
  private oldestAt = 0;
  private insertedCount = 0;
  private evictedCount = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  slotOf(name: string): NameSlot | undefined {
    return this.slots === undefined ? undefined : this.slots.get(name);
  }

  /** Remembers a name that has static entries or is about to get a dynamic one. */
  addSlot(name: string, slot: NameSlot): void {
    this.slots ??= new Map();
    this.slots.set(name, slot);
  }

  /** The index of the whole field, or 0. */
  fieldIndex(slot: NameSlot, value: string): number {
    if (slot.newestSerial !== 0 && slot.newestValue === value) return this.indexOfSerial(slot.newestSerial);
    if (value.length <= slot.longestStaticValue) {
      const fixed = slot.staticValues?.get(value);
      if (fixed !== undefined) return fixed;
    }
    // Looking up would mean hashing a value that most likely was never seen.
    if (slot.churn >= CHURN_LIMIT) return 0;
    const older = slot.olderSerials?.get(value);
    return older === undefined ? 0 : this.indexOfSerial(older);
  }

  /**
   * Whether inserting this value is likely to pay: not for names whose values differ in almost every block, such as request
   * identifiers, unless the value comes a second time in a row. They would push out what repeats.
   */
  isWorthInserting(slot: NameSlot, value: string): boolean {
    if (slot.churn < CHURN_LIMIT) return true;
    if (slot.lastMissedValue === value) {
      slot.churn = 0;
      return true;
    }
    slot.lastMissedValue = value;
    return false;
  }

  /** An index of the name, or 0. */
  nameIndex(slot: NameSlot): number {
    if (slot.staticIndex !== 0) return slot.staticIndex;
    return slot.newestSerial === 0 ? 0 : this.indexOfSerial(slot.newestSerial);
  }

  /** Inserts as the decoder will on reading the literal. The caller has made sure that the entry fits the table. */
  insert(name: string, slot: NameSlot, value: string): void {
    this.generation++;
    slot.churn = slot.newestSerial !== 0 && this.blockCount - slot.lastInsertBlock <= CHURN_BLOCKS ? slot.churn + 1 : 0;
    slot.lastInsertBlock = this.blockCount;
    const entryBytes = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.evictTo(this.maxBytes - entryBytes);
    // Eviction may just have dropped the name's slot.
    this.addSlot(name, slot);
    if (slot.newestSerial !== 0) {
      slot.olderSerials ??= new Map();
      slot.olderSerials.set(slot.newestValue, slot.newestSerial);
    }
    this.insertedCount++;
    slot.newestValue = value;
    slot.newestSerial = this.insertedCount;
    this.entries.push(name, value);
    this.bytes += entryBytes;
  }

  resize(maxBytes: number): void {
    this.generation++;
    this.maxBytes = maxBytes;
    this.evictTo(maxBytes);
  }

  private indexOfSerial(serial: number): number {
    return STATIC_TABLE_LENGTH + 1 + this.insertedCount - serial;
  }

  private evictTo(maxBytes: number): void {
    while (this.bytes > maxBytes && this.evictedCount < this.insertedCount) {
      const name = this.entries[this.oldestAt] as string;
      const value = this.entries[this.oldestAt + 1] as string;
      this.oldestAt += 2;
      this.evictedCount++;
      this.bytes -= name.length + value.length + ENTRY_OVERHEAD_BYTES;
      this.forget(name, value, this.evictedCount);
    }
    if (this.oldestAt >= 64 && this.oldestAt * 2 >= this.entries.length) {
      this.entries = this.entries.slice(this.oldestAt);
      this.oldestAt = 0;
    }
  }

  private forget(name: string, value: string, serial: number): void {
    const slot = this.slotOf(name);
    if (slot === undefined || this.slots === undefined) return;
    if (slot.newestSerial === serial) {
      // The newest went, so no older one is left.
      slot.newestSerial = 0;
      slot.newestValue = '';
      // What was learnt about churning names outlives their entries, for a bounded number of them.
      if (slot.staticIndex === 0 && (slot.churn < CHURN_LIMIT || this.slots.size > MAX_SLOTS)) this.slots.delete(name);
    } else if (slot.olderSerials !== undefined && slot.olderSerials.get(value) === serial) {
      slot.olderSerials.delete(value);
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Field lines that were encoded before. Heads repeat, at least in most of their fields; where a field's name and value are
 * the same strings as last time its octets are copied, in runs, and only the rest is checked and stored anew. What a hit
 * means rests on comparing strings, never on an array's identity, so a caller may change its arrays.
 */
import { Buffer } from 'node:buffer';

/** Heads with equal field counts share a slot; request and response heads have caches of their own. */
const SLOT_COUNT = 32;
/** Blocks above this are not kept; all slots together stay below 64 KiB. */
const MAX_KEPT_BYTES = 2048;
/** So many fields may differ before a block counts as another one. */
const MAX_PATCHED_FIELDS = 3;
/**
 * After so many heads in a row that differed from the kept one, the next takes its place: what has changed (a date, say) is
 * likely to stay. Where that was wrong, the patience doubles, since keeping costs as much as several encodings.
 */
const MIN_PATIENCE_HEADS = 4;
const MAX_PATIENCE_HEADS = 256;

const NOTHING: Buffer = Buffer.alloc(0);

/** Stores one field line at `at`; returns the index behind it. Throws for characters that may not stand there. */
export type PutField = (buffer: Uint8Array, at: number, name: string, value: string) => number;

class Slot {
  /** The strings of the kept fields, as in a field list. */
  texts: readonly string[] = [];
  octets: Buffer = NOTHING;
  /** Where each line ends in `octets`; one entry per field. */
  readonly lineEnds: number[] = [];
  differentCount = 0;
  patienceHeads: number = 0;
}

/** Encodes field lists, reusing lines. */
export class FieldBlockCache {
  private readonly slots: Slot[] = Array.from({ length: SLOT_COUNT }, () => new Slot());
  private readonly putField: PutField;

  constructor(putField: PutField) {
    this.putField = putField;
  }

  /** Stores all field lines at `start`; returns the index behind them. There must be room. Throws as `PutField` does. */
  put(buffer: Buffer, start: number, fields: readonly string[]): number {
    const slot = this.slots[(fields.length >> 1) % SLOT_COUNT] as Slot;
    const isPatient = slot.differentCount < slot.patienceHeads;
    let end = -1;
    if (slot.texts.length === fields.length) end = this.patch(buffer, start, fields, slot);
    else slot.differentCount += 1;
    if (end >= 0 && (slot.differentCount === 0 || isPatient)) return end;
    return isPatient ? this.putAll(buffer, start, fields) : this.putAndKeep(buffer, start, fields, slot);
  }

  /** Copies equal runs, encodes the rest. Returns -1 where too much differs. */
  private patch(buffer: Buffer, start: number, fields: readonly string[], slot: Slot): number {
    const { texts, octets, lineEnds } = slot;
    let at = start;
    let runStart = 0;
    let runEnd = 0;
    let patchedFields = 0;
    for (let i = 0, line = 0; i < fields.length; i += 2, line++) {
      const lineEnd = lineEnds[line] as number;
      if (fields[i + 1] !== texts[i + 1] || fields[i] !== texts[i]) {
        if (++patchedFields > MAX_PATCHED_FIELDS) {
          slot.differentCount += 1;
          return -1;
        }
        at = copyRun(octets, runStart, runEnd, buffer, at);
        at = this.putField(buffer, at, fields[i] as string, fields[i + 1] as string);
        runStart = lineEnd;
      }
      runEnd = lineEnd;
    }
    if (patchedFields === 0) {
      slot.differentCount = 0;
      slot.patienceHeads = MIN_PATIENCE_HEADS;
    } else {
      slot.differentCount += 1;
    }
    return copyRun(octets, runStart, runEnd, buffer, at);
  }

  private putAll(buffer: Buffer, start: number, fields: readonly string[]): number {
    let at = start;
    for (let i = 0; i < fields.length; i += 2) at = this.putField(buffer, at, fields[i] as string, fields[i + 1] as string);
    return at;
  }

  private putAndKeep(buffer: Buffer, start: number, fields: readonly string[], slot: Slot): number {
    // Until all has been stored without a throw, the slot holds nothing.
    slot.texts = [];
    slot.lineEnds.length = 0;
    slot.differentCount = 0;
    slot.patienceHeads = Math.min(MAX_PATIENCE_HEADS, Math.max(MIN_PATIENCE_HEADS, slot.patienceHeads * 2));
    let at = start;
    for (let i = 0; i < fields.length; i += 2) {
      at = this.putField(buffer, at, fields[i] as string, fields[i + 1] as string);
      slot.lineEnds.push(at - start);
    }
    const bytes = at - start;
    if (bytes <= MAX_KEPT_BYTES) {
      if (slot.octets.length < bytes) slot.octets = Buffer.allocUnsafeSlow((bytes + 255) & ~255);
      buffer.copy(slot.octets, 0, start, at);
      slot.texts = fields.slice();
    }
    return at;
  }
}

function copyRun(octets: Buffer, start: number, end: number, target: Buffer, at: number): number {
  if (end > start) octets.copy(target, at, start, end);
  return at + end - start;
}

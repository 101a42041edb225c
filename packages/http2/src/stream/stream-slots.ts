// SPDX-License-Identifier: Apache-2.0
/*
 * Streams by identifier. Identifiers count up, and most streams are short, so an identifier's low bits are its slot; the few
 * long streams that a newer one meets in its slot move to a map. A map alone would be rebuilt every few streams, and in V8 the
 * tables left behind keep the streams they held alive until the next full collection.
 */
import type { H2Stream } from './stream.ts';

const MIN_SLOTS = 8;

/** The open streams of a connection. */
export class StreamSlots {
  /** Streams held. */
  size = 0;
  private slots: (H2Stream | undefined)[] = emptySlots(MIN_SLOTS);
  /** Streams whose slot another one has; made with the first. */
  private displaced: Map<number, H2Stream> | undefined = undefined;

  get(id: number): H2Stream | undefined {
    const stream = this.slots[(id >>> 1) & (this.slots.length - 1)];
    if (stream !== undefined && stream.id === id) return stream;
    return this.displaced === undefined ? undefined : this.displaced.get(id);
  }

  /** Adds a stream whose identifier is not held yet. */
  add(stream: H2Stream): void {
    if (this.size * 2 >= this.slots.length) this.resize(this.slots.length * 2);
    this.size++;
    this.place(stream);
  }

  /** Returns whether the stream was held. */
  delete(stream: H2Stream): boolean {
    const slot = (stream.id >>> 1) & (this.slots.length - 1);
    if (this.slots[slot] === stream) this.slots[slot] = undefined;
    else if (this.displaced === undefined || !this.displaced.delete(stream.id)) return false;
    this.size--;
    // What a burst needed is given back once it is over.
    if (this.size === 0 && this.slots.length > MIN_SLOTS * 32) this.slots = emptySlots(MIN_SLOTS);
    return true;
  }

  /** All streams, in no particular order; the visitor may delete the one it is given. */
  forEach(visit: (stream: H2Stream) => void): void {
    for (const stream of this.slots.filter((held) => held !== undefined)) visit(stream);
    for (const stream of this.displaced?.values() ?? []) visit(stream);
  }

  private place(stream: H2Stream): void {
    const slot = (stream.id >>> 1) & (this.slots.length - 1);
    const older = this.slots[slot];
    if (older !== undefined) {
      this.displaced ??= new Map();
      this.displaced.set(older.id, older);
    }
    this.slots[slot] = stream;
  }

  private resize(slotCount: number): void {
    const streams = [...this.slots.filter((held) => held !== undefined), ...(this.displaced?.values() ?? [])];
    this.slots = emptySlots(slotCount);
    this.displaced = undefined;
    for (const stream of streams) this.place(stream);
  }
}

function emptySlots(count: number): (H2Stream | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The items of a list as they arrive, so that a list of ten thousand pods never stands in memory as a whole: each item is handed out as the
 * text of one JSON object and forgotten, and what is around them is kept for the end. It looks at braces and strings only; whoever parses
 * an item finds what else is wrong with it. Source: Kubernetes API concepts, "Collections" (`items` of the outermost object).
 */
import { Buffer } from 'node:buffer';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

const AROUND = 0;
const BETWEEN = 1;
const ITEM = 2;
type Place = typeof AROUND | typeof BETWEEN | typeof ITEM;

const ITEMS = Buffer.from('items');

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** What went wrong: an item, or what is around the items, is longer than allowed, or `items` holds something that is no object. */
export type ListSplitterFault = 'too-long' | 'malformed';

/** Splits one list. */
export class ListSplitter {
  private readonly maxBytes: number;
  private readonly onItem: (text: string) => void;
  private place: Place;
  private depth: number;
  private isInString: boolean;
  private isEscaped: boolean;
  /** Of the string at depth 1 that is or was just read, whether it still spells `items`: bytes that matched, -1 for a mismatch. */
  private matched: number;
  /** Just behind a string at depth 1 that was `items`; then also behind its colon. */
  private isAfterKey: boolean;
  private isAfterColon: boolean;
  private hasItems: boolean;
  private parts: Buffer[];
  private partBytes: number;
  private around: Buffer[];
  private aroundBytes: number;

  /** `onItem` gets each item's JSON; `maxBytes` bounds one item, and all that is not items. */
  constructor(maxBytes: number, onItem: (text: string) => void) {
    this.maxBytes = maxBytes;
    this.onItem = onItem;
    this.place = AROUND;
    this.depth = 0;
    this.isInString = false;
    this.isEscaped = false;
    this.matched = -1;
    this.isAfterKey = false;
    this.isAfterColon = false;
    this.hasItems = false;
    this.parts = [];
    this.partBytes = 0;
    this.around = [];
    this.aroundBytes = 0;
  }

  /** The JSON around the items, whose `items` is empty. Complete once the list is. */
  get envelope(): string {
    return Buffer.concat(this.around).toString('utf8');
  }

  /** Takes bytes, which it may keep views of until the item that they belong to is complete. Returns what is wrong with them. */
  push(chunk: Buffer): ListSplitterFault | undefined {
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] as number;
      if (this.isInString) {
        if (this.isEscaped) this.isEscaped = false;
        else if (byte === BACKSLASH) {
          this.isEscaped = true;
          this.matched = -1;
        } else if (byte === QUOTE) {
          this.isInString = false;
          this.isAfterKey = this.place === AROUND && this.depth === 1 && this.matched === ITEMS.length;
        } else if (this.matched >= 0) this.matched = ITEMS[this.matched] === byte ? this.matched + 1 : -1;
        continue;
      }
      if (this.place === BETWEEN) {
        if (byte === OPEN_BRACE) {
          this.place = ITEM;
          start = at;
          this.depth = 1;
        } else if (byte === CLOSE_BRACKET) {
          this.place = AROUND;
          this.depth = 1;
          start = at;
        } else if (byte !== COMMA && !isSpace(byte)) return 'malformed';
        continue;
      }
      switch (byte) {
        case QUOTE:
          this.isInString = true;
          this.matched = this.place === AROUND && this.depth === 1 ? 0 : -1;
          break;
        case OPEN_BRACE:
        case OPEN_BRACKET:
          if (this.isAfterColon && byte === OPEN_BRACKET && !this.hasItems) {
            this.hasItems = true;
            this.keepAround(chunk.subarray(start, at + 1));
            this.place = BETWEEN;
            this.isAfterColon = false;
            continue;
          }
          this.depth += 1;
          break;
        case CLOSE_BRACE:
        case CLOSE_BRACKET:
          this.depth -= 1;
          if (this.place === ITEM && this.depth === 0) {
            if (this.partBytes + at + 1 - start > this.maxBytes) return 'too-long';
            this.take(chunk.subarray(start, at + 1));
            this.place = BETWEEN;
            start = at + 1;
          }
          break;
      }
      if (this.place === AROUND && !isSpace(byte)) {
        this.isAfterColon = byte === COLON && this.isAfterKey;
        this.isAfterKey = false;
      }
    }
    return this.keepRest(chunk, start);
  }

  private take(last: Buffer): void {
    const text = this.parts.length === 0 ? last.toString('utf8') : Buffer.concat([...this.parts, last]).toString('utf8');
    this.parts = [];
    this.partBytes = 0;
    this.onItem(text);
  }

  private keepAround(bytes: Buffer): void {
    // A copy: what is around the items is short and lives long.
    this.around.push(Buffer.from(bytes));
    this.aroundBytes += bytes.length;
  }

  private keepRest(chunk: Buffer, start: number): ListSplitterFault | undefined {
    if (this.place === AROUND) this.keepAround(chunk.subarray(start));
    else if (this.place === ITEM) {
      this.parts.push(chunk.subarray(start));
      this.partBytes += chunk.length - start;
    }
    return this.partBytes > this.maxBytes || this.aroundBytes > this.maxBytes ? 'too-long' : undefined;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * One field section as it is decoded: the list for the owner, and the facts by which the rules of RFC 9113 §8 judge it. Over
 * the limits of size (§10.5.1) or count, fields are counted and dropped at once, so that an attacker's block is never held.
 */
import type { FieldList } from '@weft/bytes';
import type { FieldReceiver } from '../hpack/decoder.ts';
import { ENTRY_OVERHEAD_BYTES } from '../hpack/dynamic-table.ts';
import {
  FIELD_MALFORMED,
  KIND_AUTHORITY,
  KIND_CONTENT_LENGTH,
  KIND_HOST,
  KIND_LAST_PSEUDO,
  KIND_METHOD,
  KIND_ORDINARY,
  KIND_PATH,
  KIND_SCHEME,
  KIND_SHIFT,
  KIND_STATUS,
} from './field-class.ts';

/** No Content-Length field. */
export const NO_CONTENT_LENGTH = -1;

/** As what a section has passed the rules, see `FieldSection.approvedAs`. */
export const APPROVED_NONE = 0;
export const APPROVED_REQUEST = 1;
export const APPROVED_RESPONSE = 2;
export type Approval = typeof APPROVED_NONE | typeof APPROVED_REQUEST | typeof APPROVED_RESPONSE;

/** What a well-formed section came to, kept to be restored when the same block comes again. */
export interface SectionFacts {
  readonly fields: FieldList;
  readonly listBytes: number;
  readonly seenKinds: number;
  readonly contentLength: number;
  readonly method: string;
  readonly scheme: string;
  readonly path: string;
  readonly authority: string;
  readonly status: string;
  approvedAs: Approval;
}

/** Collects fields. Reused from one section to the next of a connection. */
export class FieldSection implements FieldReceiver {
  fields: FieldList = [];
  /** A field broke a rule that holds in every kind of section: bad octets, a pseudo-field twice or late. */
  isMalformed = false;
  /** Over the limits; `fields` is empty then. */
  isOversized = false;
  /** Bit `1 << kind` for each pseudo-field, content-length and host that came. */
  seenKinds = 0;
  /** The number in Content-Length, or NO_CONTENT_LENGTH. */
  contentLength: number = NO_CONTENT_LENGTH;
  method = '';
  scheme = '';
  path = '';
  authority = '';
  status = '';
  /** The rules it is known to obey. */
  approvedAs: Approval = APPROVED_NONE;
  private keptAs: SectionFacts | undefined = undefined;
  /** Size of the list by RFC 9113 §10.5.1, dropped fields included. */
  listBytes = 0;
  private readonly maxListBytes: number;
  private readonly maxFieldCount: number;
  private hasOrdinary = false;

  constructor(maxListBytes: number, maxFieldCount: number) {
    this.maxListBytes = maxListBytes;
    this.maxFieldCount = maxFieldCount;
  }

  /** Starts a new section with a list of its own. */
  begin(): void {
    this.fields = [];
    this.isMalformed = false;
    this.isOversized = false;
    this.seenKinds = 0;
    this.contentLength = NO_CONTENT_LENGTH;
    this.method = '';
    this.scheme = '';
    this.path = '';
    this.authority = '';
    this.status = '';
    this.approvedAs = APPROVED_NONE;
    this.keptAs = undefined;
    this.listBytes = 0;
    this.hasOrdinary = false;
  }

  /** The facts of this section, to be given back to `restore`. Only for sections neither malformed nor oversized. */
  keep(): SectionFacts {
    this.keptAs = {
      fields: this.fields,
      listBytes: this.listBytes,
      seenKinds: this.seenKinds,
      contentLength: this.contentLength,
      method: this.method,
      scheme: this.scheme,
      path: this.path,
      authority: this.authority,
      status: this.status,
      approvedAs: this.approvedAs,
    };
    return this.keptAs;
  }

  /** Becomes the section that `facts` were kept of, with the very same list. */
  restore(facts: SectionFacts): void {
    this.fields = facts.fields;
    this.listBytes = facts.listBytes;
    this.isMalformed = false;
    this.isOversized = false;
    this.seenKinds = facts.seenKinds;
    this.contentLength = facts.contentLength;
    this.method = facts.method;
    this.scheme = facts.scheme;
    this.path = facts.path;
    this.authority = facts.authority;
    this.status = facts.status;
    this.approvedAs = facts.approvedAs;
    this.keptAs = facts;
  }

  /** Notes that the section passed the rules, also for the next time the same block comes. */
  approve(approval: Approval): void {
    this.approvedAs = approval;
    if (this.keptAs !== undefined) this.keptAs.approvedAs = approval;
  }

  onField(name: string, value: string, fieldClass: number): void {
    this.listBytes += name.length + value.length + ENTRY_OVERHEAD_BYTES;
    if (this.listBytes > this.maxListBytes || this.fields.length >= this.maxFieldCount * 2) {
      this.isOversized = true;
      this.fields = [];
      return;
    }
    if (this.isOversized) return;
    if ((fieldClass & FIELD_MALFORMED) !== 0) this.isMalformed = true;
    const kind = fieldClass >> KIND_SHIFT;
    if (kind === KIND_ORDINARY) this.hasOrdinary = true;
    else this.judge(kind, value);
    this.fields.push(name, value);
  }

  onFieldSkipped(): void {
    this.isOversized = true;
    this.fields = [];
  }

  private judge(kind: number, value: string): void {
    const bit = 1 << kind;
    if (kind <= KIND_LAST_PSEUDO) {
      if (this.hasOrdinary || (this.seenKinds & bit) !== 0) this.isMalformed = true;
      this.seenKinds |= bit;
      if (kind === KIND_METHOD) this.method = value;
      else if (kind === KIND_SCHEME) this.scheme = value;
      else if (kind === KIND_PATH) this.path = value;
      else if (kind === KIND_AUTHORITY) this.authority = value;
      else if (kind === KIND_STATUS) this.status = value;
      return;
    }
    this.hasOrdinary = true;
    if (kind === KIND_CONTENT_LENGTH) {
      // Twice is refused even where both agree: the next hop may speak HTTP/1.1, where it invites smuggling.
      if ((this.seenKinds & bit) !== 0) this.isMalformed = true;
      this.contentLength = parseContentLength(value);
      if (this.contentLength === NO_CONTENT_LENGTH) this.isMalformed = true;
      this.seenKinds |= bit;
    } else if (kind === KIND_HOST) {
      if ((this.seenKinds & bit) !== 0) this.isMalformed = true;
      this.seenKinds |= bit;
    }
  }
}

/** Digits only (RFC 9110 §8.6), up to what a number holds exactly; else NO_CONTENT_LENGTH. */
function parseContentLength(value: string): number {
  if (value.length === 0 || value.length > 16) return NO_CONTENT_LENGTH;
  let number = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return NO_CONTENT_LENGTH;
    number = number * 10 + digit;
  }
  return number <= Number.MAX_SAFE_INTEGER ? number : NO_CONTENT_LENGTH;
}

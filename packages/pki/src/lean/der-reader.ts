// SPDX-License-Identifier: Apache-2.0
/*
 * A strict reader of DER (X.690 §8, §10) for the few structures that arrive from peers: certificates, their subject alternative
 * names and certificate requests. It exists beside node-forge because the proxy must not load that library (4.5 MB of private memory
 * and 28 ms at start, measured on Node 26) and because forge accepts BER, where two parsers can read two meanings into the same
 * bytes. Only definite, minimal lengths and one-byte tags are accepted. Mistakes are values: the first one is kept in `error`, and
 * from then on every read returns nothing.
 */

/** Tag bytes of the universal types in use (X.680 §8.6), constructed bit included. */
export const DER_BOOLEAN = 0x01;
export const DER_INTEGER = 0x02;
export const DER_BIT_STRING = 0x03;
export const DER_OCTET_STRING = 0x04;
export const DER_NULL = 0x05;
export const DER_OID = 0x06;
export const DER_UTF8_STRING = 0x0c;
export const DER_PRINTABLE_STRING = 0x13;
export const DER_IA5_STRING = 0x16;
export const DER_UTC_TIME = 0x17;
export const DER_GENERALIZED_TIME = 0x18;
export const DER_SEQUENCE = 0x30;
export const DER_SET = 0x31;

const EMPTY: Uint8Array = new Uint8Array(0);

/** What all readers of one input share: the first mistake found. */
interface DerVerdict {
  error: string | undefined;
}

/** Reads the elements of one DER value in order. Views that it returns share memory with the input. */
export class DerReader {
  private readonly bytes: Uint8Array;
  private offset: number;
  private readonly end: number;
  private readonly verdict: DerVerdict;
  private contentStart = 0;
  private contentEnd = 0;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length, verdict: DerVerdict = { error: undefined }) {
    this.bytes = bytes;
    this.offset = start;
    this.end = end;
    this.verdict = verdict;
  }

  /** The first mistake found by this reader or by any reader entered from it, in words fit for a log line. */
  get error(): string | undefined {
    return this.verdict.error;
  }

  /** True when nothing is left, or after a mistake. */
  get isAtEnd(): boolean {
    return this.verdict.error !== undefined || this.offset >= this.end;
  }

  /** The next element's tag byte; -1 at the end or after a mistake. */
  peekTag(): number {
    return this.isAtEnd ? -1 : (this.bytes[this.offset] ?? -1);
  }

  /** Contents of the next element, which must have this tag. */
  read(tag: number): Uint8Array {
    return this.advance(tag) ? this.bytes.subarray(this.contentStart, this.contentEnd) : EMPTY;
  }

  /** A reader of the contents of the next element, which must have this tag. */
  enter(tag: number): DerReader {
    if (!this.advance(tag)) return new DerReader(EMPTY, 0, 0, this.verdict);
    return new DerReader(this.bytes, this.contentStart, this.contentEnd, this.verdict);
  }

  /** The next element whole, tag and length included; with `tag`, it must have that one. */
  element(tag = -1): Uint8Array {
    const start = this.offset;
    return this.advance(tag) ? this.bytes.subarray(start, this.contentEnd) : EMPTY;
  }

  /** Records a mistake if anything is left. */
  finish(): void {
    if (this.verdict.error === undefined && this.offset < this.end) this.fail('trailing data');
  }

  /** Records a mistake found by the caller in what it read. */
  fail(message: string): void {
    this.verdict.error ??= message;
  }

  private advance(tag: number): boolean {
    if (this.verdict.error !== undefined) return false;
    const { bytes, end } = this;
    const at = this.offset;
    if (end - at < 2) return this.reject('data truncated');
    const found = bytes[at] as number;
    if ((found & 0x1f) === 0x1f) return this.reject('tag numbers above 30 are not used here');
    if (tag !== -1 && found !== tag) return this.reject(`tags don't match (wanted 0x${tag.toString(16)}, found 0x${found.toString(16)})`);
    let length = bytes[at + 1] as number;
    let next = at + 2;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      if (octets === 0) return this.reject('indefinite length found (not DER)');
      if (octets > 4) return this.reject('length too large');
      if (end - next < octets) return this.reject('data truncated');
      length = 0;
      for (let i = 0; i < octets; i++) length = length * 256 + (bytes[next + i] as number);
      next += octets;
      if (length < 0x80 || length < 256 ** (octets - 1)) return this.reject('non-minimal length');
    }
    if (end - next < length) return this.reject('data truncated');
    this.contentStart = next;
    this.contentEnd = next + length;
    this.offset = next + length;
    return true;
  }

  private reject(message: string): false {
    this.fail(message);
    return false;
  }
}

/** What `checkDer` allows; named so that a caller's limits can be read where they are set. */
export interface DerLimits {
  readonly maxBytes: number;
  /** Nesting of constructed elements; the outermost is 1. */
  readonly maxDepth: number;
  readonly maxElements: number;
}

/** Far above any certificate or request of a mesh (under 1 KB, 7 levels), far below what costs anything. */
export const DEFAULT_DER_LIMITS: DerLimits = { maxBytes: 16_384, maxDepth: 16, maxElements: 512 };

/**
 * Walks a whole input before anything interprets it: exactly one element, every header strict, within the limits. Works without
 * recursion, so depth costs the attacker's bytes and not our stack. Returns the mistake, or undefined.
 */
export function checkDer(bytes: Uint8Array, limits: DerLimits = DEFAULT_DER_LIMITS): string | undefined {
  if (bytes.length > limits.maxBytes) return `larger than ${limits.maxBytes} bytes`;
  const outermost = new DerReader(bytes);
  outermost.element();
  outermost.finish();
  if (outermost.error !== undefined) return outermost.error;
  const open: DerReader[] = [new DerReader(bytes)];
  let elements = 0;
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    if (top.isAtEnd) {
      open.pop();
      continue;
    }
    if (++elements > limits.maxElements) return `more than ${limits.maxElements} elements`;
    const tag = top.peekTag();
    if ((tag & 0x20) === 0) {
      top.read(tag);
    } else {
      if (open.length > limits.maxDepth) return `nested deeper than ${limits.maxDepth}`;
      open.push(top.enter(tag));
    }
    if (top.error !== undefined) return top.error;
  }
  return undefined;
}

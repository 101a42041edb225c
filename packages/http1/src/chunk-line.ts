// SPDX-License-Identifier: Apache-2.0
/*
 * The chunk-size line of the chunked coding (RFC 9112 §7.1): hexadecimal size, extensions that are skipped, CRLF. Fed byte by
 * byte, it keeps no bytes. A bare LF is refused whatever the leniency: §2.2 allows it for start lines and fields only, and
 * chunk extensions that end at LF for one peer and not for another smuggle requests.
 */
import { h1Error } from './errors.ts';
import { MAX_CHUNK_SIZE_DIGITS } from './limits.ts';
import { CR, FIELD_CONTENT, HEX_VALUE, HTAB, LF, SEMICOLON, SP, TOKEN_LOWER } from './octets.ts';
import type { H1Error } from './types.ts';

const SIZE = 0;
/** Whitespace where only `;` may follow: behind the size, or behind a value. */
const BEFORE_EXTENSION = 1;
const BEFORE_NAME = 2;
const NAME = 3;
/** Whitespace behind a name: `=` or `;` must follow. */
const BEHIND_NAME = 4;
const BEFORE_VALUE = 5;
const TOKEN_VALUE = 6;
const QUOTED_VALUE = 7;
/** Behind a backslash in a quoted value. */
const QUOTED_PAIR = 8;
const BEHIND_QUOTED_VALUE = 9;
const LINE_END = 10;
type ChunkLineState =
  | typeof SIZE
  | typeof BEFORE_EXTENSION
  | typeof BEFORE_NAME
  | typeof NAME
  | typeof BEHIND_NAME
  | typeof BEFORE_VALUE
  | typeof TOKEN_VALUE
  | typeof QUOTED_VALUE
  | typeof QUOTED_PAIR
  | typeof BEHIND_QUOTED_VALUE
  | typeof LINE_END;

const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Decodes one chunk-size line after another; `begin` before each. */
export class ChunkLine {
  /** Chunk size in bytes, valid once `isComplete`. */
  sizeBytes = 0;
  isComplete = false;
  error: H1Error | undefined = undefined;
  private state: ChunkLineState = SIZE;
  private digitCount = 0;
  private extensionBytes = 0;
  private readonly maxExtensionBytes: number;

  constructor(maxExtensionBytes: number) {
    this.maxExtensionBytes = maxExtensionBytes;
  }

  begin(): void {
    this.sizeBytes = 0;
    this.isComplete = false;
    this.state = SIZE;
    this.digitCount = 0;
    this.extensionBytes = 0;
  }

  /** Takes bytes up to the line's end; returns the index behind the last one taken. Stops early where `error` gets set. */
  push(chunk: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const octet = chunk[at++] as number;
      switch (this.state) {
        case SIZE:
          this.recvSizeOctet(octet);
          break;
        case LINE_END:
          if (octet === LF) this.isComplete = true;
          else this.fail('ERR_H1_LINE_TERMINATOR', 'CR without LF after a chunk size');
          return at;
        default:
          this.recvExtensionOctet(octet);
      }
      if (this.error !== undefined) return at;
    }
    return at;
  }

  private recvSizeOctet(octet: number): void {
    const digit = HEX_VALUE[octet] as number;
    if (digit !== 255) {
      this.sizeBytes = this.sizeBytes * 16 + digit;
      this.digitCount += 1;
      if (this.digitCount > MAX_CHUNK_SIZE_DIGITS || this.sizeBytes > Number.MAX_SAFE_INTEGER) {
        this.fail('ERR_H1_CHUNK_SIZE', 'chunk size of 2^53 or more, or too many digits');
      }
    } else if (this.digitCount === 0) {
      this.fail('ERR_H1_CHUNK_SIZE', 'chunk size has no digits');
    } else if (octet === CR) {
      this.state = LINE_END;
    } else if (octet === SEMICOLON) {
      this.state = BEFORE_NAME;
      this.countExtension();
    } else if (octet === SP || octet === HTAB) {
      this.state = BEFORE_EXTENSION;
      this.countExtension();
    } else if (octet === LF) {
      this.fail('ERR_H1_LINE_TERMINATOR', 'LF without CR after a chunk size');
    } else {
      this.fail('ERR_H1_CHUNK_SIZE', 'invalid character in a chunk size');
    }
  }

  /** chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ) (RFC 9112 §7.1.1). */
  private recvExtensionOctet(octet: number): void {
    const next = this.extensionState(octet);
    if (next < 0) this.fail('ERR_H1_CHUNK_SIZE', 'malformed chunk extension');
    else this.state = next as ChunkLineState;
    if (next !== LINE_END) this.countExtension();
  }

  private extensionState(octet: number): ChunkLineState | -1 {
    const isBlank = octet === SP || octet === HTAB;
    const isToken = TOKEN_LOWER[octet] !== 0;
    switch (this.state) {
      case BEFORE_EXTENSION:
        return isBlank ? BEFORE_EXTENSION : octet === SEMICOLON ? BEFORE_NAME : -1;
      case BEFORE_NAME:
        return isBlank ? BEFORE_NAME : isToken ? NAME : -1;
      case NAME:
        if (isToken) return NAME;
        return octet === EQUALS ? BEFORE_VALUE : isBlank ? BEHIND_NAME : endOfExtension(octet);
      case BEHIND_NAME:
        return isBlank ? BEHIND_NAME : octet === EQUALS ? BEFORE_VALUE : octet === SEMICOLON ? BEFORE_NAME : -1;
      case BEFORE_VALUE:
        return isBlank ? BEFORE_VALUE : octet === QUOTE ? QUOTED_VALUE : isToken ? TOKEN_VALUE : -1;
      case TOKEN_VALUE:
        return isToken ? TOKEN_VALUE : isBlank ? BEFORE_EXTENSION : endOfExtension(octet);
      case QUOTED_VALUE:
        if (octet === QUOTE) return BEHIND_QUOTED_VALUE;
        return octet === BACKSLASH ? QUOTED_PAIR : FIELD_CONTENT[octet] === 1 ? QUOTED_VALUE : -1;
      case QUOTED_PAIR:
        return FIELD_CONTENT[octet] === 1 ? QUOTED_VALUE : -1;
      case BEHIND_QUOTED_VALUE:
        return isBlank ? BEFORE_EXTENSION : endOfExtension(octet);
      default:
        return -1;
    }
  }

  private countExtension(): void {
    this.extensionBytes += 1;
    if (this.extensionBytes > this.maxExtensionBytes) this.fail('ERR_H1_CHUNK_EXTENSION_TOO_LARGE', 'chunk extensions too long');
  }

  private fail(code: H1Error['code'], message: string): void {
    this.error ??= h1Error(code, message);
  }
}

function endOfExtension(octet: number): ChunkLineState | -1 {
  return octet === CR ? LINE_END : octet === SEMICOLON ? BEFORE_NAME : -1;
}

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
/** Whitespace behind the size: RFC 9112 §7.1.1 allows it before `;` only. */
const BEFORE_EXTENSION = 1;
/** Behind `;`: a name must follow. */
const EXTENSION_NAME = 2;
const EXTENSION = 3;
const LINE_END = 4;
type ChunkLineState = typeof SIZE | typeof BEFORE_EXTENSION | typeof EXTENSION_NAME | typeof EXTENSION | typeof LINE_END;

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
        case BEFORE_EXTENSION:
          if (octet === SEMICOLON) this.state = EXTENSION_NAME;
          else if (octet !== SP && octet !== HTAB) this.fail('ERR_H1_CHUNK_SIZE', 'whitespace after a chunk size');
          this.countExtension();
          break;
        case EXTENSION_NAME:
          if (TOKEN_LOWER[octet] !== 0) this.state = EXTENSION;
          else if (octet !== SP && octet !== HTAB) this.fail('ERR_H1_CHUNK_SIZE', 'chunk extension without name');
          this.countExtension();
          break;
        case EXTENSION:
          if (octet === CR) {
            this.state = LINE_END;
          } else {
            if (FIELD_CONTENT[octet] !== 1) this.fail('ERR_H1_CHUNK_SIZE', 'control character in a chunk extension');
            this.countExtension();
          }
          break;
        case LINE_END:
          if (octet === LF) this.isComplete = true;
          else this.fail('ERR_H1_LINE_TERMINATOR', 'CR without LF after a chunk size');
          return at;
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
      this.state = EXTENSION_NAME;
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

  private countExtension(): void {
    this.extensionBytes += 1;
    if (this.extensionBytes > this.maxExtensionBytes) this.fail('ERR_H1_CHUNK_EXTENSION_TOO_LARGE', 'chunk extensions too long');
  }

  private fail(code: H1Error['code'], message: string): void {
    this.error ??= h1Error(code, message);
  }
}

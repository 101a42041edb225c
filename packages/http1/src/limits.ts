// SPDX-License-Identifier: Apache-2.0
/*
 * What a decoder allows a peer: sizes that bound its memory, and the named laxness. The numbers are what real clients and
 * servers stay below; RFC 9112 §3 asks for request lines of at least 8000 octets.
 */
import type { H1Leniency, H1Limits } from './types.ts';

/** 32 KiB start line, 64 KiB head, 100 fields, 16 KiB trailer section, 1 KiB of extensions per chunk. */
export const DEFAULT_H1_LIMITS: H1Limits = {
  maxStartLineBytes: 32_768,
  maxHeadBytes: 65_536,
  maxFieldCount: 100,
  maxTrailerBytes: 16_384,
  maxChunkExtensionBytes: 1024,
};

/** Everything strict. */
export const STRICT_H1: H1Leniency = { bareLf: false };

/**
 * Digits of a chunk size: 2^64 fits, a padded flood of zeros does not (RFC 9112 §7.1: "recipients MUST anticipate
 * potentially large hexadecimal numerals and prevent parsing errors due to integer conversion overflows").
 */
export const MAX_CHUNK_SIZE_DIGITS = 16;

/**
 * Empty lines that are skipped before a start line. RFC 9112 §2.2 asks servers for at least one; clients commonly allow it
 * too, for servers that send CRLF behind a body.
 */
export const MAX_LEADING_EMPTY_LINES = 1;

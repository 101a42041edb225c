// SPDX-License-Identifier: Apache-2.0
/*
 * The two kinds of error: what a peer did wrong is a value (`H1Error`), what our own code did wrong is a throw
 * (`H1EncodeError`). Messages never quote the peer's bytes: they end up in logs and responses.
 */
import type { H1Error, H1ErrorCode } from './types.ts';

/** Our own mistake: a field or start line that cannot be put on the wire as one. Nothing of the head was written. */
export class H1EncodeError extends Error {
  readonly code = 'ERR_H1_ENCODE';

  constructor(message: string) {
    super(message);
    this.name = 'H1EncodeError';
  }
}

/** A peer's mistake; `status` is the answer of a server that meets it (RFC 9112 §3, §5, §6; RFC 6585 §5). */
export function h1Error(code: H1ErrorCode, message: string): H1Error {
  return { code, message, status: STATUS[code] ?? 400 };
}

/** The transfer coding is well-formed, but none we know (RFC 9112 §6.1: 501). */
export function unknownCodingError(): H1Error {
  return { code: 'ERR_H1_TRANSFER_ENCODING', message: 'unknown transfer coding', status: 501 };
}

const STATUS: Readonly<Partial<Record<H1ErrorCode, H1Error['status']>>> = {
  ERR_H1_START_LINE_TOO_LONG: 414,
  ERR_H1_HEAD_TOO_LARGE: 431,
  ERR_H1_TOO_MANY_FIELDS: 431,
  ERR_H1_TRAILER_TOO_LARGE: 431,
  ERR_H1_VERSION: 505,
};

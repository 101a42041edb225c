// SPDX-License-Identifier: Apache-2.0
/*
 * Mistakes of ours, thrown: the caller broke a rule of this package. Mistakes of a peer are never thrown; they are codes
 * (RFC 9113 §7) that end a stream or the connection.
 */

/** What was done wrong. */
export type H2UsageErrorCode = 'ERR_H2_FIELD_NAME' | 'ERR_H2_FIELD_VALUE' | 'ERR_H2_OPTION' | 'ERR_H2_OVERCONSUMED' | 'ERR_H2_SEND_ORDER';

/** A call that this package's contract forbids. It had no effect: the stream and the connection are as before. */
export class H2UsageError extends Error {
  readonly code: H2UsageErrorCode;

  constructor(code: H2UsageErrorCode, message: string) {
    super(message);
    this.name = 'H2UsageError';
    this.code = code;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Errors of this package: what an operator configured cannot be used. What a peer sent is never thrown; it comes back as a value.
 */

/** Match on this, not on messages. */
export type PkiErrorCode =
  | 'ERR_PKI_PEM'
  | 'ERR_PKI_KEY'
  | 'ERR_PKI_CERTIFICATE'
  | 'ERR_PKI_TRUST_BUNDLE'
  | 'ERR_PKI_NAME'
  | 'ERR_PKI_CHAIN';

/** Our own material (files, environment, Secrets) cannot be used. Messages name the likely cause and hold no secrets. */
export class PkiError extends Error {
  readonly code: PkiErrorCode;

  constructor(code: PkiErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PkiError';
    this.code = code;
  }
}

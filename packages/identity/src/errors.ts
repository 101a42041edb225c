// SPDX-License-Identifier: Apache-2.0
/*
 * Why the certificate authority cannot work with what it was given. At start these end the process; afterwards they become events and
 * the old issuer stays (control-contract §2.1, §2.2).
 */

/** Match on this, not on messages. */
export type IdentityErrorCode = 'ERR_IDENTITY_MATERIAL' | 'ERR_IDENTITY_ISSUER' | 'ERR_IDENTITY_ANCHORS' | 'ERR_IDENTITY_ACCESS';

export class IdentityError extends Error {
  readonly code: IdentityErrorCode;

  constructor(code: IdentityErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'IdentityError';
    this.code = code;
  }
}

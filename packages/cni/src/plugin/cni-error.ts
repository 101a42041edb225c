// SPDX-License-Identifier: Apache-2.0
/*
 * Failures in the form that a container runtime reads (CNI specification, "Error"): an object on standard output and exit status 1. The
 * runtime puts the message into the event of the pod's sandbox, so it is written for whoever looks there.
 */

/** Codes of the specification, and our own from 100. */
export const CNI_CODES = {
  incompatibleVersion: 1,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidNetworkConfig: 7,
  tryAgainLater: 11,
  /** The pod could not be looked up, so nobody knows whether it is meshed. */
  podLookup: 100,
  /** A meshed pod's rules could not be set. */
  redirect: 101,
} as const;

/** Why an operation failed. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details: string = '') {
    super(message);
    this.name = 'CniError';
    this.code = code;
    this.details = details;
  }
}

/** The error as the runtime reads it. */
export function errorOutput(error: CniError, cniVersion: string): string {
  return `${JSON.stringify({
    cniVersion,
    code: error.code,
    msg: error.message,
    ...(error.details === '' ? {} : { details: error.details }),
  })}\n`;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What can keep a run from starting or going on, in words for whoever typed the command. Match on `code`.
 */

/** Why a run cannot go on: not Linux, not root, tools missing, another run of the same name, a command that failed, a bad argument. */
export type HostRunErrorCode =
  | 'ERR_RUN_PLATFORM'
  | 'ERR_RUN_NOT_ROOT'
  | 'ERR_RUN_MISSING_TOOLS'
  | 'ERR_RUN_BUSY'
  | 'ERR_RUN_COMMAND'
  | 'ERR_RUN_ARGUMENT'
  | 'ERR_RUN_ADDRESSES';

/** The error of this package. The message is one line that says what to do. */
export class HostRunError extends Error {
  readonly code: HostRunErrorCode;

  constructor(code: HostRunErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'HostRunError';
    this.code = code;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Why a call to a resource source failed. Codes are the closed union of types.ts; status and reason are what a Kubernetes API server
 * puts into its `Status` answer (API conventions, "Response Status Kind"), so an error crosses the HTTP face and comes back the same.
 */
import type { ResourceErrorCode } from './types.ts';

/** One field that is wrong. `path` is as API servers print it (`spec.rules[0].name`), `<nil>` for an object as a whole. */
export interface FieldError {
  readonly path: string;
  /** FieldValueRequired, FieldValueInvalid, FieldValueNotSupported, FieldValueForbidden, FieldValueTypeInvalid, FieldValueDuplicate, FieldValueTooLong, FieldValueTooMany. */
  readonly reason: string;
  /** `Required value`, `Invalid value: 7: must be …`, without the path. */
  readonly message: string;
}

/** HTTP status and `reason` per code. */
const STATUS: Readonly<Record<ResourceErrorCode, { readonly status: number; readonly reason: string }>> = {
  ERR_NOT_FOUND: { status: 404, reason: 'NotFound' },
  ERR_ALREADY_EXISTS: { status: 409, reason: 'AlreadyExists' },
  ERR_CONFLICT: { status: 409, reason: 'Conflict' },
  ERR_INVALID: { status: 422, reason: 'Invalid' },
  ERR_FORBIDDEN: { status: 403, reason: 'Forbidden' },
  ERR_UNAVAILABLE: { status: 503, reason: 'ServiceUnavailable' },
};

/** Optional parts of a ResourceError. */
export interface ResourceErrorDetails {
  /** HTTP status, where it is not the usual one of the code. */
  readonly status?: number;
  /** `reason` of the Status answer, where it is not the usual one of the code. */
  readonly reason?: string;
  readonly causes?: readonly FieldError[];
  /** How long the server asks to wait (Retry-After), in milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** The error that every method of a ResourceSource rejects with. Match on `code`. */
export class ResourceError extends Error {
  readonly code: ResourceErrorCode;
  /** The HTTP status that an API server gives. */
  readonly status: number;
  /** The `reason` that an API server gives. */
  readonly reason: string;
  /** Fields at fault, for ERR_INVALID. */
  readonly causes: readonly FieldError[];
  /** How long the server asks to wait before another try, in milliseconds; undefined where it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ResourceErrorCode, message: string, details: ResourceErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ResourceError';
    this.code = code;
    this.status = details.status ?? STATUS[code].status;
    this.reason = details.reason ?? STATUS[code].reason;
    this.causes = details.causes ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Whether `error` is a ResourceError, of this code where one is given. */
export function isResourceError(error: unknown, code?: ResourceErrorCode): error is ResourceError {
  return error instanceof ResourceError && (code === undefined || error.code === code);
}

/** ERR_INVALID for one object, with the message that an API server writes for these field errors. */
export function invalidObject(kind: string, group: string, name: string, causes: readonly FieldError[]): ResourceError {
  const lines = causes.map((cause) => `${cause.path}: ${cause.message}`);
  const text = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  return new ResourceError('ERR_INVALID', `${group === '' ? kind : `${kind}.${group}`} "${name}" is invalid: ${text}`, { causes });
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Errors as a Kubernetes API server answers them, a `Status` object, and back. Source: Kubernetes API conventions, "Response Status Kind".
 */
import { ResourceError } from '../errors.ts';
import type { FieldError } from '../errors.ts';
import { isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import type { ResourceErrorCode } from '../types.ts';

/** The Status object of an error. */
export function statusOf(error: ResourceError): JsonObject {
  const causes = error.causes.map(({ path, reason, message }) => ({ reason, message, field: path }));
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: error.message,
    reason: error.reason,
    ...(causes.length === 0 ? {} : { details: { causes } }),
    code: error.status,
  };
}

function codeOf(status: number, reason: string): ResourceErrorCode {
  if (status === 404) return 'ERR_NOT_FOUND';
  if (status === 409) return reason === 'AlreadyExists' ? 'ERR_ALREADY_EXISTS' : 'ERR_CONFLICT';
  if (status === 401 || status === 403) return 'ERR_FORBIDDEN';
  // 410 is answered by listing again; 429 and 5xx may pass.
  if (status === 410 || status === 429 || status >= 500) return 'ERR_UNAVAILABLE';
  return 'ERR_INVALID';
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function causesOf(body: JsonObject): readonly FieldError[] {
  const causes = isJsonObject(body['details']) ? body['details']['causes'] : undefined;
  if (!Array.isArray(causes)) return [];
  return (causes as unknown[])
    .filter((cause) => isJsonObject(cause))
    .map((cause) => ({
      path: text(cause['field']),
      reason: text(cause['reason']),
      message: text(cause['message']),
    }));
}

/** Seconds, as API servers give them; a date means nothing here. In milliseconds. */
function delayOf(retryAfter: string | undefined): number | undefined {
  return retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) * 1000 : undefined;
}

/** The error behind an answer that is not a success. `body` is the answer's JSON, or undefined where it had none. */
export function errorOfStatus(status: number, body: unknown, retryAfter?: string): ResourceError {
  const answer = isJsonObject(body) ? body : {};
  const reason = typeof answer['reason'] === 'string' ? answer['reason'] : '';
  const message = typeof answer['message'] === 'string' ? answer['message'] : `the API server answered ${status}`;
  const retryAfterMs = delayOf(retryAfter);
  return new ResourceError(codeOf(status, reason), message, {
    status,
    reason,
    causes: causesOf(answer),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

// SPDX-License-Identifier: Apache-2.0
/*
 * gRPC status codes and the one error a handler throws to answer with one of them (gRPC core, doc/statuscodes.md). The texts of the control
 * plane's statuses are part of its contract (control-contract §1.3, §1.4, §1.8), so an error carries exactly what goes on the wire and nothing
 * else: no stack trace ever leaves the process.
 */

/** Status codes by their gRPC names. */
export const GRPC_CODES = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** Name of a status code. */
export type GrpcCodeName = keyof typeof GRPC_CODES;

/** A status code as on the wire, 0 to 16. */
export type GrpcCode = (typeof GRPC_CODES)[GrpcCodeName];

/** Longest status text sent, in UTF-16 units; longer ones are cut, so that a peer's input cannot grow a header without bound. */
export const MAX_STATUS_DETAILS_LENGTH = 1024;

/** Values of the `grpc_code` label, in code order, as dashboards of the reference expect them. */
const METRIC_NAMES: readonly string[] = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

/** Value of the `grpc_code` metric label for `code` (control-contract §3.1). */
export function metricCodeName(code: GrpcCode): string {
  return METRIC_NAMES[code] ?? 'Unknown';
}

/** Thrown (or rejected with) by a handler to end its call with a status other than OK. `details` goes to the client as it stands. */
export class GrpcStatusError extends Error {
  readonly code: GrpcCode;
  readonly details: string;

  constructor(code: GrpcCode, details: string, options?: ErrorOptions) {
    super(details, options);
    this.name = 'GrpcStatusError';
    this.code = code;
    this.details = details;
  }
}

/** Cuts to the limit and repairs lone surrogates, which the header encoding cannot carry. */
export function wireDetails(details: string): string {
  return details.slice(0, MAX_STATUS_DETAILS_LENGTH).toWellFormed();
}

// SPDX-License-Identifier: Apache-2.0
/* How an exchange is judged: success or failure, and its gRPC status (proxy-contract §6.3, §7.1). */
import { type FieldList, fieldValue } from '@weft/bytes';
import type { Outcome } from '../http/exchange.ts';

/** gRPC codes that count as failures: Unknown, DeadlineExceeded, PermissionDenied, Internal, Unavailable, DataLoss. */
const FAILED_GRPC: ReadonlySet<string> = new Set(['2', '4', '7', '13', '14', '15']);

export interface Classification {
  readonly isFailure: boolean;
  /** '' where the exchange is not gRPC. */
  readonly grpcStatus: string;
  /** '' where it ended properly. */
  readonly error: string;
}

const SUCCESS: Classification = { isFailure: false, grpcStatus: '', error: '' };
const FAILURE: Classification = { isFailure: true, grpcStatus: '', error: '' };

/** `unclassified` is what an answer that never came is called. */
function abortLabel({ status, failure }: Outcome): string {
  if (failure?.kind === 'reset') return 'h2';
  return status === 0 ? 'unclassified' : 'canceled';
}

/** Judges a finished exchange from its status, its last fields and how it ended. */
export function classify(
  outcome: Outcome,
  fields: Readonly<FieldList> | undefined,
  trailers: Readonly<FieldList> | undefined,
): Classification {
  const grpcStatus =
    (trailers === undefined ? undefined : fieldValue(trailers, 'grpc-status')) ??
    (fields === undefined ? undefined : fieldValue(fields, 'grpc-status'));
  if (outcome.isAborted) return { isFailure: true, grpcStatus: grpcStatus ?? '', error: abortLabel(outcome) };
  if (grpcStatus !== undefined) return { isFailure: FAILED_GRPC.has(grpcStatus), grpcStatus, error: '' };
  return outcome.status >= 500 || outcome.status === 0 ? FAILURE : SUCCESS;
}

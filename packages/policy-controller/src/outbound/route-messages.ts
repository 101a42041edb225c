// SPDX-License-Identifier: Apache-2.0
/*
 * The fields that HTTP and gRPC rules have in common on the wire (control-contract §3.3): names, timeouts (the deprecated field beside the new
 * one) and retries.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { httpRoute, outbound } from '@weft/proto';
import { durationOf } from '../parse/duration.ts';
import type { RouteRecord } from '../route/route-record.ts';
import type { MetadataInit } from './outbound-parent.ts';
import type { RetryPolicy } from './retry-annotations.ts';
import type { Timeouts } from './timeout-annotations.ts';

/** Request bytes that a proxy may hold for a retry. */
const MAX_RETRY_REQUEST_BYTES = 65_536;

const RETRY_BACKOFF = { minBackoff: durationOf(25), maxBackoff: durationOf(250), jitterRatio: 1 };

/** Metadata of a resource-backed route. */
export function routeMetadata(route: RouteRecord): MetadataInit {
  const { group, kind, name, namespace } = route;
  return { kind: { case: 'resource', value: { group, kind, name, namespace } } };
}

interface TimeoutFields {
  timeouts: MessageInitShape<typeof httpRoute.TimeoutsSchema>;
  requestTimeout?: ReturnType<typeof durationOf>;
}

/** The timeouts of a rule; the message is there even when it says nothing. */
export function timeoutFields({ requestMs, responseMs, idleMs }: Timeouts): TimeoutFields {
  return {
    ...(requestMs === undefined ? {} : { requestTimeout: durationOf(requestMs) }),
    timeouts: {
      ...(requestMs === undefined ? {} : { request: durationOf(requestMs) }),
      ...(responseMs === undefined ? {} : { response: durationOf(responseMs) }),
      ...(idleMs === undefined ? {} : { idle: durationOf(idleMs) }),
    },
  };
}

/** The protocol-neutral half of a retry message. */
export function retryFields(
  retry: RetryPolicy<unknown>,
): Pick<MessageInitShape<typeof outbound.HttpRoute_RetrySchema>, 'maxRetries' | 'maxRequestBytes' | 'backoff' | 'timeout'> {
  return {
    maxRetries: retry.limit,
    maxRequestBytes: MAX_RETRY_REQUEST_BYTES,
    backoff: RETRY_BACKOFF,
    ...(retry.timeoutMs === undefined ? {} : { timeout: durationOf(retry.timeoutMs) }),
  };
}

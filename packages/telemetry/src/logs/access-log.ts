// SPDX-License-Identifier: Apache-2.0
/*
 * The inbound access log (proxy-contract §8, corrections §8, features LOG-01): one line for each exchange, on standard error, whatever the
 * log level. `apache` resembles the common log format without being it; `json` has the reference's keys in alphabetical order, all
 * strings but the status. Request data are a peer's bytes: neither form lets them break a line or close a quote.
 */
import { escapeText } from './fields.ts';

export type AccessLogFormat = 'apache' | 'json';

/** What one exchange was. Empty strings are written as such; the number fields that are undefined are left out. */
export interface AccessLogRecord {
  /** `ip:port` of the peer. */
  readonly clientAddr: string;
  /** Peer identity; undefined for an unauthenticated one, written `-`. */
  readonly clientId: string | undefined;
  /** When the request came: milliseconds since the epoch. */
  readonly timestampMs: number;
  /** Nanoseconds within that millisecond. */
  readonly timestampNanos?: number;
  readonly method: string;
  readonly uri: string;
  /** `HTTP/1.1`, `HTTP/2.0`. */
  readonly version: string;
  readonly host: string;
  readonly userAgent: string;
  /** See `traceIdOf`. */
  readonly traceId: string;
  /** Content-Length of the request as text, '' without one. */
  readonly requestBytes: string;
  /** Content-Length of the response as text; undefined without one. */
  readonly responseBytes: string | undefined;
  /** undefined: the exchange ended before an answer. */
  readonly status: number | undefined;
  readonly totalNanos: number | bigint;
  readonly processingNanos: number | bigint;
}

/** The line, without its line feed. */
export function formatAccessLog(format: AccessLogFormat, record: AccessLogRecord): string {
  return format === 'apache' ? formatApache(record) : formatJson(record);
}

/** The trace id that the access log shows: the first of these request header fields that is there. */
export const TRACE_ID_FIELDS: readonly string[] = ['x-b3-traceid', 'x-request-id', 'x-amzn-trace-id'];

/** Looks up the trace id; `get` returns a header field's value by lower-case name. */
export function traceIdOf(get: (name: string) => string | undefined): string {
  for (const name of TRACE_ID_FIELDS) {
    const value = get(name);
    if (value !== undefined) return value;
  }
  return '';
}

function formatApache(record: AccessLogRecord): string {
  const request = `${quotable(record.method)} ${quotable(record.uri)} ${record.version}`;
  const status = record.status === undefined ? '' : ` ${record.status}`;
  return `${record.clientAddr} ${quotable(record.clientId ?? '-')} - [${timestamp(record)}] "${request}"${status}`;
}

function formatJson(record: AccessLogRecord): string {
  return JSON.stringify({
    'client.addr': record.clientAddr,
    'client.id': escapeText(record.clientId ?? '-'),
    host: escapeText(record.host),
    method: escapeText(record.method),
    processing_ns: String(record.processingNanos),
    request_bytes: escapeText(record.requestBytes),
    response_bytes: record.responseBytes === undefined ? undefined : escapeText(record.responseBytes),
    status: record.status,
    timestamp: timestamp(record),
    total_ns: String(record.totalNanos),
    trace_id: escapeText(record.traceId),
    uri: escapeText(record.uri),
    user_agent: escapeText(record.userAgent),
    version: record.version,
  });
}

function quotable(text: string): string {
  return escapeText(text).replaceAll('"', '\\"');
}

// RFC 3339 with nanoseconds, trailing zeros cut, as the reference writes them.
function timestamp(record: AccessLogRecord): string {
  const iso = new Date(record.timestampMs).toISOString();
  const nanos = String(Math.floor(record.timestampNanos ?? 0)).padStart(6, '0');
  const fraction = `${iso.slice(20, 23)}${nanos}`.replace(/0+$/, '');
  return `${iso.slice(0, 19)}${fraction === '' ? '' : `.${fraction}`}Z`;
}

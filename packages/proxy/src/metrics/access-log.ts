// SPDX-License-Identifier: Apache-2.0
/* The inbound access log (proxy-contract §8): one line per finished exchange, formatted by the telemetry package. */
import { type FieldList, fieldValue } from '@weft/bytes';
import { type AccessLogFormat, formatAccessLog, traceIdOf } from '@weft/telemetry';
import { HTTP_1_0, HTTP_2, type RequestHead } from '../http/types.ts';
import { type InboundClient, clientIdentity } from '../inbound/client.ts';

/** What one line is made of. */
export interface AccessRecord {
  readonly client: InboundClient;
  readonly head: RequestHead;
  /** 0 where no answer was sent. */
  readonly status: number;
  readonly responseBytes: number;
  readonly totalMs: number;
  /** Part of it in which the application was waited for. */
  readonly appMs: number;
  readonly responseFields: Readonly<FieldList> | undefined;
}

export interface AccessLog {
  write(record: AccessRecord): void;
}

/** An access log writing lines to `sink`. */
export function createAccessLog(format: AccessLogFormat, sink: (line: string) => void, wallClock: () => number): AccessLog {
  return {
    write(record: AccessRecord): void {
      const { head, client } = record;
      const get = (name: string): string | undefined => fieldValue(head.fields, name);
      const totalNanos = Math.round(record.totalMs * 1e6);
      const isH2 = head.isOrigProto || head.version === HTTP_2;
      const hasWholeUri = (isH2 && head.isAuthorityInTarget) || head.isAbsoluteForm;
      const receivedMs = wallClock() - record.totalMs;
      const timestampMs = Math.floor(receivedMs);
      sink(
        formatAccessLog(format, {
          clientAddr: `${client.ip}:${client.port}`,
          clientId: clientIdentity(client),
          timestampMs,
          timestampNanos: (receivedMs - timestampMs) * 1e6,
          method: head.method,
          uri: hasWholeUri ? `${head.scheme}://${head.authority ?? ''}${head.path}` : head.path,
          version: isH2 ? 'HTTP/2.0' : head.version === HTTP_1_0 ? 'HTTP/1.0' : 'HTTP/1.1',
          host: head.authority ?? '',
          userAgent: get('user-agent') ?? '',
          traceId: traceIdOf(get),
          requestBytes: get('content-length') ?? '',
          responseBytes: record.responseFields === undefined ? undefined : fieldValue(record.responseFields, 'content-length'),
          status: record.status === 0 ? undefined : record.status,
          totalNanos,
          processingNanos: Math.max(0, Math.round((record.totalMs - record.appMs) * 1e6)),
        }),
      );
    },
  };
}

// SPDX-License-Identifier: Apache-2.0
import type { FieldList } from '@weft/bytes';
import { describe, expect, it } from 'vitest';
import { fromH2 } from '../http/request-head.ts';
import type { InboundClient } from '../inbound/client.ts';
import { type AccessRecord, createAccessLog } from './access-log.ts';

const CLIENT: InboundClient = { ip: '10.0.0.1', port: 5000, tls: { kind: 'tls', identity: 'client.ns' } };
const HEAD: FieldList = [':method', 'GET', ':scheme', 'http', ':authority', 'svc:80', ':path', '/a?b=c'];

function line(format: 'apache' | 'json', fields: FieldList, changes: Partial<AccessRecord> = {}): string {
  const lines: string[] = [];
  createAccessLog(
    format,
    (text) => lines.push(text),
    () => Date.UTC(2026, 10, 23, 12, 0, 0, 500),
  ).write({
    client: CLIENT,
    head: fromH2(fields, true),
    status: 200,
    responseBytes: 0,
    totalMs: 2.25,
    appMs: 2,
    responseFields: ['content-length', '12'],
    ...changes,
  });
  return lines.join('\n');
}

describe('access log', () => {
  it.each([
    ['native HTTP/2', HEAD, 'GET http://svc:80/a?b=c HTTP/2.0'],
    ['HTTP/1 carried as HTTP/2', [...HEAD, 'host', 'svc:80', 'l5d-orig-proto', 'HTTP/1.1'], 'GET http://svc:80/a?b=c HTTP/2.0'],
    ['HTTP/2 that names its host in a field only', [':method', 'GET', ':scheme', 'http', ':path', '/a', 'host', 'svc'], 'GET /a HTTP/2.0'],
  ] as [string, FieldList, string][])('[LOG-01] writes the URI of %s as the reference does', (_name, fields, request) => {
    expect(line('apache', fields)).toBe(`10.0.0.1:5000 client.ns - [2026-11-23T12:00:00.49775Z] "${request}" 200`);
  });

  it('[LOG-01] tells an unauthenticated client and an answer that never came', () => {
    const client: InboundClient = { ...CLIENT, tls: { kind: 'none', reason: 'no_tls_from_remote' } };
    expect(line('apache', HEAD, { client, status: 0 })).toMatch(/^10\.0\.0\.1:5000 - - \[[^\]]*\] "GET [^"]*"$/);
  });

  it('[LOG-01] has the keys of the reference in JSON, in their order, and tells its own time from that of the application', () => {
    const text = line('json', [...HEAD, 'user-agent', 'vec/1', 'x-request-id', 'abc', 'content-length', '3']);
    expect(Object.keys(JSON.parse(text) as object)).toEqual([
      'client.addr',
      'client.id',
      'host',
      'method',
      'processing_ns',
      'request_bytes',
      'response_bytes',
      'status',
      'timestamp',
      'total_ns',
      'trace_id',
      'uri',
      'user_agent',
      'version',
    ]);
    expect(JSON.parse(text)).toMatchObject({
      host: 'svc:80',
      processing_ns: '250000',
      total_ns: '2250000',
      request_bytes: '3',
      response_bytes: '12',
      status: 200,
      trace_id: 'abc',
      user_agent: 'vec/1',
    });
  });

  it.each(['apache', 'json'] as const)('[LOG-01] keeps a hostile request to one line of %s that still reads', (format) => {
    const evil = 'x" 200\n10.0.0.9:1 admin - "\u001b[2J\u2028\\';
    const text = line(format, [
      ':method',
      'GET',
      ':scheme',
      'http',
      ':authority',
      evil,
      ':path',
      `/${evil}`,
      'user-agent',
      evil,
      'x-request-id',
      evil,
    ]);
    expect(text).not.toMatch(/[\n\r\u0000-\u001f\u2028]/);
    // One request in quotes, one status.
    expect(format === 'json' ? typeof JSON.parse(text) : /^\S+ \S+ - \[[^\]]+\] "(?:[^"\\]|\\.)*" 200$/.test(text)).toBe(
      format === 'json' ? 'object' : true,
    );
  });
});

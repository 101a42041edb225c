// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAccessLog, traceIdOf, type AccessLogRecord } from './access-log.ts';
import { MAX_LOG_VALUE_LENGTH, peerText, type LogFields, type LogValue } from './fields.ts';
import type { LogFormat } from './format.ts';
import { parseLogFilter } from './level.ts';
import { Logger } from './logger.ts';

const vector = (name: string): string[] =>
  readFileSync(new URL(`../testdata/vectors/wire/${name}`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

function capture(format: LogFormat, options: { filter?: string; nowMs?: number } = {}): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const log = Logger.create({
    format,
    filter: options.filter ?? 'trace',
    target: 'linkerd_app',
    write: (line) => lines.push(line),
    now: () => options.nowMs ?? 105_540.805,
    startTimeMs: 0,
  });
  return { log, lines };
}

describe('plain lines', () => {
  it('[LOG-02] look as the reference writes them', () => {
    const { log, lines } = capture('plain');
    log
      .child({}, 'outbound')
      .child({ addr: '10.96.220.136:8080' }, 'proxy')
      .child({ ns: 'vec-net', name: 'standin', port: 8080 }, 'service')
      .withTarget('linkerd_pool_p2c')
      .info('Adding endpoint', { addr: '10.244.0.31:8080' });
    log.warn('Failed', { error: { quoted: 'spoofed' }, 'error.sources': ['a', 'b'], left: undefined });
    expect(lines[0]).toBe(
      '[   105.540805s]  INFO ThreadId(01) outbound:proxy{addr=10.96.220.136:8080}:service{ns=vec-net name=standin port=8080}: linkerd_pool_p2c: Adding endpoint addr=10.244.0.31:8080\n',
    );
    expect(vector('log-plain.txt')).toContain((lines[0] ?? '').trimEnd());
    expect(lines[1]).toBe('[   105.540805s]  WARN ThreadId(01) linkerd_app: Failed error="spoofed" error.sources=[a, b]\n');
  });
});

describe('json lines', () => {
  it('[LOG-02] are those of the captured proxy, byte for byte', () => {
    for (const line of vector('log-json.txt')) {
      const event = JSON.parse(line) as {
        timestamp: string;
        fields: Record<string, LogValue> & { message: string };
        target: string;
        spans?: (Record<string, LogValue> & { name: string })[];
        threadId: string;
      };
      const lines: string[] = [];
      const micros = Date.parse(`${event.timestamp.slice(0, 19)}Z`) * 1000 + Number(event.timestamp.slice(20, 26));
      let log = Logger.create({
        format: 'json',
        filter: 'info',
        target: event.target,
        write: (text) => lines.push(text),
        now: () => micros / 1000,
        threadId: Number(/\d+/.exec(event.threadId)?.[0]),
      });
      for (const { name, ...fields } of event.spans ?? []) log = log.child(fields, name);
      const { message, ...fields } = event.fields;
      log.info(message, fields);
      expect(lines).toEqual([`${line}\n`]);
    }
  });
});

describe('controller lines', () => {
  it('[LOG-04] are logfmt, or JSON', () => {
    const nowMs = Date.parse('2026-11-23T12:00:00.5Z');
    const text = capture('logfmt', { nowMs });
    text.log.child({ component: 'x' }).warn('two words', { error: 'a "b"' });
    expect(text.lines).toEqual(['time="2026-11-23T12:00:00Z" level=warning msg="two words" component=x error="a \\"b\\""\n']);
    const json = capture('logfmt-json', { nowMs });
    json.log.info('ok', { n: 1 });
    expect(json.lines).toEqual(['{"n":1,"level":"info","msg":"ok","time":"2026-11-23T12:00:00Z"}\n']);
  });
});

describe('values', () => {
  it.each<LogFormat>(['plain', 'json', 'logfmt', 'logfmt-json'])('never break a %s line, whatever they hold', (format) => {
    const { log, lines } = capture(format);
    log.info('a\nb', { x: 'c\r\nINFO d\u001b[31m\u2028', y: peerText(Uint8Array.from([0, 10, 34, 255])), z: 'q'.repeat(10_000) });
    expect(lines.length).toBe(1);
    const body = (lines[0] ?? '').slice(0, -1);
    expect(body).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028]/);
    expect(body.length).toBeLessThan(6_000);
  });
});

const RECORD: AccessLogRecord = {
  clientAddr: '',
  clientId: undefined,
  timestampMs: 0,
  method: 'GET',
  uri: '/',
  version: 'HTTP/1.1',
  host: '',
  userAgent: '',
  traceId: '',
  requestBytes: '',
  responseBytes: undefined,
  status: 200,
  totalNanos: 0,
  processingNanos: 0,
};

describe('hostile values', () => {
  const HOSTILE = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 200 }).map((units) => String.fromCharCode(...units)),
    fc.constantFrom(
      '\u202egnp.exe',
      '\u001b]0;title\u0007',
      '\r\n[     0.000000s] ERROR fake',
      '\u0085',
      '\ud800',
      '\ufeff',
      'q'.repeat(100_000),
    ),
  );
  const REST = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

  it.each<LogFormat>(['plain', 'json', 'logfmt', 'logfmt-json'])(
    '[LOG-02] leave one printable %s line, of bounded length, wherever they stand',
    (format) => {
      fc.assert(
        fc.property(HOSTILE, HOSTILE, HOSTILE, (message, value, span) => {
          const { log, lines } = capture(format);
          log.child({ peer: span }, 'connection').warn(message, { value, list: [value, span], quoted: peerText(value), error: value });
          expect(lines).toHaveLength(1);
          const line = (lines[0] ?? '').slice(0, -1);
          expect(REST.exec(line)?.[0]).toBeUndefined();
          expect(line.isWellFormed()).toBe(true);
          expect(line.length).toBeLessThan(8 * 6 * (MAX_LOG_VALUE_LENGTH + 64));
        }),
        { numRuns: 300 },
      );
    },
  );

  it.each(['apache', 'json'] as const)('[LOG-01] leave one printable access-log line (%s)', (format) => {
    fc.assert(
      fc.property(HOSTILE, (text) => {
        const line = formatAccessLog(format, {
          ...RECORD,
          clientId: text,
          host: text,
          method: text,
          uri: text,
          userAgent: text,
          traceId: text,
          requestBytes: text,
          responseBytes: text,
        });
        expect(REST.exec(line)?.[0]).toBeUndefined();
        expect(line.isWellFormed()).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('values that the type does not allow', () => {
  it('are printed and never throw', () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const odd = { a: null, b: { c: 1 }, d: new Error('why'), e: circular, f: [1, { g: 2 }], h: Number.NaN } as unknown as LogFields;
    const plain = capture('plain');
    plain.log.info('m', odd);
    expect(plain.lines[0]).toContain('m a=null b={"c":1} d=why e=(unprintable) f=[1, {"g":2}] h=NaN\n');
    const json = capture('json');
    json.log.info('m', odd);
    expect(JSON.parse(json.lines[0] ?? '')).toMatchObject({ fields: { a: 'null', b: '{"c":1}', d: 'why', e: '(unprintable)', h: 'NaN' } });
  });
});

describe('filters', () => {
  const enabled = (filter: string, target: string, span?: [string, LogFields]): string[] => {
    let log = capture('plain', { filter }).log.withTarget(target);
    if (span !== undefined) log = log.child(span[1], span[0]);
    return (['error', 'warn', 'info', 'debug', 'trace'] as const).filter((level) => log.isEnabled(level));
  };

  it.each<[string, string, [string, LogFields] | undefined, string]>([
    ['warn,linkerd=info', 'linkerd_app', undefined, 'error warn info'],
    ['warn,linkerd=info', 'hyper', undefined, 'error warn'],
    ['warn,linkerd=info,linkerd_app::x=trace', 'linkerd_app::x', undefined, 'error warn info debug trace'],
    ['off', 'linkerd_app', undefined, ''],
    ['', 'linkerd_app', undefined, 'error'],
    ['DEBUG', 'x', undefined, 'error warn info debug'],
    ['linkerd_app', 'linkerd_app', undefined, 'error warn info debug trace'],
    ['linkerd_app', 'other', undefined, ''],
    ['info,info=debug', 'x', undefined, 'error warn info'],
    ['debug,[{headers}]=off', 'linkerd_app', ['request', { headers: 'x' }], ''],
    ['debug,[{headers}]=off', 'linkerd_app', ['request', { uri: 'x' }], 'error warn info debug'],
    ['warn,[proxy{addr=1.2.3.4:80}]=debug', 'linkerd_app', ['proxy', { addr: '1.2.3.4:80' }], 'error warn info debug'],
    ['warn,[proxy{addr=1.2.3.4:80}]=debug', 'linkerd_app', ['proxy', { addr: '1.2.3.4:81' }], 'error warn'],
    ['warn,linkerd=info,hickory=error,[{headers}]=off,[{request}]=off', 'hickory_proto', undefined, 'error'],
  ])('[LOG-02] %j for target %s in span %j enables %j', (filter, target, span, levels) => {
    expect(enabled(filter, target, span).join(' ')).toBe(levels);
  });

  it.each(['linkerd=loud', 'a=b=c', '[x', 'a b', 'x'.repeat(5_000)])('refuse %j', (text) => {
    expect(parseLogFilter(text)).toHaveProperty('error');
  });

  it('[LOG-02] change at run time for children made before', () => {
    const { log, lines } = capture('plain', { filter: 'info' });
    const child = log.child({}, 'span');
    child.debug('no');
    expect(log.setFilter('nonsense=')).toBe(undefined);
    expect(log.setFilter('linkerd=what')).toMatch(/invalid filter directive/);
    expect(log.setFilter('debug')).toBe(undefined);
    child.debug('yes');
    expect(log.filterText).toBe('debug');
    expect(lines.length).toBe(1);
  });
});

describe('access log', () => {
  const base = RECORD;
  const timeOf = (text: string): { timestampMs: number; timestampNanos: number } => ({
    timestampMs: Date.parse(`${text.slice(0, 23).replace(/Z$/, '')}Z`),
    timestampNanos: Number((/\.(\d+)Z/.exec(text)?.[1] ?? '').padEnd(9, '0').slice(3)),
  });

  it('[LOG-01] apache lines are the captured ones', () => {
    const lines = vector('access-log-apache.txt');
    expect(lines.length).toBeGreaterThan(20);
    for (const line of lines) {
      const [, clientAddr = '', id = '', time = '', method = '', uri = '', version = '', status] =
        /^(\S+) (\S+) - \[(\S+)\] "(\S+) (\S+) (\S+)"(?: (\d+))?$/.exec(line) ?? [];
      const record = { ...base, clientAddr, clientId: id === '-' ? undefined : id, ...timeOf(time), method, uri, version };
      expect(formatAccessLog('apache', { ...record, status: status === undefined ? undefined : Number(status) })).toBe(line);
    }
  });

  it('[LOG-01] json lines are the captured ones', () => {
    const lines = vector('access-log-json.txt');
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      const event = JSON.parse(line) as Record<string, string>;
      const text = formatAccessLog('json', {
        ...base,
        clientAddr: event['client.addr'] ?? '',
        clientId: event['client.id'] === '-' ? undefined : event['client.id'],
        ...timeOf(event['timestamp'] ?? ''),
        method: event['method'] ?? '',
        uri: event['uri'] ?? '',
        version: event['version'] ?? '',
        host: event['host'] ?? '',
        userAgent: event['user_agent'] ?? '',
        traceId: event['trace_id'] ?? '',
        requestBytes: event['request_bytes'] ?? '',
        responseBytes: event['response_bytes'],
        status: event['status'] === undefined ? undefined : Number(event['status']),
        totalNanos: BigInt(event['total_ns'] ?? 0),
        processingNanos: BigInt(event['processing_ns'] ?? 0),
      });
      expect(text).toBe(line);
    }
  });

  it('keeps a quote or line break in a request inside its line', () => {
    const text = formatAccessLog('apache', { ...base, clientAddr: '1.2.3.4:5', uri: '/"\r\n1.1.1.1 - - "x' });
    expect(text).toBe('1.2.3.4:5 - - [1970-01-01T00:00:00Z] "GET /\\"\\r\\n1.1.1.1 - - \\"x HTTP/1.1" 200');
  });

  it('[LOG-01] takes the trace id from the first known field', () => {
    const fields: Record<string, string> = { 'x-amzn-trace-id': 'c', 'x-request-id': 'b' };
    expect(traceIdOf((name) => fields[name])).toBe('b');
    expect(traceIdOf(() => undefined)).toBe('');
  });
});

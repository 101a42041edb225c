// SPDX-License-Identifier: Apache-2.0
/* The small grammars of flags, annotations, tokens and profiles. */
import { toJson } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import { destination, net } from '@weft/proto';
import { assert, bigInt, ipV4, ipV6, oneof, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseContextToken } from './context-token.ts';
import { quoted } from './go-text.ts';
import { parseIp, toIpMessage } from './ip-address.ts';
import { completeOptions, DEFAULT_DESTINATION_OPTIONS, parseHttp2ClientParams, parseTransportMode } from './options.ts';
import { parsePortSet } from './port-set.ts';
import { parseGoDuration } from './profile/go-duration.ts';

describe('parseContextToken', () => {
  it.each([
    ['', { namespace: '', nodeName: '' }],
    ['{"ns":"a","nodeName":"n","pod":"p"}\n', { namespace: 'a', nodeName: 'n' }],
    ['{}', { namespace: '', nodeName: '' }],
    ['ns:a', { namespace: 'a', nodeName: '' }],
    ['ns:', { namespace: '', nodeName: '' }],
  ])('[LB-24] reads %j', (token, parsed) => {
    expect(parseContextToken(token)).toEqual(parsed);
  });

  it.each(['%%%', '[]', 'null', '5', '{"ns":5}', '{"ns":"a","nodeName":{}}', 'namespace:a', '{"__proto__":'])(
    'understands nothing of %j',
    (token) => {
      expect(parseContextToken(token)).toBeUndefined();
    },
  );
});

describe('quoted', () => {
  it.each([
    ['a b', '"a b"'],
    ['"\\', '"\\"\\\\"'],
    ['\n\t\r\u0000\u007f', '"\\n\\t\\r\\x00\\x7f"'],
    ['\u00fc \u540d', '"\u00fc \u540d"'],
    ['\u200b\u{e0001}', '"\\u200b\\U000e0001"'],
  ])('prints %j as Go does', (text, expected) => {
    expect(quoted(text)).toBe(expected);
  });
});

describe('parseIp', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1', { ipv4: 167_772_161 }],
    ['255.255.255.255', '255.255.255.255', { ipv4: 4_294_967_295 }],
    ['::ffff:10.0.0.1', '10.0.0.1', { ipv4: 167_772_161 }],
    ['2001:db8::1', '20010db800000000/1', { ipv6: { first: '2306139568115548160', last: '1' } }],
    ['2001:DB8:0:0::0:1', '20010db800000000/1', { ipv6: { first: '2306139568115548160', last: '1' } }],
    ['::', '0/0', { ipv6: {} }],
    ['64:ff9b::1.2.3.4', '64ff9b00000000/1020304', { ipv6: { first: '28428538856079360', last: '16909060' } }],
    ['1:2:3:4:5:6:7:8', '1000200030004/5000600070008', { ipv6: { first: '281483566841860', last: '1407400653815816' } }],
  ])('[LB-04] reads %s', (text, key, json) => {
    const ip = parseIp(text);
    expect(ip?.key).toBe(key);
    expect(ip === undefined ? undefined : toJson(net.IPAddressSchema, toIpMessage(ip))).toEqual(json);
  });

  it.each(['', 'web', '1.2.3', '1.2.3.4.5', '01.2.3.4', '256.1.1.1', '::1%eth0', '[::1]', ':::', '1::2::3', '10.0.0.1 '])(
    'refuses %j',
    (text) => {
      expect(parseIp(text)).toBeUndefined();
    },
  );

  it('gives one key per address, however it is spelt', () => {
    assert(property(ipV4(), (text) => parseIp(text)?.key === text && parseIp(`::ffff:${text}`)?.key === text));
    assert(property(ipV6(), (text) => parseIp(text)?.key === parseIp(text.toUpperCase())?.key && parseIp(text) !== undefined));
  });
});

describe('parsePortSet', () => {
  it.each([
    ['80', [80], [79, 81]],
    ['80,443', [80, 443], [81]],
    [' 80 , 443-445 ,', [80, 443, 444, 445], [442, 446]],
    ['0-65535', [0, 1, 65_535], []],
    ['', [], [0, 80]],
  ])('[PROTO-03] reads %j', (list, inside, outside) => {
    const { ports, invalid } = parsePortSet(list);
    expect(invalid).toEqual([]);
    for (const port of inside) expect(ports.has(port)).toBe(true);
    for (const port of outside) expect(ports.has(port)).toBe(false);
  });

  it('skips what means nothing and says so', () => {
    const { ports, invalid } = parsePortSet('80,x,5-3,70000,1-70000,-1,1-2-3');
    expect(ports.has(80)).toBe(true);
    expect(invalid).toEqual(['x', '5-3', '70000', '1-70000', '-1', '1-2-3']);
  });

  it('takes a name before a range', () => {
    const names = new Map([
      ['raw', [7071, 7072]],
      ['1-2', [9]],
    ]);
    const { ports } = parsePortSet('raw,1-2', (name) => names.get(name) ?? []);
    expect([1, 2, 9, 7071, 7072].map((port) => ports.has(port))).toEqual([false, false, true, true, true]);
  });
});

describe('parseGoDuration', () => {
  it.each([
    ['250ms', '0.250s'],
    ['1m30s', '90s'],
    ['1.5h', '5400s'],
    ['0', '0s'],
    ['0s', '0s'],
    ['+1us', '0.000001s'],
    ['1\u00b5s', '0.000001s'],
    ['-1.5s', '-1.500s'],
    ['.5s', '0.500s'],
    ['1h2m3s4ms5us6ns', '3723.004005006s'],
  ])('reads %s', (text, expected) => {
    const duration = parseGoDuration(text);
    expect(duration === undefined ? undefined : toJson(DurationSchema, duration)).toBe(expected);
  });

  it.each(['', '1', 's', '1 s', '1s ', '1d', '-', '.s', '1..5s', '1e3s', '1s-1s', '9'.repeat(100)])('refuses %j', (text) => {
    expect(parseGoDuration(text)).toBeUndefined();
  });

  it('never throws', () => {
    assert(
      property(
        oneof(
          string(),
          bigInt().map((n) => `${n}h`),
        ),
        (text) => parseGoDuration(text) !== null,
      ),
    );
  });
});

describe('options', () => {
  it('falls back to cluster.local and refuses IPv6 without slices', () => {
    expect(completeOptions({ trustDomain: '', clusterDomain: '' })).toEqual(DEFAULT_DESTINATION_OPTIONS);
    expect(() => completeOptions({ isIpv6Enabled: true, usesEndpointSlices: false })).toThrow(RangeError);
    expect(['transport-header', 'transparent', 'x'].map((text) => parseTransportMode(text))).toEqual([
      'transport-header',
      'transparent',
      'transparent',
    ]);
  });

  it('reads the HTTP/2 parameters as the chart writes them', () => {
    const json = '{"keep_alive":{"interval":{"seconds":10},"timeout":{"seconds":3},"while_idle":true}}';
    expect(parseHttp2ClientParams(json)).toEqual(DEFAULT_DESTINATION_OPTIONS.http2ClientParams);
    const all = parseHttp2ClientParams(
      '{"flow_control":{"initial_connection_window_size":1,"initial_stream_window_size":2,"adaptive_flow_control":true},' +
        '"keep_alive":{"interval":{"seconds":1,"nanos":500000000}},"internals":{"max_concurrent_reset_streams":3,"max_frame_size":4,"max_send_buf_size":5}}',
    );
    expect(toJson(destination.Http2ClientParamsSchema, all)).toEqual({
      flowControl: { initialConnectionWindowSize: 1, initialStreamWindowSize: 2, adaptiveFlowControl: true },
      keepAlive: { interval: '1.500s' },
      internals: { maxConcurrentResetStreams: 3, maxFrameSize: 4, maxSendBufSize: 5 },
    });
    expect(toJson(destination.Http2ClientParamsSchema, parseHttp2ClientParams('{}'))).toEqual({});
  });

  it.each(['', '[]', '{"keep_alive":5}', '{"keep_alive":{"while_idle":1}}', '{"internals":{"max_frame_size":-1}}'])(
    'refuses parameters %j',
    (json) => {
      expect(() => parseHttp2ClientParams(json)).toThrow(/./);
    },
  );
});

// SPDX-License-Identifier: Apache-2.0
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type TapEvent, TapEventSchema, TapEvent_EndpointMetaSchema, TapEvent_HttpSchema, TapEvent_ProxyDirection } from '@weft/proto/tap';
import { describe, expect, it } from 'vitest';
import { observeRequest } from './tap-query.ts';
import { tapJson, tapLine } from './tap-render.ts';

const BASE = {
  source: { ip: { ip: { case: 'ipv4', value: 0x0a00_0001 } }, port: 4000 },
  destination: { ip: { ip: { case: 'ipv6', value: { first: 0xfd00_0000_0000_0000n, last: 2n } } }, port: 80 },
  proxyDirection: 2,
  sourceMeta: { labels: { tls: 'loopback' } },
  destinationMeta: { labels: { tls: 'true', deployment: 'web', namespace: 'shop' } },
} satisfies MessageInitShape<typeof TapEventSchema>;
const ID = { base: 3, stream: 4n };

type HttpEvent = NonNullable<MessageInitShape<typeof TapEvent_HttpSchema>['event']>;

interface Changes {
  readonly proxyDirection?: TapEvent_ProxyDirection;
  readonly sourceMeta?: { readonly labels: Record<string, string> };
  readonly destinationMeta?: { readonly labels: Record<string, string> };
}

function eventOf(event: HttpEvent, { proxyDirection, sourceMeta, destinationMeta }: Changes = {}): TapEvent {
  const tapped = create(TapEventSchema, BASE);
  tapped.event = { case: 'http', value: create(TapEvent_HttpSchema, { event }) };
  if (proxyDirection !== undefined) tapped.proxyDirection = proxyDirection;
  if (sourceMeta !== undefined) tapped.sourceMeta = create(TapEvent_EndpointMetaSchema, sourceMeta);
  if (destinationMeta !== undefined) tapped.destinationMeta = create(TapEvent_EndpointMetaSchema, destinationMeta);
  return tapped;
}

const REQUEST = eventOf({
  case: 'requestInit',
  value: {
    id: ID,
    method: { type: { case: 'registered', value: 1 } },
    scheme: { type: { case: 'registered', value: 0 } },
    authority: 'web',
    path: '/a?b',
    headers: {
      headers: [
        { name: 'x', value: Buffer.from('é') },
        { name: 'y-bin', value: Buffer.from([1, 2]) },
        { name: 'z', value: Buffer.from([0xff]) },
      ],
    },
  },
});
const NOBODY = (): Record<string, string> => ({});

describe('a tapped event', () => {
  it.each([
    ['request', REQUEST, 'req id=3:4 proxy=out src=10.0.0.1:4000 dst=[fd00::2]:80 tls=true :method=POST :authority=web :path=/a?b'],
    [
      'response',
      eventOf({ case: 'responseInit', value: { id: ID, httpStatus: 204, sinceRequestInit: { seconds: 1n, nanos: 2_500 } } }),
      'rsp id=3:4 proxy=out src=10.0.0.1:4000 dst=[fd00::2]:80 tls=true :status=204 latency=1000002µs',
    ],
    [
      'end of gRPC',
      eventOf({
        case: 'responseEnd',
        value: { id: ID, sinceResponseInit: { nanos: 7_000 }, responseBytes: 9n, eos: { end: { case: 'grpcStatusCode', value: 14 } } },
      }),
      'end id=3:4 proxy=out src=10.0.0.1:4000 dst=[fd00::2]:80 tls=true grpc-status=Unavailable duration=7µs response-length=9B',
    ],
    [
      'reset',
      eventOf({ case: 'responseEnd', value: { id: ID, eos: { end: { case: 'resetErrorCode', value: 8 } } } }),
      'end id=3:4 proxy=out src=10.0.0.1:4000 dst=[fd00::2]:80 tls=true reset-error=8 duration=0µs response-length=0B',
    ],
    [
      'end of an inbound request',
      eventOf(
        { case: 'responseEnd', value: { id: ID } },
        { proxyDirection: TapEvent_ProxyDirection.INBOUND, sourceMeta: { labels: { tls: 'no_tls_from_remote' } } },
      ),
      'end id=3:4 proxy=in  src=10.0.0.1:4000 dst=[fd00::2]:80 tls=no_tls_from_remote duration=0µs response-length=0B',
    ],
  ])('[CLI-52] is a line: %s', (_, event, line) => {
    expect(tapLine(event, NOBODY, undefined)).toBe(line);
  });

  it('[CLI-52] names both ends where they are known and asked for', () => {
    const labels = (ip: string): Record<string, string> =>
      ip === '10.0.0.1' ? { deployment: 'client', namespace: 'other', pod: 'c-1' } : {};
    expect(tapLine(REQUEST, labels, 'deployment')).toMatch(/ src_res=deploy\/client src_ns=other dst_res=deploy\/web dst_ns=shop$/);
    expect(tapLine(REQUEST, labels, 'pod')).toMatch(/ src_res=po\/c-1 src_ns=other dst_ns=shop$/);
  });

  it('[VIZ-09] is JSON with the header fields', () => {
    expect(JSON.parse(tapJson(REQUEST, NOBODY))).toEqual({
      source: { ip: '10.0.0.1', port: 4000, metadata: { tls: 'loopback' } },
      destination: { ip: 'fd00::2', port: 80, metadata: { tls: 'true', deployment: 'web', namespace: 'shop' } },
      routeMeta: null,
      proxyDirection: 'OUTBOUND',
      requestInitEvent: {
        id: { base: 3, stream: 4 },
        method: 'POST',
        scheme: 'HTTP',
        authority: 'web',
        path: '/a?b',
        headers: [
          { name: 'x', valueStr: 'é' },
          { name: 'y-bin', valueBin: 'AQI=' },
          { name: 'z', valueBin: '/w==' },
        ],
      },
    });
  });

  it('cannot write to the terminal, whatever a peer sends', () => {
    const hostile = '/\u001b[2J\n\u009b31mend id=0:0\u2028';
    const event = eventOf(
      { case: 'requestInit', value: { id: ID, authority: hostile, path: hostile } },
      { destinationMeta: { labels: { tls: hostile } } },
    );
    for (const text of [tapLine(event, NOBODY, 'deployment'), tapJson(event, () => ({ pod: hostile })).replaceAll('\n', '')]) {
      // oxlint-disable-next-line no-control-regex
      expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    }
    expect(JSON.parse(tapJson(event, NOBODY))).toMatchObject({ requestInitEvent: { path: hostile } });
  });
});

describe('the flags of weft tap', () => {
  it('[CLI-52] are one match of a request', () => {
    const request = observeRequest(
      { to: { kind: 'deployment', name: 'web', namespace: 'shop' }, method: 'get', scheme: 'HTTPS', authority: 'a', path: '/p' },
      7,
      true,
    );
    expect(request.limit).toBe(7);
    expect(request.extract?.extract.case).toBe('http');
    const all = request.match?.match;
    expect(all?.case === 'all' ? all.value.matches.map(({ match }) => match) : []).toMatchObject([
      { case: 'destinationLabel', value: { key: 'deployment', value: 'web' } },
      { case: 'destinationLabel', value: { key: 'namespace', value: 'shop' } },
      { case: 'http', value: { match: { case: 'scheme', value: { type: { case: 'registered', value: 1 } } } } },
      { case: 'http', value: { match: { case: 'method', value: { type: { case: 'registered', value: 0 } } } } },
      { case: 'http', value: { match: { case: 'authority', value: { match: { case: 'prefix', value: 'a' } } } } },
      { case: 'http', value: { match: { case: 'path', value: { match: { case: 'prefix', value: '/p' } } } } },
    ]);
    expect(observeRequest({ method: 'BREW' }, 1, false).match?.match).toMatchObject({
      value: { matches: [{ match: { value: { match: { value: { type: { case: 'unregistered', value: 'BREW' } } } } } }] },
    });
  });
});

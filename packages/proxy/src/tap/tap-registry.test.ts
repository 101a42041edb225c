// SPDX-License-Identifier: Apache-2.0
import type { FieldList } from '@weft/bytes';
import { Counter } from '@weft/telemetry';
import { describe, expect, it } from 'vitest';
import { ProxyRequestHead } from '../http/request-head.ts';
import { HTTP_1_1, HTTP_2, type HttpVersion, type ResponseHead, type ServerStream } from '../http/types.ts';
import { OutboundFacts } from '../observe/facts.ts';
import { tapCodec } from './tap-codec.ts';
import { MAX_TAPS, TapRegistry } from './tap-registry.ts';
import { MAX_QUEUED_EVENTS, TapService } from './tap-service.ts';

function headOf(version: HttpVersion, path: string): ProxyRequestHead {
  return new ProxyRequestHead({
    version,
    method: 'GET',
    scheme: 'http',
    authority: 'svc',
    isAuthorityInTarget: false,
    path,
    fields: ['host', 'svc'],
    bodyBytes: 0,
    isAbsoluteForm: false,
    upgrade: undefined,
    isOrigProto: false,
  });
}

const HEAD = headOf(HTTP_1_1, '/');
const FACTS = new OutboundFacts(HEAD, { clientIp: '127.0.0.1', clientPort: 9 }, '10.0.0.1:80');
const ENDPOINT = { address: { ip: '::1', port: 80, labels: {} }, tlsStatus: { tls: 'no_identity', reason: 'loopback' } } as const;
const RESPONSE: ResponseHead = { version: HTTP_1_1, status: 200, fields: [], bodyBytes: 0 };
const DONE = { status: 200, error: undefined, isAborted: false, failure: undefined };

function world(): { registry: TapRegistry; dropped: Counter; events: Counter } {
  const dropped = new Counter();
  const events = new Counter();
  return { registry: new TapRegistry({ now: () => 0, random: () => 0.5, codec: tapCodec, dropped, events }), dropped, events };
}

/** A client stream that stops taking bytes after so many messages. */
class StuckStream implements ServerStream {
  readonly connection = { clientIp: '127.0.0.1', clientPort: 1 };
  readonly sent: number[] = [];
  trailers: Readonly<FieldList> | undefined = undefined;
  private readonly takes: number;

  constructor(takes: number) {
    this.takes = takes;
  }

  sendInterim(): void {}
  sendResponse(): void {}
  sendBody(_chunk: Uint8Array, start: number, end: number): boolean {
    this.sent.push(end - start);
    return this.sent.length < this.takes;
  }
  sendEnd(trailers: Readonly<FieldList> | undefined): void {
    this.trailers = trailers;
  }
  abort(): void {}
  consumed(): void {}
  closeAfterResponse(): void {}
}

describe('a tap whose reader is slow', () => {
  it('[VIZ-08] drops events, counts them, and lets requests be', () => {
    const { registry, dropped, events } = world();
    const stream = new StuckStream(1);
    const service = new TapService({ registry, codec: tapCodec, parseNetwork: () => undefined }, undefined, () => {});
    const sink = service.onRequest(headOf(HTTP_2, '/io.linkerd.proxy.tap.Tap/Observe'), stream);
    // limit 1000, match all
    const message = Buffer.from('000000000708e80712020a00', 'hex');
    sink.onRequestBody(message, 0, message.length);
    for (let i = 0; i < 300; i++) {
      for (const tapped of registry.begin(FACTS, HEAD, ENDPOINT) ?? []) {
        tapped.response(RESPONSE);
        tapped.end(DONE, undefined);
      }
    }
    expect(stream.sent).toHaveLength(1);
    expect(events.value).toBe(1 + MAX_QUEUED_EVENTS);
    expect(dropped.value).toBe(900 - 1 - MAX_QUEUED_EVENTS);
    sink.onRequestAbort(8);
    expect(registry.isActive).toBe(false);
  });
});

describe('taps', () => {
  it(`are ${MAX_TAPS} at most`, () => {
    const { registry } = world();
    const output = { hasRoom: true, event: () => {}, done: () => {} };
    const request = { limit: 1, test: () => true, hasFields: false };
    const taps = Array.from({ length: MAX_TAPS }, () => registry.add(request, output));
    expect(taps.every((tap) => tap !== undefined)).toBe(true);
    expect(registry.add(request, output)).toBeUndefined();
    taps[0]?.close();
    expect(registry.add(request, output)).toBeDefined();
  });

  it('are not asked about requests while there is none', () => {
    const { registry } = world();
    const changes: boolean[] = [];
    registry.onChange = (isActive) => void changes.push(isActive);
    expect(registry.begin(FACTS, HEAD, ENDPOINT)).toBeUndefined();
    let isDone = false;
    const output = { hasRoom: true, event: () => {}, done: () => (isDone = true) };
    registry.add({ limit: 1, test: () => true, hasFields: false }, output);
    const streams = registry.begin(FACTS, HEAD, ENDPOINT);
    expect(changes).toEqual([true, false]);
    expect(isDone).toBe(false);
    streams?.[0]?.end(DONE, undefined);
    expect(isDone).toBe(true);
  });
});

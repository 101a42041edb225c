// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { readContext, withSpan } from './trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const W3C = `00-${TRACE}-${SPAN}-01`;
const GRPC = Buffer.from(`0000${TRACE}01${SPAN}0201`, 'hex').toString('base64');

describe('a trace context', () => {
  it.each([
    ['traceparent', ['traceparent', W3C], 'w3c', true],
    ['traceparent that is not sampled', ['traceparent', `00-${TRACE}-${SPAN}-00`], 'w3c', false],
    ['grpc-trace-bin', ['grpc-trace-bin', GRPC], 'grpc', true],
    ['B3', ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-sampled', '1'], 'b3', true],
    ['B3 without a decision', ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN], 'b3', false],
    ['traceparent before B3', ['x-b3-traceid', '1'.repeat(32), 'x-b3-spanid', SPAN, 'traceparent', W3C], 'w3c', true],
    [
      'B3 behind a broken traceparent',
      ['traceparent', 'junk', 'x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-sampled', '1'],
      'b3',
      true,
    ],
  ])('[TRC-02] is read from %s', (_, fields, format, isSampled) => {
    expect(readContext(fields)).toMatchObject({ format, traceId: TRACE, parentId: SPAN, isSampled });
  });

  it.each([
    ['nothing', ['host', 'x', 'te', 'trailers']],
    ['another version', ['traceparent', `01-${TRACE}-${SPAN}-01`]],
    ['zeros', ['traceparent', `00-${'0'.repeat(32)}-${SPAN}-01`]],
    ['a zero span', ['traceparent', `00-${TRACE}-${'0'.repeat(16)}-01`]],
    ['capital letters', ['traceparent', W3C.toUpperCase()]],
    ['a tail', ['traceparent', `${W3C}-x`]],
    ['short binary', ['grpc-trace-bin', GRPC.slice(0, 20)]],
    ['long binary', ['grpc-trace-bin', 'A'.repeat(100_000)]],
    ['B3 without span', ['x-b3-traceid', TRACE, 'x-b3-sampled', '1']],
    ['B3 that is no number', ['x-b3-traceid', 'z'.repeat(32), 'x-b3-spanid', SPAN]],
    ['the single B3 field', ['b3', `${TRACE}-${SPAN}-1`]],
  ])('is not read from %s', (_, fields) => {
    expect(readContext(fields)).toBeUndefined();
  });

  it('[TRC-02] is a short B3 id with zeros in front', () => {
    expect(readContext(['x-b3-traceid', SPAN, 'x-b3-spanid', SPAN])?.traceId).toBe(`${'0'.repeat(16)}${SPAN}`);
  });

  it.each([
    [
      'w3c',
      ['host', 'x', 'traceparent', W3C, 'tracestate', 'a=b'],
      ['host', 'x', 'traceparent', `00-${TRACE}-00000000000000aa-01`, 'tracestate', 'a=b'],
    ],
    ['grpc', ['grpc-trace-bin', GRPC], ['grpc-trace-bin', Buffer.from(`0000${TRACE}0100000000000000aa0201`, 'hex').toString('base64')]],
    [
      'b3',
      ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-sampled', '1'],
      ['x-b3-traceid', TRACE, 'x-b3-spanid', '00000000000000aa', 'x-b3-sampled', '1'],
    ],
  ])('[TRC-02] goes on in the form in which it came: %s', (_, fields, written) => {
    const context = readContext(fields);
    if (context === undefined) throw new Error('no context');
    expect(withSpan(fields, context, '00000000000000aa')).toEqual(written);
  });

  it('goes on once, however often its field came', () => {
    const fields = ['traceparent', W3C, 'traceparent', 'junk'];
    const context = readContext(fields);
    if (context === undefined) throw new Error('no context');
    expect(withSpan(fields, context, 'b'.repeat(16))).toEqual(['traceparent', `00-${TRACE}-${'b'.repeat(16)}-01`]);
  });
});

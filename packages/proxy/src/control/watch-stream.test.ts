// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { ControlStreamLimits } from '../config/types.ts';
import { FakeChannel } from '../testing/fake-channel.ts';
import { TestLoop } from '../testing/test-loop.ts';
import { GRPC_INVALID_ARGUMENT, GRPC_OK, GRPC_UNAVAILABLE } from './grpc-client.ts';
import { WatchStream } from './watch-stream.ts';

const NO_LIMITS: ControlStreamLimits = { initialTimeoutMs: undefined, idleTimeoutMs: undefined, lifetimeMs: undefined };
const CHART_LIMITS: ControlStreamLimits = { initialTimeoutMs: 3000, idleTimeoutMs: 300_000, lifetimeMs: 3_600_000 };

function open(limits: ControlStreamLimits = NO_LIMITS) {
  const loop = new TestLoop();
  const channel = new FakeChannel();
  const messages: string[] = [];
  const ends: number[] = [];
  const stream = new WatchStream({
    channel,
    path: '/service/Watch',
    request: Buffer.from('request'),
    limits,
    backoff: { minMs: 100, maxMs: 10_000, jitterRatio: 0 },
    clock: loop.clock,
    onMessage: (message, isFirst) => void messages.push(`${Buffer.from(message).toString()}${isFirst ? ' first' : ''}`),
    shouldRetry: (status) => {
      ends.push(status);
      return status !== GRPC_INVALID_ARGUMENT;
    },
  });
  return { loop, channel, messages, ends, stream };
}

describe('a watched stream', () => {
  it('tells the first message of each opening from the others', () => {
    const { loop, channel, messages } = open();
    channel.last.sendBytes(Buffer.from('a'));
    channel.last.sendBytes(Buffer.from('b'));
    channel.last.end(GRPC_UNAVAILABLE);
    loop.advance(100);
    channel.last.sendBytes(Buffer.from('c'));
    expect(messages).toEqual(['a first', 'b', 'c first']);
    expect(channel.calls.map((call) => Buffer.from(call.request).toString())).toEqual(['request', 'request']);
  });

  it('backs off longer with each failure, and begins anew after a message', () => {
    const { loop, channel } = open();
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const calls = channel.calls.length;
      const startMs = loop.nowMs;
      channel.last.end(GRPC_UNAVAILABLE);
      while (channel.calls.length === calls) loop.advance(1);
      times.push(loop.nowMs - startMs);
    }
    expect(times).toEqual([100, 200, 400, 800, 1600]);
    channel.last.sendBytes(Buffer.from('x'));
    channel.last.end(GRPC_UNAVAILABLE);
    loop.advance(100);
    expect(channel.last.isOpen).toBe(true);
  });

  it('ends for good where the status says so', () => {
    const { loop, channel, ends } = open();
    channel.last.end(GRPC_INVALID_ARGUMENT);
    loop.advance(60_000);
    expect([channel.calls.length, ends]).toEqual([1, [GRPC_INVALID_ARGUMENT]]);
    expect(loop.pendingTimers).toBe(0);
  });

  it('opens a stream that ended in order at once, but asks nobody in a circle', () => {
    const { loop, channel } = open();
    channel.last.sendBytes(Buffer.from('x'));
    loop.advance(5000);
    channel.last.end(GRPC_OK);
    loop.advance(0);
    expect(channel.calls).toHaveLength(2);
    for (let i = 0; i < 1000; i++) {
      channel.last.sendBytes(Buffer.from('x'));
      channel.last.end(GRPC_OK);
      loop.advance(1);
    }
    expect(channel.calls.length).toBeLessThan(14);
  });

  it('gives a stream up whose first message does not come in time', () => {
    const { loop, channel } = open(CHART_LIMITS);
    loop.advance(2999);
    expect(channel.last.isCancelled).toBe(false);
    loop.advance(1);
    expect(channel.calls[0]?.isCancelled).toBe(true);
    expect(channel.suspicions).toBe(1);
    loop.advance(100);
    expect(channel.calls).toHaveLength(2);
  });

  it('gives a stream up that is silent for the idle time', () => {
    const { loop, channel } = open(CHART_LIMITS);
    for (let i = 0; i < 3; i++) {
      channel.last.sendBytes(Buffer.from('x'));
      loop.advance(299_000);
    }
    expect(channel.calls).toHaveLength(1);
    loop.advance(1001);
    expect(channel.calls[0]?.isCancelled).toBe(true);
    loop.advance(200);
    expect(channel.calls).toHaveLength(2);
  });

  it('begins anew after its lifetime', () => {
    const { loop, channel, ends } = open(CHART_LIMITS);
    for (let i = 0; i < 12; i++) {
      channel.last.sendBytes(Buffer.from('x'));
      loop.advance(290_000);
    }
    channel.last.sendBytes(Buffer.from('x'));
    expect(channel.calls).toHaveLength(1);
    loop.advance(120_001);
    expect(channel.calls).toHaveLength(2);
    expect([channel.calls[0]?.isCancelled, ends]).toEqual([true, [GRPC_OK]]);
  });

  it('does nothing after it was closed', () => {
    const { loop, channel, stream } = open(CHART_LIMITS);
    stream.close();
    loop.advance(10_000_000);
    expect([channel.calls.length, channel.last.isCancelled, loop.pendingTimers]).toEqual([1, true, 0]);
    const other = open();
    other.channel.last.end(GRPC_UNAVAILABLE);
    other.stream.close();
    other.loop.advance(10_000);
    expect([other.channel.calls.length, other.loop.pendingTimers]).toEqual([1, 0]);
  });
});

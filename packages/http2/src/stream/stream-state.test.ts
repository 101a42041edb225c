// SPDX-License-Identifier: Apache-2.0
/*
 * Stream states against a table written from RFC 9113 §5.1 and §8.1, by random sequences of events; first the state machine
 * alone, then a server connection that sees the same events as frames.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { H2_CODES } from '../codes.ts';
import { ScriptedPeer, dataFrame, headersFrame, rstStreamFrame } from '../testing/index.ts';
import { CAUSE_LOCAL_RESET, CAUSE_NONE, CAUSE_PEER_RESET, StreamState } from './stream-state.ts';

/** What each half is waiting for. */
type Half = 'head' | 'body' | 'closed';

interface Model {
  send: Half;
  recv: Half;
}

interface Real {
  readonly state: StreamState;
  /** What differed from the model. */
  readonly wrong: string[];
}

const OK = H2_CODES.NO_ERROR;
const { PROTOCOL_ERROR, STREAM_CLOSED } = H2_CODES;

/** Receiving events: the answer and the next phase, by the phase before. */
const RECV_TABLE: Readonly<Record<string, Readonly<Record<Half, readonly [number, Half]>>>> = {
  head: { head: [OK, 'body'], body: [PROTOCOL_ERROR, 'body'], closed: [STREAM_CLOSED, 'closed'] },
  headEnd: { head: [OK, 'closed'], body: [PROTOCOL_ERROR, 'body'], closed: [STREAM_CLOSED, 'closed'] },
  interim: { head: [OK, 'head'], body: [PROTOCOL_ERROR, 'body'], closed: [STREAM_CLOSED, 'closed'] },
  interimEnd: { head: [PROTOCOL_ERROR, 'head'], body: [PROTOCOL_ERROR, 'body'], closed: [STREAM_CLOSED, 'closed'] },
  data: { head: [PROTOCOL_ERROR, 'head'], body: [OK, 'body'], closed: [STREAM_CLOSED, 'closed'] },
  dataEnd: { head: [PROTOCOL_ERROR, 'head'], body: [OK, 'closed'], closed: [STREAM_CLOSED, 'closed'] },
  trailers: { head: [PROTOCOL_ERROR, 'head'], body: [PROTOCOL_ERROR, 'body'], closed: [STREAM_CLOSED, 'closed'] },
  trailersEnd: { head: [PROTOCOL_ERROR, 'head'], body: [OK, 'closed'], closed: [STREAM_CLOSED, 'closed'] },
};

const RECV_EVENTS: Readonly<Record<string, (state: StreamState) => number>> = {
  head: (state) => state.recvHead(false),
  headEnd: (state) => state.recvHead(true),
  interim: (state) => state.recvInterim(false),
  interimEnd: (state) => state.recvInterim(true),
  data: (state) => state.recvData(false),
  dataEnd: (state) => state.recvData(true),
  trailers: (state) => state.recvTrailers(false),
  trailersEnd: (state) => state.recvTrailers(true),
};

/** Sending events: allowed or not, and the next phase. */
const SEND_TABLE: Readonly<Record<string, Readonly<Record<Half, readonly [boolean, Half]>>>> = {
  head: { head: [true, 'body'], body: [false, 'body'], closed: [false, 'closed'] },
  headEnd: { head: [true, 'closed'], body: [false, 'body'], closed: [false, 'closed'] },
  interim: { head: [true, 'head'], body: [false, 'body'], closed: [false, 'closed'] },
  data: { head: [false, 'head'], body: [true, 'body'], closed: [false, 'closed'] },
  dataEnd: { head: [false, 'head'], body: [true, 'closed'], closed: [false, 'closed'] },
  trailers: { head: [false, 'head'], body: [true, 'closed'], closed: [false, 'closed'] },
};

const SEND_EVENTS: Readonly<Record<string, (state: StreamState) => boolean>> = {
  head: (state) => state.sendHead(false),
  headEnd: (state) => state.sendHead(true),
  interim: (state) => state.sendInterim(),
  data: (state) => state.sendData(false),
  dataEnd: (state) => state.sendData(true),
  trailers: (state) => state.sendTrailers(),
};

const HALF_NAMES: readonly Half[] = ['head', 'body', 'closed'];

class StateCommand implements fc.Command<Model, Real> {
  private readonly event: string;
  private readonly side: 'send' | 'recv' | 'reset';

  constructor(side: 'send' | 'recv' | 'reset', event: string) {
    this.side = side;
    this.event = event;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, { state, wrong }: Real): void {
    const causeBefore = state.cause;
    if (this.side === 'reset') {
      const wasClosed = model.send === 'closed' && model.recv === 'closed';
      const cause = this.event === 'peer' ? CAUSE_PEER_RESET : CAUSE_LOCAL_RESET;
      state.reset(cause);
      model.send = 'closed';
      model.recv = 'closed';
      this.compare(wrong, state.cause, wasClosed ? causeBefore : cause);
    } else if (this.side === 'recv') {
      const [code, next] = RECV_TABLE[this.event]?.[model.recv] ?? [-1, 'closed'];
      this.compare(wrong, RECV_EVENTS[this.event]?.(state), code);
      model.recv = next;
    } else {
      const [isAllowed, next] = SEND_TABLE[this.event]?.[model.send] ?? [false, 'closed'];
      this.compare(wrong, SEND_EVENTS[this.event]?.(state), isAllowed);
      model.send = next;
    }
    this.compare(wrong, HALF_NAMES[state.sendState], model.send);
    this.compare(wrong, HALF_NAMES[state.recvState], model.recv);
    this.compare(wrong, state.isClosed, model.send === 'closed' && model.recv === 'closed');
    this.compare(wrong, state.cause === CAUSE_NONE, !state.isClosed);
  }

  private compare(wrong: string[], actual: unknown, expected: unknown): void {
    if (actual !== expected) wrong.push(`${this.toString()}: ${String(actual)} instead of ${String(expected)}`);
  }

  toString(): string {
    return `${this.side} ${this.event}`;
  }
}

const COMMANDS = [
  ...Object.keys(RECV_TABLE).map((event) => fc.constant(new StateCommand('recv', event))),
  ...Object.keys(SEND_TABLE).map((event) => fc.constant(new StateCommand('send', event))),
  fc.constant(new StateCommand('reset', 'peer')),
  fc.constant(new StateCommand('reset', 'local')),
];

describe('stream states', () => {
  it('follow the table, whatever the order of events', () => {
    fc.assert(
      fc.property(fc.commands(COMMANDS, { maxCommands: 12 }), (commands) => {
        const wrong: string[] = [];
        fc.modelRun(
          () => ({ model: { send: 'head' as const, recv: 'head' as const }, real: { state: new StreamState(), wrong } }),
          commands,
        );
        expect(wrong).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });
});

const GET = [':method', 'POST', ':scheme', 'http', ':authority', 'a', ':path', '/'];

/** Frames on stream 1 of a server that has its request head: what the server answers, in the phases of receiving. */
const FRAMES: Readonly<Record<string, Uint8Array>> = {
  data: dataFrame(1, 'x'),
  dataEnd: dataFrame(1, 'x', { endStream: true }),
  trailers: headersFrame(1, ['t', '1']),
  trailersEnd: headersFrame(1, ['t', '1'], { endStream: true }),
  reset: rstStreamFrame(1, H2_CODES.CANCEL),
};

/** Phases of a stream as the server's owner and peer see it. */
type Phase = 'open' | 'remoteClosed' | 'localClosed' | 'ended' | 'peerReset' | 'localReset' | 'dead';

/** By phase and event: what the server writes, and the phase after. */
function serverModel(phase: Phase, event: string): readonly [string, Phase] {
  if (phase === 'dead') return ['', 'dead'];
  if (phase === 'localReset') return ['', 'localReset'];
  if (phase === 'ended' || phase === 'peerReset') {
    if (event === 'reset') return ['', phase];
    // DATA after the end is a stream error, a further head ends the connection (§5.1).
    return event.startsWith('data') ? ['RST_STREAM 1 STREAM_CLOSED', 'localReset'] : ['GOAWAY 1 STREAM_CLOSED', 'dead'];
  }
  if (event === 'reset') return ['', 'peerReset'];
  if (phase === 'remoteClosed') return ['RST_STREAM 1 STREAM_CLOSED', 'localReset'];
  if (event === 'trailers') return ['RST_STREAM 1 PROTOCOL_ERROR', 'localReset'];
  if (event === 'data') return ['', phase];
  return ['', phase === 'open' ? 'remoteClosed' : 'ended'];
}

describe('a server stream', () => {
  it('answers frames in every state as the RFC says', () => {
    const steps = fc.array(fc.constantFrom(...Object.keys(FRAMES), 'answer', 'ownReset'), { maxLength: 8 });
    fc.assert(
      fc.property(steps, (events) => {
        const peer = new ScriptedPeer({ role: 'server' }).open();
        peer.send(headersFrame(1, GET));
        let phase: Phase = 'open';
        for (const event of events) {
          let expected = '';
          if (event === 'answer') {
            if (phase === 'open' || phase === 'remoteClosed') {
              expected = 'HEADERS 1 END_STREAM :status=200';
              phase = phase === 'open' ? 'localClosed' : 'ended';
              peer.stream(1).sendHeaders([':status', '200'], true);
            }
          } else if (event === 'ownReset') {
            if (phase === 'open' || phase === 'remoteClosed' || phase === 'localClosed') {
              expected = 'RST_STREAM 1 CANCEL';
              phase = 'localReset';
            }
            peer.stream(1).reset(H2_CODES.CANCEL);
          } else {
            [expected, phase] = serverModel(phase, event);
            peer.send(FRAMES[event] as Uint8Array);
          }
          expect(peer.recv().join()).toBe(expected);
          const isOpen = phase === 'open' || phase === 'remoteClosed' || phase === 'localClosed';
          expect(peer.connection.activeStreams).toBe(isOpen ? 1 : 0);
          expect(peer.stream(1).isRecvClosed).toBe(phase !== 'open' && phase !== 'localClosed');
          expect(peer.stream(1).isSendClosed).toBe(phase !== 'open' && phase !== 'remoteClosed');
        }
        // Nothing reaches the owner twice, and nothing comes after the end.
        const ends = peer.log.filter((line) => / (END|reset|trailers)/.test(line));
        expect(ends.filter((line) => line.includes('reset')).length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 3000 },
    );
  });
});

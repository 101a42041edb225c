// SPDX-License-Identifier: Apache-2.0
/* HTTP/2 as a hostile client speaks it: frames in a row, and what came back by frame. */
import { Buffer } from 'node:buffer';
import { type FrameRecord, parseFrames, settingsFrame } from '@weft/http2/testing';
import { SERVER_IP } from '@weft/testkit/sidecar-rig';
import type { Outcome, Step } from './hosts/attacker.ts';
import { HTTP2_PORT, SERVICE, type World } from './world.ts';

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
export const NAMES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
];
const HEADERS = 1;
const RST_STREAM = 3;
const GOAWAY = 7;

/** What a proxy answered. */
export interface H2Outcome {
  readonly outcome: Outcome;
  /** Name of the code of the last GOAWAY. */
  readonly goaway: string | undefined;
  /** Names of RST_STREAM codes by stream. */
  readonly resets: ReadonlyMap<number, string>;
  /** Streams with response HEADERS. */
  readonly answered: ReadonlySet<number>;
}

/** Frames as a step. */
export function frames(...bytes: readonly Uint8Array[]): Step {
  return { base64: Buffer.concat(bytes).toString('base64') };
}

/** Preface and SETTINGS (default: none). */
export function hello(settings: readonly (readonly [number, number])[] = []): Step {
  return frames(Buffer.from(PREFACE, 'latin1'), settingsFrame(settings));
}

export interface H2Attack {
  readonly side?: 'inbound' | 'outbound';
  readonly port?: number;
  readonly quietMs?: number;
  readonly maxMs?: number;
}

/** Sends steps from outside to the inbound proxy, or from the client's application through the outbound one. */
export async function attackH2(world: World, steps: readonly Step[], options: H2Attack = {}): Promise<H2Outcome> {
  const { side = 'inbound', port = HTTP2_PORT, quietMs = 150, maxMs = 20_000 } = options;
  const attacker = side === 'inbound' ? world.outside : world.inside;
  const outcome = await attacker.call('attack', {
    host: side === 'inbound' ? SERVER_IP : SERVICE,
    port,
    steps,
    quietMs,
    maxMs,
  });
  return { outcome, ...read(outcome) };
}

function read(outcome: Outcome): Omit<H2Outcome, 'outcome'> {
  const resets = new Map<number, string>();
  const answered = new Set<number>();
  let goaway: string | undefined;
  for (const { type, streamId, payload } of wholeFrames(Buffer.from(outcome.received, 'base64'))) {
    if (type === HEADERS) answered.add(streamId);
    else if (type === RST_STREAM) resets.set(streamId, nameOf(payload.readUInt32BE(0)));
    else if (type === GOAWAY) goaway = nameOf(payload.readUInt32BE(4));
  }
  return { goaway, resets, answered };
}

/** A connection that was reset may end inside a frame. */
function wholeFrames(bytes: Buffer): FrameRecord[] {
  let at = 0;
  while (at + 9 <= bytes.length && at + 9 + bytes.readUIntBE(at, 3) <= bytes.length) at += 9 + bytes.readUIntBE(at, 3);
  return parseFrames(bytes.subarray(0, at));
}

function nameOf(code: number): string {
  return NAMES[code] ?? String(code);
}

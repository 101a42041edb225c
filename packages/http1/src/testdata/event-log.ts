// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a decoder over a byte stream cut in some way and writes down what happens, with offsets into the stream. Each piece is
 * handed over in a buffer of its own that is overwritten afterwards, so a view that outlives its call shows up as garbage.
 */
import { Buffer } from 'node:buffer';
import { H1RequestDecoder } from '../request-decoder.ts';
import { H1ResponseDecoder } from '../response-decoder.ts';
import type { H1Decoder, H1Error, H1Leniency, H1Limits, H1RequestHead, H1ResponseHead, H1Sink } from '../types.ts';

/** What is decoded, and with what options. */
export interface Setting {
  readonly kind: 'request' | 'response';
  /** For responses: methods of the requests they answer; decoding stops when they are used up. */
  readonly methods: readonly string[];
  readonly limits: Partial<H1Limits>;
  readonly leniency: Partial<H1Leniency>;
  /** The sink calls `tunnel()` in `onHead`. */
  readonly isTunnel: boolean;
  /** Leave the connection open at the end of the input. */
  readonly isOpen: boolean;
}

export const PLAIN_REQUEST: Setting = { kind: 'request', methods: [], limits: {}, leniency: {}, isTunnel: false, isOpen: false };

/** One thing that happened. `offset` is undefined where a push of several bytes hides it. */
export interface LogEvent {
  readonly offset: number | undefined;
  readonly text: string;
}

export interface Run {
  readonly events: readonly LogEvent[];
  readonly error: H1Error | undefined;
}

type Head = H1RequestHead | H1ResponseHead;

/** Bytes that no decoder may take for data after a push. */
const OVERWRITTEN = 0xff;

class Recorder implements H1Sink<Head> {
  readonly events: LogEvent[] = [];
  /** Index in the stream of index 0 of the chunk being pushed. */
  chunkOffset = 0;
  /** Where the event is that happens during this push: known only if it is of one byte. */
  eventOffset: number | undefined = undefined;
  hasEnded = false;
  onTunnel: () => void = () => {};
  private bodyStart = -1;
  private bodyEnd = -1;

  onHead(head: Head): void {
    this.add(describeHead(head), this.eventOffset);
    for (let i = 0; i < head.fields.length; i += 2) this.add(`  ${head.fields[i]}: ${visible(head.fields[i + 1])}`, undefined);
    this.onTunnel();
  }

  onBody(_chunk: Uint8Array, start: number, end: number): void {
    if (end <= start) throw new Error('empty body event');
    if (this.bodyEnd !== this.chunkOffset + start) {
      this.flushBody();
      this.bodyStart = this.chunkOffset + start;
    }
    this.bodyEnd = this.chunkOffset + end;
  }

  onEnd(trailers: readonly string[] | undefined): void {
    this.hasEnded = true;
    this.flushBody();
    if (trailers === undefined) return;
    for (let i = 0; i < trailers.length; i += 2) {
      this.add(`  trailer ${trailers[i]}: ${visible(trailers[i + 1])}`, undefined);
    }
  }

  add(text: string, offset: number | undefined): void {
    this.flushBody();
    this.events.push({ offset, text });
  }

  private flushBody(): void {
    if (this.bodyStart < 0) return;
    const text = `body ${this.bodyStart}..${this.bodyEnd}`;
    this.bodyStart = -1;
    this.bodyEnd = -1;
    this.events.push({ offset: undefined, text });
  }
}

/** Decodes `stream` in pieces that end at `cuts` (ascending) and at its end. */
export function runDecoder(setting: Setting, stream: Uint8Array, cuts: readonly number[]): Run {
  const recorder = new Recorder();
  const methods = [...setting.methods];
  let decoder: H1Decoder;
  let rearm: () => boolean;
  if (setting.kind === 'request') {
    const requests = new H1RequestDecoder(recorder, setting.limits, setting.leniency);
    rearm = () => {
      requests.next();
      return true;
    };
    if (setting.isTunnel) recorder.onTunnel = () => requests.tunnel();
    decoder = requests;
  } else {
    const responses = new H1ResponseDecoder(recorder, setting.limits, setting.leniency);
    rearm = () => {
      const method = methods.shift();
      if (method !== undefined) responses.expect(method);
      return method !== undefined;
    };
    rearm();
    decoder = responses;
  }

  let at = 0;
  for (const end of [...cuts, stream.length]) {
    while (at < end) {
      const piece = Buffer.from(stream.slice(at, end));
      recorder.chunkOffset = at;
      recorder.eventOffset = end - at === 1 ? end : undefined;
      recorder.hasEnded = false;
      const consumed = decoder.push(piece, 0, piece.length);
      piece.fill(OVERWRITTEN);
      if (consumed < 0) {
        const error = decoder.error as H1Error;
        recorder.add(`error ${error.code} ${error.status} ${error.message}`, recorder.eventOffset);
        return { events: recorder.events, error };
      }
      at += consumed;
      if (!recorder.hasEnded && at === end) break;
      if (!recorder.hasEnded) {
        recorder.add('tunnel', at);
        return { events: recorder.events, error: undefined };
      }
      recorder.add('end', at);
      if (!rearm()) {
        recorder.add('stopped', at);
        return { events: recorder.events, error: undefined };
      }
    }
  }
  if (!setting.isOpen) closeStream(decoder, recorder, stream.length);
  return { events: recorder.events, error: decoder.error };
}

function closeStream(decoder: H1Decoder, recorder: Recorder, at: number): void {
  recorder.hasEnded = false;
  const isProper = decoder.pushEof();
  const text = isProper ? 'eof' : `eof ${decoder.error?.code}`;
  recorder.add(recorder.hasEnded ? `end by ${text}` : text, at);
}

/** The log as it stands in a corpus. */
export function printLog(events: readonly LogEvent[]): string {
  return events.map(({ offset, text }) => (offset === undefined ? text : `off=${offset} ${text}`)).join('\n');
}

/** The log without offsets that depend on how the stream was cut. */
export function printCutIndependent(events: readonly LogEvent[]): string {
  return events.map(({ text }) => text).join('\n');
}

/** Cuts after every byte. */
export function everyByte(length: number): number[] {
  return Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1);
}

function describeHead(head: Head): string {
  const common = `1.${head.minorVersion} body=${head.bodyBytes}${head.hasContentLength ? ' content-length' : ''} ${head.keepAlive ? 'persists' : 'closes'}`;
  if ('status' in head) return `head ${head.status} "${visible(head.reason)}" ${common}`;
  const extras = [
    head.host === undefined ? 'no host' : `host=${visible(head.host)}`,
    ...(head.upgrade === undefined ? [] : [`upgrade=${head.upgrade}`]),
    ...(head.expectContinue ? ['expects-continue'] : []),
  ];
  return `head ${head.method} ${visible(head.target)} ${head.targetForm} ${common} ${extras.join(' ')}`;
}

/** Long runs shortened, and nothing but printable ASCII. */
function visible(text: string): string {
  const escaped = text.replace(/[^\x20-\x7e]/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return escaped.length > 80 ? `${escaped.slice(0, 40)}… ${escaped.length} characters` : escaped;
}

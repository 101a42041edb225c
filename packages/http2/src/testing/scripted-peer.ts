// SPDX-License-Identifier: Apache-2.0
/*
 * A peer made of lines, for tests: `send` gives frames to the connection under test, `recv` takes what it answered and prints
 * it as one line a frame, such as `HEADERS 1 END_STREAM :status=200` or `RST_STREAM 3 CANCEL`. In memory, no sockets.
 */
import { Buffer } from 'node:buffer';
import { ByteWriter, type FieldList } from '@weft/bytes';
import { h2CodeName } from '../codes.ts';
import { H2Connection } from '../connection.ts';
import {
  FLAG_ACK,
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FRAME_CONTINUATION,
  FRAME_DATA,
  FRAME_GOAWAY,
  FRAME_HEADERS,
  FRAME_PING,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_WINDOW_UPDATE,
  readUint32,
} from '../frame/frame-header.ts';
import { CLIENT_PREFACE } from '../frame/frame-reader.ts';
import { HPACK_ERROR, HpackDecoder } from '../hpack/decoder.ts';
import type { H2Code, H2ConnectionSink, H2Options, H2StreamHandle, H2StreamSink } from '../types.ts';
import { type FrameRecord, parseFrames, settingsAckFrame, settingsFrame } from './frames.ts';

/** Records what a stream's owner is told, one line a call. */
export class RecordingStreamSink implements H2StreamSink {
  readonly log: string[];
  /** Bytes of DATA so far. */
  dataBytes = 0;
  readonly chunks: Buffer[] = [];
  /** Given back to the stream's window at once when set. */
  autoConsume: H2StreamHandle | undefined = undefined;
  /** What each line begins with. */
  label: string;

  constructor(label: string, log: string[]) {
    this.label = label;
    this.log = log;
  }

  /** All data as text. */
  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  onHeaders(fields: Readonly<FieldList>, endStream: boolean): void {
    this.log.push(`${this.label} headers ${printFields(fields)}${endStream ? ' END' : ''}`);
  }

  onInterim(fields: Readonly<FieldList>): void {
    this.log.push(`${this.label} interim ${printFields(fields)}`);
  }

  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    this.chunks.push(Buffer.from(chunk.subarray(start, end)));
    this.dataBytes += end - start;
    this.log.push(`${this.label} data ${end - start}${endStream ? ' END' : ''}`);
    this.autoConsume?.consume(end - start);
  }

  onTrailers(fields: Readonly<FieldList>): void {
    this.log.push(`${this.label} trailers ${printFields(fields)}`);
  }

  onReset(code: H2Code, by: 'peer' | 'local' | 'connection'): void {
    this.log.push(`${this.label} reset ${h2CodeName(code)} by ${by}`);
  }

  onWritable(): void {
    this.log.push(`${this.label} writable`);
  }
}

/** A connection under test, its recorded events, and the peer's side of the wire. */
export class ScriptedPeer implements H2ConnectionSink {
  readonly connection: H2Connection;
  /** Events of the connection and its streams, oldest first. */
  readonly log: string[] = [];
  /** Server under test: streams by id. */
  readonly streams: Map<number, H2StreamHandle> = new Map();
  readonly sinks: Map<number, RecordingStreamSink> = new Map();
  /** Clock given with each chunk. */
  nowMs = 0;
  /** What `flush` answered last. */
  hasMore = false;
  /** Whether received data is consumed at once. */
  autoConsume = true;
  outputCalls = 0;
  private readonly isServer: boolean;
  private readonly out: ByteWriter = new ByteWriter();
  private readonly decoder: HpackDecoder = new HpackDecoder(4096, 1 << 24);
  private block: Buffer = Buffer.alloc(0);
  private blockHead = '';

  constructor(options: Partial<H2Options> & Pick<H2Options, 'role'>) {
    this.isServer = options.role === 'server';
    this.connection = new H2Connection(options, this, this.out);
  }

  /** Exchanges prefaces and SETTINGS both ways, and forgets what was written and logged for it. */
  open(settings: readonly (readonly [number, number])[] = []): this {
    this.takeBytes();
    const preface = this.isServer ? Buffer.from(CLIENT_PREFACE, 'latin1') : Buffer.alloc(0);
    this.send(preface, settingsFrame(settings), settingsAckFrame());
    this.takeBytes();
    this.log.length = 0;
    return this;
  }

  /** Gives frames to the connection; returns what `recv` answered. */
  send(...frames: readonly Uint8Array[]): boolean {
    const bytes = Buffer.concat(frames);
    return this.connection.recv(bytes, 0, bytes.length, this.nowMs);
  }

  /** Ends the turn and returns what was written since the last time, one line a frame. */
  recv(): string[] {
    return this.recvFrames().map((record) => this.print(record));
  }

  /** The same as records. Field blocks are not decoded, so do not mix with `recv` once heads are indexed. */
  recvFrames(): FrameRecord[] {
    this.hasMore = this.connection.flush();
    return parseFrames(this.takeBytes());
  }

  /** Everything written, as it is. */
  takeBytes(): Buffer {
    const bytes = Buffer.from(this.out.buffer.subarray(0, this.out.length));
    this.out.discard();
    return bytes;
  }

  /** A client's request; the sink logs as `<id>`. */
  request(fields: Readonly<FieldList>, endStream: boolean): H2StreamHandle | undefined {
    const sink = new RecordingStreamSink('', this.log);
    const stream = this.connection.request(fields, endStream, sink);
    if (stream === undefined) return undefined;
    sink.label = String(stream.id);
    if (this.autoConsume) sink.autoConsume = stream;
    this.streams.set(stream.id, stream);
    this.sinks.set(stream.id, sink);
    return stream;
  }

  /** Logged events since the last call. */
  events(): string[] {
    return this.log.splice(0);
  }

  stream(id: number): H2StreamHandle {
    const stream = this.streams.get(id);
    if (stream === undefined) throw new Error(`no stream ${id}`);
    return stream;
  }

  sink(id: number): RecordingStreamSink {
    const sink = this.sinks.get(id);
    if (sink === undefined) throw new Error(`no stream ${id}`);
    return sink;
  }

  // H2ConnectionSink

  onRequest(stream: H2StreamHandle, fields: Readonly<FieldList>, endStream: boolean): H2StreamSink {
    const sink = new RecordingStreamSink(String(stream.id), this.log);
    if (this.autoConsume) sink.autoConsume = stream;
    this.streams.set(stream.id, stream);
    this.sinks.set(stream.id, sink);
    this.log.push(`${stream.id} request ${printFields(fields)}${endStream ? ' END' : ''}`);
    return sink;
  }

  onSettings(): void {
    this.log.push('settings');
  }

  onGoaway(lastStreamId: number, code: H2Code): void {
    this.log.push(`goaway ${lastStreamId} ${h2CodeName(code)}`);
  }

  onPong(opaque: number): void {
    this.log.push(`pong ${opaque}`);
  }

  onOutput(): void {
    this.outputCalls++;
  }

  private print(record: FrameRecord): string {
    const { type, flags, streamId, payload } = record;
    const endStream = (flags & FLAG_END_STREAM) === 0 ? '' : ' END_STREAM';
    switch (type) {
      case FRAME_DATA:
        return `DATA ${streamId} ${payload.length}${endStream}`;
      case FRAME_HEADERS:
        this.block = payload;
        this.blockHead = `HEADERS ${streamId}${endStream}`;
        return (flags & FLAG_END_HEADERS) === 0 ? `${this.blockHead} …` : this.printBlock();
      case FRAME_CONTINUATION:
        this.block = Buffer.concat([this.block, payload]);
        return (flags & FLAG_END_HEADERS) === 0 ? `CONTINUATION ${streamId} …` : this.printBlock();
      case FRAME_RST_STREAM:
        return `RST_STREAM ${streamId} ${h2CodeName(readUint32(payload, 0))}`;
      case FRAME_SETTINGS:
        return (flags & FLAG_ACK) === 0 ? `SETTINGS ${payload.toString('hex')}` : 'SETTINGS ACK';
      case FRAME_PING:
        return `PING ${payload.toString('hex')}${(flags & FLAG_ACK) === 0 ? '' : ' ACK'}`;
      case FRAME_GOAWAY:
        return `GOAWAY ${readUint32(payload, 0)} ${h2CodeName(readUint32(payload, 4))}`;
      case FRAME_WINDOW_UPDATE:
        return `WINDOW_UPDATE ${streamId} ${readUint32(payload, 0)}`;
      default:
        return `TYPE_${type} ${streamId} ${payload.length}`;
    }
  }

  private printBlock(): string {
    const fields: FieldList = [];
    const collector = {
      onField: (name: string, value: string) => void fields.push(name, value),
      onFieldSkipped: () => void fields.push('(skipped)', ''),
    };
    if (this.decoder.decode(this.block, 0, this.block.length, true, collector) === HPACK_ERROR) {
      throw new Error('the connection under test sent a block that cannot be decoded');
    }
    return `${this.blockHead} ${printFields(fields)}`;
  }
}

/** `a=1 b=2`. */
export function printFields(fields: Readonly<FieldList>): string {
  const parts: string[] = [];
  for (let i = 0; i < fields.length; i += 2) parts.push(`${fields[i]}=${fields[i + 1]}`);
  return parts.join(' ');
}

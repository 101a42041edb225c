// SPDX-License-Identifier: Apache-2.0
/*
 * The receiving side of a connection: what each frame means and which rule it may break (RFC 9113 §5, §6). Messages are in
 * `message-receiver.ts`. A method returns whether the connection lives on.
 */
import { H2_CODES } from '../codes.ts';
import { RecvWindow } from '../flow-window.ts';
import {
  GOAWAY_MIN_PAYLOAD_BYTES,
  PING_PAYLOAD_BYTES,
  PRIORITY_PAYLOAD_BYTES,
  RST_STREAM_PAYLOAD_BYTES,
  WINDOW_UPDATE_PAYLOAD_BYTES,
} from '../frame/control-frames.ts';
import {
  FLAG_ACK,
  FRAME_CONTINUATION,
  FRAME_GOAWAY,
  FRAME_HEADERS,
  FRAME_PING,
  FRAME_PRIORITY,
  FRAME_PUSH_PROMISE,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_WINDOW_UPDATE,
  readUint32,
} from '../frame/frame-header.ts';
import { type FrameHandler, FrameReader } from '../frame/frame-reader.ts';
import { RateWindow } from '../rate-window.ts';
import type { H2Stream } from '../stream/stream.ts';
import { CAUSE_CONNECTION, CAUSE_PEER_RESET } from '../stream/stream-state.ts';
import type { H2Code } from '../types.ts';
import type { ConnectionCore } from './core.ts';
import { MessageReceiver } from './message-receiver.ts';

/** A SETTINGS frame costs more than others of its kind: it may touch every stream. */
const SETTINGS_WEIGHT = 50;

/** DATA with less is counted: its framing costs more than it brings. */
const SMALL_DATA_BYTES = 64;

/** Takes the peer's bytes. */
export class Receiver implements FrameHandler {
  private readonly core: ConnectionCore;
  private readonly reader: FrameReader;
  private readonly messages: MessageReceiver;
  private readonly window: RecvWindow;
  private readonly controlRate: RateWindow;
  private readonly peerResetRate: RateWindow;
  private readonly smallDataRate: RateWindow;
  private isSettingsSeen = false;
  private isPeerKnown = false;
  private isSettingsAcked = false;
  private emptyDataCount = 0;
  /** The stream of the DATA frame being read; undefined when its data is thrown away. */
  private dataStream: H2Stream | undefined = undefined;
  private isDataEnd = false;

  constructor(core: ConnectionCore) {
    const { options } = core;
    this.core = core;
    this.reader = new FrameReader(this, options.maxFrameBytes, core.isServer);
    this.window = new RecvWindow(options.initialConnectionWindowBytes);
    this.controlRate = new RateWindow(options.limits.maxControlFrames, options.limits.controlWindowMs);
    this.peerResetRate = new RateWindow(options.limits.maxPeerResets, options.limits.resetWindowMs);
    this.smallDataRate = new RateWindow(options.limits.maxSmallDataFrames, options.limits.controlWindowMs);
    this.messages = new MessageReceiver(core, this.reader);
  }

  /** See `H2Connection.recv`. */
  recv(chunk: Uint8Array, start: number, end: number): boolean {
    const isAlive = this.reader.push(chunk, start, end) && !this.core.isClosed;
    this.core.counters.framesReceived = this.reader.frameCount;
    return isAlive;
  }

  // FrameHandler

  recvFramingError(code: H2Code, message: string): void {
    this.core.fail(code, message);
  }

  recvFrame(type: number, flags: number, streamId: number, chunk: Uint8Array, start: number, end: number): boolean {
    if (!this.isSettingsSeen) {
      if (type !== FRAME_SETTINGS || (flags & FLAG_ACK) !== 0) return this.failProtocol('the first frame is not SETTINGS');
      this.isSettingsSeen = true;
    }
    switch (type) {
      case FRAME_HEADERS:
        return this.messages.recvHeaders(flags, streamId, chunk, start, end);
      case FRAME_CONTINUATION:
        return this.messages.recvContinuation(flags, streamId, chunk, start, end);
      case FRAME_WINDOW_UPDATE:
        return this.recvWindowUpdate(streamId, chunk, start, end);
      case FRAME_RST_STREAM:
        return this.recvRstStream(streamId, chunk, start, end);
      case FRAME_SETTINGS:
        return this.recvSettings(flags, streamId, chunk, start, end);
      case FRAME_PING:
        return this.recvPing(flags, streamId, chunk, start, end);
      case FRAME_GOAWAY:
        return this.recvGoaway(streamId, chunk, start, end);
      case FRAME_PRIORITY:
        return this.recvPriority(streamId, end - start);
      case FRAME_PUSH_PROMISE:
        return this.failProtocol('push was not enabled');
      default:
        // Unknown types are ignored (§4.1).
        return this.countControl(1);
    }
  }

  recvDataStart(streamId: number, payloadBytes: number, dataBytes: number, isEndStream: boolean): boolean {
    const { core } = this;
    this.dataStream = undefined;
    if (!this.isSettingsSeen) return this.failProtocol('the first frame is not SETTINGS');
    if (streamId === 0) return this.failProtocol('DATA on stream 0');
    if (this.window.recvData(payloadBytes) !== H2_CODES.NO_ERROR) {
      return this.fail(H2_CODES.FLOW_CONTROL_ERROR, 'more data than the connection window allows');
    }
    // The connection's credit returns on receipt, whatever becomes of the data: one stalled stream must not stop the others.
    const increment = this.window.release(payloadBytes);
    if (increment > 0) core.sender.windowUpdate(0, increment);
    if (dataBytes === 0 && !isEndStream) {
      this.emptyDataCount++;
      if (this.emptyDataCount > core.options.limits.maxEmptyDataFrames) return this.failFlood('too many empty DATA frames');
    } else {
      this.emptyDataCount = 0;
      if (dataBytes < SMALL_DATA_BYTES && !isEndStream && !this.smallDataRate.add(1, core.nowMs)) {
        return this.failFlood('too many small DATA frames');
      }
    }
    const stream = core.table.find(streamId);
    if (stream === undefined) {
      if (core.table.wasResetByUs(streamId)) return true;
      if (core.table.isIdle(streamId)) return this.failProtocol('DATA on an idle stream');
      core.rejectId(streamId, H2_CODES.STREAM_CLOSED);
      return !core.isClosed;
    }
    const code = this.acceptData(stream, payloadBytes, dataBytes, isEndStream);
    if (code !== H2_CODES.NO_ERROR) {
      core.resetForPeer(stream, code);
      return !core.isClosed;
    }
    this.dataStream = stream;
    this.isDataEnd = isEndStream;
    return true;
  }

  recvDataBytes(chunk: Uint8Array, start: number, end: number, isLast: boolean): boolean {
    const { core, dataStream: stream } = this;
    if (isLast) this.dataStream = undefined;
    // Its owner may have reset the stream since the frame began.
    if (stream === undefined || stream.isRecvClosed) return true;
    const isEnd = isLast && this.isDataEnd;
    if (isEnd) stream.state.recvData(true);
    if (isEnd || start !== end) {
      stream.sink?.onData(chunk, start, end, isEnd);
      if (isEnd) core.settle(stream);
    }
    return !core.isClosed;
  }

  /** Judges a DATA frame for its stream and counts it. NO_ERROR, or the code of a stream error. */
  private acceptData(stream: H2Stream, payloadBytes: number, dataBytes: number, isEndStream: boolean): H2Code {
    const stateCode = stream.state.recvData(false);
    if (stateCode !== H2_CODES.NO_ERROR) return stateCode;
    const windowCode = stream.recvWindow.recvData(payloadBytes);
    if (windowCode !== H2_CODES.NO_ERROR) return windowCode;
    stream.receivedBytes += dataBytes;
    if (!stream.isLengthRight(isEndStream)) {
      this.core.counters.malformedMessages++;
      return H2_CODES.PROTOCOL_ERROR;
    }
    const paddingBytes = payloadBytes - dataBytes;
    if (paddingBytes > 0 && !isEndStream) {
      // No owner sees padding, so it is credited here.
      const increment = stream.recvWindow.release(paddingBytes);
      if (increment > 0) this.core.sender.windowUpdate(stream.id, increment);
    }
    return H2_CODES.NO_ERROR;
  }

  private recvWindowUpdate(streamId: number, chunk: Uint8Array, start: number, end: number): boolean {
    const { core } = this;
    if (end - start !== WINDOW_UPDATE_PAYLOAD_BYTES) return this.fail(H2_CODES.FRAME_SIZE_ERROR, 'WINDOW_UPDATE of a wrong size');
    const increment = readUint32(chunk, start) & 0x7fff_ffff;
    if (streamId === 0) {
      if (increment === 0) return this.failProtocol('WINDOW_UPDATE by zero');
      if (core.sender.window.add(increment) !== H2_CODES.NO_ERROR) {
        return this.fail(H2_CODES.FLOW_CONTROL_ERROR, 'the connection window overflows');
      }
      core.sender.resume();
      return true;
    }
    const stream = core.table.find(streamId);
    if (stream === undefined) return this.requireOnceOpen(streamId);
    if (increment === 0) {
      core.resetForPeer(stream, H2_CODES.PROTOCOL_ERROR);
    } else if (stream.sendWindow.add(increment) !== H2_CODES.NO_ERROR) {
      core.resetForPeer(stream, H2_CODES.FLOW_CONTROL_ERROR);
    } else {
      core.sender.schedule(stream);
    }
    return !core.isClosed;
  }

  private recvRstStream(streamId: number, chunk: Uint8Array, start: number, end: number): boolean {
    const { core } = this;
    if (end - start !== RST_STREAM_PAYLOAD_BYTES) return this.fail(H2_CODES.FRAME_SIZE_ERROR, 'RST_STREAM of a wrong size');
    const stream = core.table.find(streamId);
    if (stream === undefined) return this.countControl(1) && this.requireOnceOpen(streamId);
    const code = readUint32(chunk, start);
    core.counters.peerResets++;
    core.endStream(stream, CAUSE_PEER_RESET);
    stream.sink?.onReset(code, 'peer');
    // A server that resets what we asked for does us no harm; a client that does it makes us work for nothing.
    if (core.isServer && !this.peerResetRate.add(1, core.nowMs)) return this.failFlood('too many streams reset by the peer');
    return !core.isClosed;
  }

  private recvSettings(flags: number, streamId: number, chunk: Uint8Array, start: number, end: number): boolean {
    const { core } = this;
    if (streamId !== 0) return this.failProtocol('SETTINGS on a stream');
    if ((flags & FLAG_ACK) !== 0) {
      if (end !== start) return this.fail(H2_CODES.FRAME_SIZE_ERROR, 'SETTINGS ACK with a payload');
      if (!this.isSettingsAcked) {
        this.isSettingsAcked = true;
        core.shrinkRecvWindows();
      }
      return this.countControl(1);
    }
    const { sender } = core;
    if (!this.isPeerKnown) {
      this.isPeerKnown = true;
      sender.peer.maxConcurrentStreams = Infinity;
    }
    const windowBefore = sender.peer.initialWindowBytes;
    const code = sender.peer.recvPayload(chunk, start, end, !core.isServer);
    if (code !== H2_CODES.NO_ERROR) return this.fail(code, 'SETTINGS out of range');
    const change = sender.peer.initialWindowBytes - windowBefore;
    if (change !== 0) {
      let isOverflown = false;
      core.table.forEach((stream) => {
        if (stream.sendWindow.add(change) !== H2_CODES.NO_ERROR) isOverflown = true;
        else if (change > 0) sender.schedule(stream);
      });
      if (isOverflown) return this.fail(H2_CODES.FLOW_CONTROL_ERROR, 'SETTINGS make a stream window overflow');
    }
    sender.applyPeerTableSize();
    sender.ackSettings();
    core.sink.onSettings();
    return this.countControl(SETTINGS_WEIGHT);
  }

  private recvPing(flags: number, streamId: number, chunk: Uint8Array, start: number, end: number): boolean {
    if (streamId !== 0) return this.failProtocol('PING on a stream');
    if (end - start !== PING_PAYLOAD_BYTES) return this.fail(H2_CODES.FRAME_SIZE_ERROR, 'PING of a wrong size');
    const high = readUint32(chunk, start);
    const low = readUint32(chunk, start + 4);
    if ((flags & FLAG_ACK) === 0) this.core.sender.ping(true, high, low);
    else this.core.recvPong(high, low);
    return this.countControl(1);
  }

  private recvGoaway(streamId: number, chunk: Uint8Array, start: number, end: number): boolean {
    const { core } = this;
    if (streamId !== 0) return this.failProtocol('GOAWAY on a stream');
    if (end - start < GOAWAY_MIN_PAYLOAD_BYTES) return this.fail(H2_CODES.FRAME_SIZE_ERROR, 'GOAWAY of a wrong size');
    const lastStreamId = readUint32(chunk, start) & 0x7fff_ffff;
    const code = readUint32(chunk, start + 4);
    core.isGoawayReceived = true;
    if (!core.isServer) {
      core.table.forEach((stream) => {
        if (stream.id <= lastStreamId || stream.state.isClosed) return;
        core.endStream(stream, CAUSE_CONNECTION);
        // What the peer says it never looked at is safe to repeat (§6.8).
        stream.sink?.onReset(H2_CODES.REFUSED_STREAM, 'connection');
      });
    }
    core.sink.onGoaway(lastStreamId, code);
    return this.countControl(1);
  }

  private recvPriority(streamId: number, payloadBytes: number): boolean {
    const { core } = this;
    if (streamId === 0) return this.failProtocol('PRIORITY on stream 0');
    if (payloadBytes !== PRIORITY_PAYLOAD_BYTES) {
      const stream = core.table.find(streamId);
      if (stream === undefined) return this.fail(H2_CODES.FRAME_SIZE_ERROR, 'PRIORITY of a wrong size');
      core.resetForPeer(stream, H2_CODES.FRAME_SIZE_ERROR);
    }
    return this.countControl(1);
  }

  /** Frames on a closed stream may have crossed its end (§5.1); on one that was never opened they are an error. */
  private requireOnceOpen(streamId: number): boolean {
    const { table } = this.core;
    if (streamId !== 0 && (table.wasResetByUs(streamId) || !table.isIdle(streamId))) return true;
    return this.failProtocol('frame on an idle stream');
  }

  private countControl(weight: number): boolean {
    const { core } = this;
    if (core.isClosed) return false;
    if (!this.controlRate.add(weight, core.nowMs)) return this.failFlood('too many control frames');
    if (core.sender.pendingControlBytes > core.options.limits.maxPendingControlBytes) {
      return this.failFlood('answers to control frames are not read');
    }
    return true;
  }

  private failProtocol(message: string): false {
    return this.fail(H2_CODES.PROTOCOL_ERROR, message);
  }

  private failFlood(message: string): false {
    this.core.failFlood(message);
    return false;
  }

  private fail(code: H2Code, message: string): false {
    this.core.fail(code, message);
    return false;
  }
}

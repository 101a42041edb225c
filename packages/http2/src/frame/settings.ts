// SPDX-License-Identifier: Apache-2.0
/*
 * SETTINGS (RFC 9113 §6.5): the values a peer announced, checked against their ranges, and the writer of ours. Order is
 * ascending by identifier, as the reference proxy sends them.
 */
import type { ByteWriter } from '@weft/bytes';
import { H2_CODES } from '../codes.ts';
import type { H2Code, H2Options } from '../types.ts';
import { FLAG_ACK, FRAME_SETTINGS, readUint32, writeFrameHeader, writeUint32 } from './frame-header.ts';

/** Setting identifiers. */
export const SETTINGS_HEADER_TABLE_SIZE = 0x1;
export const SETTINGS_ENABLE_PUSH = 0x2;
export const SETTINGS_MAX_CONCURRENT_STREAMS = 0x3;
export const SETTINGS_INITIAL_WINDOW_SIZE = 0x4;
export const SETTINGS_MAX_FRAME_SIZE = 0x5;
export const SETTINGS_MAX_HEADER_LIST_SIZE = 0x6;

/** Bounds and initial values of RFC 9113 §6.5.2. */
export const MAX_WINDOW_BYTES = 0x7fff_ffff;
export const DEFAULT_WINDOW_BYTES = 65_535;
export const MIN_MAX_FRAME_BYTES = 16_384;
export const MAX_MAX_FRAME_BYTES = 0xff_ffff;
export const DEFAULT_HEADER_TABLE_BYTES = 4096;

/** RFC 9113 §6.5.2 recommends that limits be no smaller. */
const STREAMS_BEFORE_SETTINGS = 100;

/** Octets of one setting on the wire. */
const ENTRY_BYTES = 6;

/** What the peer announced, or the initial values while it has not. */
export class PeerSettings {
  headerTableBytes: number = DEFAULT_HEADER_TABLE_BYTES;
  /** Infinity: no limit announced. Until the first SETTINGS a client keeps to a number that hardly any server refuses. */
  maxConcurrentStreams: number = STREAMS_BEFORE_SETTINGS;
  initialWindowBytes: number = DEFAULT_WINDOW_BYTES;
  maxFrameBytes: number = MIN_MAX_FRAME_BYTES;
  /** Advice only (§10.5.1); Infinity: none given. */
  maxHeaderListBytes: number = Infinity;

  /** Takes a SETTINGS payload. Returns NO_ERROR, or the code of a connection error; later entries win over earlier ones. */
  recvPayload(chunk: Uint8Array, start: number, end: number, isServerPeer: boolean): H2Code {
    if ((end - start) % ENTRY_BYTES !== 0) return H2_CODES.FRAME_SIZE_ERROR;
    for (let at = start; at < end; at += ENTRY_BYTES) {
      const id = ((chunk[at] as number) << 8) | (chunk[at + 1] as number);
      const code = this.recvEntry(id, readUint32(chunk, at + 2), isServerPeer);
      if (code !== H2_CODES.NO_ERROR) return code;
    }
    return H2_CODES.NO_ERROR;
  }

  private recvEntry(id: number, value: number, isServerPeer: boolean): H2Code {
    switch (id) {
      case SETTINGS_HEADER_TABLE_SIZE:
        this.headerTableBytes = value;
        break;
      case SETTINGS_ENABLE_PUSH:
        // A server may only say 0 (§6.5.2).
        if (value > (isServerPeer ? 0 : 1)) return H2_CODES.PROTOCOL_ERROR;
        break;
      case SETTINGS_MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        break;
      case SETTINGS_INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW_BYTES) return H2_CODES.FLOW_CONTROL_ERROR;
        this.initialWindowBytes = value;
        break;
      case SETTINGS_MAX_FRAME_SIZE:
        if (value < MIN_MAX_FRAME_BYTES || value > MAX_MAX_FRAME_BYTES) return H2_CODES.PROTOCOL_ERROR;
        this.maxFrameBytes = value;
        break;
      case SETTINGS_MAX_HEADER_LIST_SIZE:
        this.maxHeaderListBytes = value;
        break;
      default:
        // Unknown settings must be ignored (§6.5.2).
        break;
    }
    return H2_CODES.NO_ERROR;
  }
}

/** Announces our values: what the reference proxy announces in the role, and whatever was configured away from its default. */
export function writeSettings(out: ByteWriter, options: Omit<H2Options, 'limits'>): void {
  const isClient = options.role === 'client';
  const hasFrameBytes = !isClient || options.maxFrameBytes !== MIN_MAX_FRAME_BYTES;
  const entries = 2 + (isClient ? 1 : 0) + (hasFrameBytes ? 1 : 0) + (options.maxConcurrentStreams === undefined ? 0 : 1);
  writeFrameHeader(out, entries * ENTRY_BYTES, FRAME_SETTINGS, 0, 0);
  if (isClient) writeEntry(out, SETTINGS_ENABLE_PUSH, 0);
  if (options.maxConcurrentStreams !== undefined) writeEntry(out, SETTINGS_MAX_CONCURRENT_STREAMS, options.maxConcurrentStreams);
  writeEntry(out, SETTINGS_INITIAL_WINDOW_SIZE, options.initialStreamWindowBytes);
  if (hasFrameBytes) writeEntry(out, SETTINGS_MAX_FRAME_SIZE, options.maxFrameBytes);
  writeEntry(out, SETTINGS_MAX_HEADER_LIST_SIZE, options.maxHeaderListBytes);
}

/** Acknowledges the peer's SETTINGS. */
export function writeSettingsAck(out: ByteWriter): void {
  writeFrameHeader(out, 0, FRAME_SETTINGS, FLAG_ACK, 0);
}

function writeEntry(out: ByteWriter, id: number, value: number): void {
  out.writeByte(id >>> 8);
  out.writeByte(id & 0xff);
  writeUint32(out, value);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What goes over a mesh's bridge, as TCP streams: a small capture program writes pcap, which is put together here by sequence numbers, so that no
 * text hides at a segment's edge.
 */
import { Buffer } from 'node:buffer';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from './mesh.ts';

/** One direction of one TCP connection. */
export interface TcpStream {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
  /** Whether this is the side that connected. */
  readonly isClient: boolean;
  /** Whether its first byte is among those captured: off for a connection that was there before. */
  readonly isWhole: boolean;
  readonly bytes: Buffer;
}

/** Frames are still in the socket's buffer when a conversation has ended; this is long enough for an idle machine to read them, in milliseconds. */
const DRAIN_MS = 500;

/** A capture that runs. */
export class Capture {
  private readonly child: ChildProcess;
  private readonly pieces: Buffer[] = [];
  private said = '';

  private constructor(link: string) {
    this.child = spawn('python3', [join(import.meta.dirname, 'fixtures/capture.py'), link], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (piece: Buffer) => this.pieces.push(piece));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.said += text));
  }

  /** Captures on the bridge of the run of this name; resolves when it listens. */
  static async start(runName: string): Promise<Capture> {
    const capture = new Capture(`weft${createHash('sha256').update(runName).digest('hex').slice(0, 5)}`);
    await until('the capture listens', () => {
      if (capture.child.exitCode !== null) throw new Error(`the capture has ended: ${capture.said}`);
      return capture.said.includes('READY');
    });
    return capture;
  }

  /** Ends it and resolves with what went by. */
  async stop(): Promise<readonly TcpStream[]> {
    await sleep(DRAIN_MS);
    this.child.kill('SIGTERM');
    await until('the capture ends', () => this.child.exitCode !== null && this.child.stdout?.readableEnded === true);
    return tcpStreams(Buffer.concat(this.pieces));
  }

  /** For when a test has failed. */
  kill(): void {
    this.child.kill('SIGKILL');
  }
}

interface Segment {
  readonly sequence: number;
  readonly payload: Buffer;
}

interface Direction {
  readonly key: Omit<TcpStream, 'bytes' | 'isClient' | 'isWhole'>;
  isClient: boolean;
  isWhole: boolean;
  firstSequence: number | undefined;
  readonly segments: Segment[];
}

const PCAP_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET_HEADER_BYTES = 14;

/** All TCP streams of a pcap file over IPv4, in the order of their first segments. */
export function tcpStreams(pcap: Buffer): readonly TcpStream[] {
  const directions = new Map<string, Direction>();
  for (let at = PCAP_HEADER_BYTES; at + RECORD_HEADER_BYTES <= pcap.length;) {
    const length = pcap.readUInt32LE(at + 8);
    recordFrame(pcap.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length), directions);
    at += RECORD_HEADER_BYTES + length;
  }
  return [...directions.values()].map(({ key, isClient, isWhole, segments }) => ({ ...key, isClient, isWhole, bytes: assemble(segments) }));
}

function recordFrame(frame: Buffer, directions: Map<string, Direction>): void {
  if (frame.length < ETHERNET_HEADER_BYTES + 20 || frame.readUInt16BE(12) !== 0x0800) return;
  const packet = frame.subarray(ETHERNET_HEADER_BYTES);
  if (packet[9] !== 6) return;
  const tcp = packet.subarray(((packet[0] ?? 0) & 15) * 4, packet.readUInt16BE(2));
  const address = (offset: number): string => packet.subarray(offset, offset + 4).join('.');
  const key = { from: address(12), fromPort: tcp.readUInt16BE(0), to: address(16), toPort: tcp.readUInt16BE(2) };
  const name = Object.values(key).join(' ');
  let direction = directions.get(name);
  if (direction === undefined) {
    direction = { key, isClient: key.fromPort > key.toPort, isWhole: false, firstSequence: undefined, segments: [] };
    directions.set(name, direction);
  }
  const sequence = tcp.readUInt32BE(4);
  const flags = tcp[13] ?? 0;
  // SYN says for certain who has connected.
  if ((flags & 2) !== 0) {
    direction.isClient = (flags & 16) === 0;
    direction.isWhole = true;
  }
  direction.firstSequence ??= sequence;
  const payload = tcp.subarray(((tcp[12] ?? 0) >> 2) & 0x3c);
  if (payload.length > 0) direction.segments.push({ sequence: (sequence - direction.firstSequence) >>> 0, payload });
}

function assemble(segments: readonly Segment[]): Buffer {
  const pieces: Buffer[] = [];
  let next = 0;
  for (const { sequence, payload } of [...segments].sort((a, b) => a.sequence - b.sequence)) {
    const seen = Math.max(0, next - sequence);
    if (seen >= payload.length) continue;
    pieces.push(payload.subarray(seen));
    next = sequence + payload.length;
  }
  return Buffer.concat(pieces);
}

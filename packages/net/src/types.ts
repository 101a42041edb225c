// SPDX-License-Identifier: Apache-2.0
/*
 * The one socket interface of the data path. Codecs see only this, so the driver behind it (node:net and node:tls now, a native
 * one later) can be chosen by measurement.
 */
import type { ByteWriter } from '@weft/bytes';

/** An IP address and port. IPv4-mapped IPv6 addresses are shown as IPv4. */
export interface SocketAddress {
  readonly ip: string;
  readonly port: number;
}

/** What a stream tells its owner. A throw in any of these destroys that one stream and is counted. */
export interface ByteStreamSink {
  /** Received bytes `chunk[start, end)`: valid during the call only (the buffer is shared by all streams of the process). */
  onRead(chunk: Buffer, start: number, end: number): void;
  /** The peer finished sending (FIN, close_notify). Our half stays open until `end()`. */
  onReadEnd(): void;
  /** Everything flushed has been written after `isBlocked` had been true. */
  onDrain(): void;
  /** Exactly once, last. `error` is undefined for an ordinary close. */
  onClose(error: NetError | undefined): void;
}

/** A failure of a connection: `code` is an errno name (`ECONNREFUSED`) or one of ours (`ERR_NET_CONNECT_TIMEOUT`, `ERR_TLS_…`). */
export interface NetError {
  readonly code: string;
  readonly message: string;
}

/** A connected byte stream, plain or TLS. */
export interface ByteStream {
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  /** Append output here, then call `schedule()`. */
  readonly out: ByteWriter;
  /** Set once `end`, `destroy` or the peer has finished the stream. */
  readonly isClosed: boolean;
  /** More than the high-water mark is in flight: append only what is urgent until `onDrain`. */
  readonly isBlocked: boolean;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Installs or replaces the owner. Reading starts with the first sink. */
  setSink(sink: ByteStreamSink): void;
  /** Puts bytes back to be delivered before anything else (an end already told is told again after them), at the next turn or TLS upgrade. Copies. */
  unread(chunk: Uint8Array, start: number, end: number): void;
  /** Marks the stream for the end-of-turn flush: `onBeforeFlush` first, then one write of all of `out`. */
  schedule(): void;
  /** Called in the flush before the write, so that a codec can drain queues into `out` (h2 DATA). At most one. */
  onBeforeFlush: (() => void) | undefined;
  /** Called once when the stream is closed, before the sink hears of it: for whoever counts connections without owning them. At most one. */
  onClosed: ((error: NetError | undefined) => void) | undefined;
  pauseReading(): void;
  resumeReading(): void;
  /** Writes what is in `out`, then FIN (TLS: close_notify). */
  end(): void;
  /** Closes at once; `reset` sends RST instead of FIN. */
  destroy(options?: { reset?: boolean }): void;
}

/** Facts about an established TLS session with the mesh's rules applied (proxy-contract §3.4–3.5). */
export interface TlsPeer {
  /** Verified identities in the peer leaf's SAN (DNS names lower-cased, URIs), first is the peer identity; empty = TLS without identity. */
  readonly identities: readonly string[];
  /** ALPN chosen, or undefined. */
  readonly alpn: string | undefined;
  readonly protocol: string;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * One HTTP/2 connection, either role (RFC 9113). This revision fixes the signatures only; the behaviour follows.
 */
import type { ByteWriter, FieldList } from '@weft/bytes';
import type { H2Code, H2ConnectionSink, H2Options, H2StreamHandle, H2StreamSink } from './types.ts';

/** Why a connection failed: the code of our GOAWAY and a sentence for logs. */
export interface H2ConnectionError {
  readonly code: H2Code;
  readonly message: string;
}

/** What happened on a connection, for metrics. Plain numbers, only ever growing. */
export interface H2Counters {
  framesReceived: number;
  streamsOpened: number;
  peerResets: number;
  localResets: number;
  refusedStreams: number;
  oversizedHeads: number;
  floods: number;
}

/** One HTTP/2 connection, sans-I/O. */
export class H2Connection {
  /** Set by the owner while the socket has backpressure: DATA is queued, not written, until unset and `flush()` called. */
  isBlocked = false;
  readonly counters: H2Counters;
  /** Why `recv` answered false. */
  error: H2ConnectionError | undefined;

  /** Writes preface (client), SETTINGS and WINDOW_UPDATE into `out` at once. */
  constructor(options: Partial<H2Options> & Pick<H2Options, 'role'>, sink: H2ConnectionSink, out: ByteWriter) {
    throw new Error(`not written yet: ${options.role} ${typeof sink} ${out.length}`);
  }

  /** Takes bytes of the peer. False: connection error; GOAWAY is in `out`, every stream was told, flush and close. */
  recv(_chunk: Uint8Array, _start: number, _end: number, _nowMs: number): boolean {
    return false;
  }

  /** Client: opens a stream; undefined when not possible now. */
  request(_fields: Readonly<FieldList>, _endStream: boolean, _sink: H2StreamSink): H2StreamHandle | undefined {
    return undefined;
  }

  /** Whether `request` would open a stream now. */
  get canRequest(): boolean {
    return false;
  }

  /** Streams open now. */
  get activeStreams(): number {
    return 0;
  }

  /** SETTINGS_MAX_CONCURRENT_STREAMS of the peer; Infinity when it announced none. */
  get peerMaxConcurrentStreams(): number {
    return Infinity;
  }

  /** End of turn; true if more could be sent in a further turn. */
  flush(): boolean {
    return false;
  }

  /** Sends PING; the answer comes as `onPong(opaque)`. `opaque` is a safe integer ≥ 0. */
  ping(_opaque: number): void {}

  /** GOAWAY now, with the last processed stream id. */
  goaway(_code: H2Code): void {}

  /** Server: graceful GOAWAY in two steps. */
  shutdown(): void {}

  /** Second step of `shutdown` at once. */
  finishShutdown(): void {}

  /** The transport is gone: every stream gets `onReset(CANCEL, 'connection')`; nothing is sent. */
  close(): void {}

  /** GOAWAY was sent or received: no new streams. */
  get isDraining(): boolean {
    return false;
  }

  get isClosed(): boolean {
    return false;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The public shapes of the HTTP/1.1 codec (RFC 9112). A decoder is pushed bytes and calls its sink synchronously; views and
 * head objects may be kept only where said.
 */
import type { FieldList } from '@weft/bytes';

/** A parsed request head. Immutable: a decoder may hand the same object out again for an identical head. */
export interface H1RequestHead {
  readonly method: string;
  /** Request target exactly as on the wire (RFC 9112 §3.2). */
  readonly target: string;
  /** RFC 9112 §3.2.1–3.2.4. */
  readonly targetForm: 'origin' | 'absolute' | 'authority' | 'asterisk';
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  readonly minorVersion: 0 | 1;
  readonly fields: Readonly<FieldList>;
  /** Value of the one Host field; undefined where absent (HTTP/1.0, or HTTP/1.1 as the options allow). */
  readonly host: string | undefined;
  /** Body length in bytes: a number ≥ 0, or -1 for chunked coding. No body is 0. */
  readonly bodyBytes: number;
  /** Whether a Content-Length field was present. */
  readonly hasContentLength: boolean;
  /** Whether the connection persists after this exchange (RFC 9112 §9.3). */
  readonly keepAlive: boolean;
  /** Lower-case protocol of an `Upgrade` field that `Connection: upgrade` confirms; undefined otherwise. */
  readonly upgrade: string | undefined;
  readonly expectContinue: boolean;
}

/** A parsed response head. Immutable, as above. */
export interface H1ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly minorVersion: 0 | 1;
  readonly fields: Readonly<FieldList>;
  /** Body length in bytes ≥ 0; -1 chunked; -2 until the connection closes (RFC 9112 §6.3). */
  readonly bodyBytes: number;
  readonly hasContentLength: boolean;
  readonly keepAlive: boolean;
}

/** What a decoder reports. Body views are valid during the call only. */
export interface H1Sink<Head> {
  onHead(head: Head): void;
  /** Decoded body bytes `chunk[start, end)`: chunked coding removed. */
  onBody(chunk: Uint8Array, start: number, end: number): void;
  /** The message is complete; trailer fields where the chunked coding carried any. */
  onEnd(trailers: Readonly<FieldList> | undefined): void;
}

/** Limits of a decoder; each has a safe default, and exceeding one is an error with a code of its own. */
export interface H1Limits {
  /** Request line or status line, in bytes. */
  readonly maxStartLineBytes: number;
  /** All of a head, start line included, in bytes. */
  readonly maxHeadBytes: number;
  /** Fields of a head. */
  readonly maxFieldCount: number;
  /** Trailer section, in bytes. */
  readonly maxTrailerBytes: number;
  /** Extensions of one chunk-size line, in bytes. */
  readonly maxChunkExtensionBytes: number;
}

/** Named laxness; every one is off by default. */
export interface H1Leniency {
  /** Accept a bare LF as line terminator (RFC 9112 §2.2 allows it). */
  readonly bareLf: boolean;
}

/** A peer's mistake. `status` is what a server answers with. */
export interface H1Error {
  readonly code: H1ErrorCode;
  readonly message: string;
  readonly status: 400 | 414 | 431 | 501 | 505;
}

export type H1ErrorCode =
  | 'ERR_H1_START_LINE'
  | 'ERR_H1_START_LINE_TOO_LONG'
  | 'ERR_H1_VERSION'
  | 'ERR_H1_METHOD'
  | 'ERR_H1_TARGET'
  | 'ERR_H1_STATUS'
  | 'ERR_H1_FIELD_NAME'
  | 'ERR_H1_FIELD_VALUE'
  | 'ERR_H1_LINE_TERMINATOR'
  | 'ERR_H1_OBS_FOLD'
  | 'ERR_H1_HEAD_TOO_LARGE'
  | 'ERR_H1_TOO_MANY_FIELDS'
  | 'ERR_H1_HOST'
  | 'ERR_H1_CONTENT_LENGTH'
  | 'ERR_H1_TRANSFER_ENCODING'
  | 'ERR_H1_BOTH_FRAMINGS'
  | 'ERR_H1_CHUNK_SIZE'
  | 'ERR_H1_CHUNK_EXTENSION_TOO_LARGE'
  | 'ERR_H1_CHUNK_DATA'
  | 'ERR_H1_TRAILER_TOO_LARGE'
  | 'ERR_H1_EOF';

/** The face that request and response decoders share. */
export interface H1Decoder {
  /**
   * Decodes `chunk[start, end)` and returns the index of the first byte it did not consume, or -1 on a peer error (`error`
   * tells which; the decoder is dead then). It consumes all, except that it stops right after the end of a message (`onEnd`)
   * until `next()` is called, and right after a head that turns the connection into a tunnel (request CONNECT or upgrade
   * once `tunnel()` was called by the sink; response 101, or 2xx to CONNECT).
   */
  push(chunk: Uint8Array, start: number, end: number): number;
  /** The peer has closed its side. Returns true where that ends the message properly (or nothing was begun); else `error` is set. */
  pushEof(): boolean;
  readonly error: H1Error | undefined;
  /** True between messages: nothing of the next one has been seen. */
  readonly isIdle: boolean;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The protocol-neutral HTTP of the data path: a request enters at a ServerStream (HTTP/1 connection or HTTP/2 stream toward the
 * peer that asked), leaves through a ClientStream, and an Exchange joins the two. Everything is synchronous calls with byte views.
 *
 * Flow control is one rule in both directions: `sendBody` always takes the bytes and answers false when the sender should
 * stop; whoever received body bytes calls `consumed(bytes)` once they have been taken on, and the receiving codec turns that into
 * HTTP/2 credit or into reading again.
 */
import type { FieldList } from '@weft/bytes';

export const HTTP_1_0 = 10;
export const HTTP_1_1 = 11;
export const HTTP_2 = 20;
export type HttpVersion = typeof HTTP_1_0 | typeof HTTP_1_1 | typeof HTTP_2;

/** Body length not known before its end. */
export const BODY_UNKNOWN = -1;

/** A request head. Immutable, and possibly the same object for identical requests of a connection, so results can be cached by it. */
export interface RequestHead {
  readonly version: HttpVersion;
  readonly method: string;
  readonly scheme: string;
  /** From `:authority`, an absolute-form target, or Host; undefined where none was given. */
  readonly authority: string | undefined;
  /** Whether `authority` came from the target itself (`:authority`, absolute or authority form), not from Host. */
  readonly isAuthorityInTarget: boolean;
  /** Origin-form path and query, `*`, or '' for CONNECT. */
  readonly path: string;
  /** Neither pseudo-fields nor hop-by-hop ones; Host is here where it was given. */
  readonly fields: Readonly<FieldList>;
  /** 0, a length, or BODY_UNKNOWN. */
  readonly bodyBytes: number;
  readonly isAbsoluteForm: boolean;
  /** Lower-case protocol of an HTTP/1 upgrade, `connect` for CONNECT; undefined for ordinary requests. */
  readonly upgrade: string | undefined;
  /** An HTTP/1 request that came inside HTTP/2 (`l5d-orig-proto`). */
  readonly isOrigProto: boolean;
}

export interface ResponseHead {
  readonly version: HttpVersion;
  readonly status: number;
  /** Neither pseudo-fields nor hop-by-hop ones. */
  readonly fields: Readonly<FieldList>;
  readonly bodyBytes: number;
}

/** Where a response goes: the downstream half of an exchange. */
export interface ServerStream {
  readonly connection: ServerConnectionInfo;
  sendInterim(status: number, fields: Readonly<FieldList>): void;
  /** `end` = there is no body. Status 101, or 2xx to CONNECT, turns body calls into tunnel bytes. */
  sendResponse(head: ResponseHead, end: boolean): void;
  sendBody(chunk: Uint8Array, start: number, end: number): boolean;
  sendEnd(trailers: Readonly<FieldList> | undefined): void;
  /** Ends the exchange abnormally: RST_STREAM with the code, or a closed HTTP/1 connection. */
  abort(h2Code: number): void;
  /** `bytes` of request body have been taken on. */
  consumed(bytes: number): void;
  /** Asks for the connection to close once this response is complete. */
  closeAfterResponse(): void;
}

/** Facts about the connection a request came by. */
export interface ServerConnectionInfo {
  readonly clientIp: string;
  readonly clientPort: number;
}

/** What a ServerStream tells the exchange. */
export interface RequestSink {
  onRequestBody(chunk: Uint8Array, start: number, end: number): void;
  onRequestEnd(trailers: Readonly<FieldList> | undefined): void;
  /** The asking peer is gone or has reset the stream. No call comes after it. */
  onRequestAbort(h2Code: number): void;
  onResponseWritable(): void;
}

/** Where a request goes: the upstream half. */
export interface ClientStream {
  sendBody(chunk: Uint8Array, start: number, end: number): boolean;
  sendEnd(trailers: Readonly<FieldList> | undefined): void;
  /** Gives up: no sink call comes after it. */
  abort(h2Code: number): void;
  /** `bytes` of response body have been taken on. */
  consumed(bytes: number): void;
}

/** Why an upstream exchange failed. */
export interface ClientFailure {
  readonly kind: 'connect' | 'connect-timeout' | 'closed' | 'reset' | 'protocol';
  readonly message: string;
  /** HTTP/2 code where the peer reset the stream. */
  readonly h2Code: number;
  /** Certainly not processed by the peer: safe to dispatch again. */
  readonly isUnprocessed: boolean;
}

/** What a ClientStream tells the exchange. */
export interface ResponseSink {
  onInterim(status: number, fields: Readonly<FieldList>): void;
  onResponse(head: ResponseHead, end: boolean): void;
  onResponseBody(chunk: Uint8Array, start: number, end: number): void;
  onResponseEnd(trailers: Readonly<FieldList> | undefined): void;
  /** Failed before or within the response. No call comes after it. */
  onResponseFail(failure: ClientFailure): void;
  onRequestWritable(): void;
}

/** Serves the requests of a connection. Called once per request; body events go to the returned sink. */
export interface HttpHandler {
  onRequest(head: RequestHead, stream: ServerStream, end: boolean): RequestSink;
  /** The peer broke the protocol, `count` times in a way that `kind` names: for a counter. */
  onPeerErrors(kind: string, count: number): void;
  /** The connection is gone (all its requests have been told). */
  onConnectionClose(): void;
}

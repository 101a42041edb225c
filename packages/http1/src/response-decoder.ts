// SPDX-License-Identifier: Apache-2.0
/*
 * Responses (RFC 9112 §4, §6.3): the status line, and a framing that depends on the request. The decoder must be told each
 * request's method; until it has been, it consumes nothing, so that bytes nobody asked for are the caller's to refuse.
 */
import type { FieldList } from '@weft/bytes';
import { type FieldFacts, isPersistent, NO_CONTENT_LENGTH } from './field-facts.ts';
import { BODY_CHUNKED, BODY_UNTIL_CLOSE, IDLE, STOPPED, TUNNEL } from './decoder-state.ts';
import { MessageDecoder } from './message-decoder.ts';
import { CR, FIELD_CONTENT, LF, SP } from './octets.ts';
import { isVersionSyntax, minorVersionAt, VERSION_BYTES } from './version.ts';
import type { H1Leniency, H1Limits, H1ResponseHead, H1Sink } from './types.ts';

const TO_ANY = 0;
const TO_HEAD = 1;
const TO_CONNECT = 2;

const SWITCHING_PROTOCOLS = 101;
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

/** Decodes the responses of one connection. Call `expect` before each. */
export class H1ResponseDecoder extends MessageDecoder<H1ResponseHead> {
  protected cacheContext: number = TO_ANY;
  /** Of the status line being decoded; the reason's bounds are relative to the head. */
  private minorVersion: 0 | 1 = 1;
  private status = 0;
  private reasonStart = 0;
  private reasonEnd = 0;

  constructor(sink: H1Sink<H1ResponseHead>, limits?: Partial<H1Limits>, leniency?: Partial<H1Leniency>) {
    super(STOPPED, sink, limits, leniency);
  }

  /** Arms the decoder for the answer to a request with this method; implies `next()`. Throws while a response is open. */
  expect(requestMethod: string): void {
    this.next();
    this.cacheContext = requestMethod === 'HEAD' ? TO_HEAD : requestMethod === 'CONNECT' ? TO_CONNECT : TO_ANY;
  }

  protected scanStartLine(bytes: Uint8Array, base: number, end: number): number {
    if (end - base < VERSION_BYTES) return this.refuseLine(bytes, base, end, 'ERR_H1_START_LINE', 'no HTTP version');
    const minorVersion = minorVersionAt(bytes, base);
    if (minorVersion < 0) {
      if (isVersionSyntax(bytes, base)) return this.refuseLine(bytes, base, end, 'ERR_H1_VERSION', 'HTTP version is neither 1.0 nor 1.1');
      return this.refuseLine(bytes, base, end, 'ERR_H1_START_LINE', 'no HTTP version');
    }
    this.minorVersion = minorVersion as 0 | 1;
    // Behind `HTTP/1.1 200`.
    let at = base + VERSION_BYTES + 4;
    if (at >= end) return this.refuseLine(bytes, base, end, 'ERR_H1_STATUS', 'status code is no number from 100 to 999');
    const status = statusAt(bytes, base + VERSION_BYTES + 1);
    if (bytes[base + VERSION_BYTES] !== SP || status < 100) {
      return this.refuseLine(bytes, base, end, 'ERR_H1_STATUS', 'status code is no number from 100 to 999');
    }
    this.status = status;

    // The space before an absent reason is required (RFC 9112 §4), and missing often enough that all clients do without.
    if (bytes[at] === SP) at += 1;
    else if (bytes[at] !== CR && bytes[at] !== LF) return this.refuseLine(bytes, base, end, 'ERR_H1_STATUS', 'status code is too long');
    this.reasonStart = at - base;
    while (at < end && FIELD_CONTENT[bytes[at] as number] === 1) at++;
    if (at === end) return 0;
    this.reasonEnd = at - base;
    if (bytes[at] === CR) {
      if (at + 1 === end) return 0;
      if (bytes[at + 1] === LF) return at + 2 - base;
      return this.refuseLine(bytes, at + 1, end, 'ERR_H1_LINE_TERMINATOR', 'CR without LF after the status line');
    }
    if (bytes[at] === LF) {
      if (this.leniency.bareLf) return at + 1 - base;
      return this.refuseLine(bytes, at, end, 'ERR_H1_LINE_TERMINATOR', 'LF without CR after the status line');
    }
    return this.refuseLine(bytes, at, end, 'ERR_H1_START_LINE', 'control character in the reason phrase');
  }

  protected buildHead(text: string, known: H1ResponseHead | undefined, fields: FieldList, facts: FieldFacts): H1ResponseHead | undefined {
    const status = known === undefined ? this.status : known.status;
    const minorVersion = known === undefined ? this.minorVersion : known.minorVersion;
    const hasContentLength = facts.contentLength !== NO_CONTENT_LENGTH;
    if (facts.isChunked && hasContentLength) {
      this.fail('ERR_H1_BOTH_FRAMINGS', 'both Content-Length and Transfer-Encoding');
      return undefined;
    }
    if (facts.isChunked && minorVersion === 0) {
      this.fail('ERR_H1_TRANSFER_ENCODING', 'Transfer-Encoding in HTTP/1.0');
      return undefined;
    }
    let bodyBytes: number = BODY_UNTIL_CLOSE;
    if (this.hasNoContent(status)) bodyBytes = 0;
    else if (facts.isChunked) bodyBytes = BODY_CHUNKED;
    else if (hasContentLength) bodyBytes = facts.contentLength;
    return {
      status,
      reason: known === undefined ? text.slice(this.reasonStart, this.reasonEnd) : known.reason,
      minorVersion,
      fields,
      bodyBytes,
      hasContentLength,
      keepAlive: bodyBytes !== BODY_UNTIL_CLOSE && isPersistent(facts, minorVersion),
    };
  }

  /** Interim heads would only push out the final one. */
  protected isRepeatable(head: H1ResponseHead): boolean {
    return head.keepAlive && head.status >= 200;
  }

  protected announce(head: H1ResponseHead): void {
    const { status } = head;
    if (status === SWITCHING_PROTOCOLS || (this.cacheContext === TO_CONNECT && isSuccess(status))) {
      this.state = TUNNEL;
      this.sink.onHead(head);
    } else if (status < 200) {
      this.state = IDLE;
      this.hasInterim = true;
      this.sink.onHead(head);
    } else {
      this.startBody(head, head.bodyBytes);
    }
  }

  /** RFC 9112 §6.3, items 1 and 2. */
  private hasNoContent(status: number): boolean {
    if (status < 200 || status === NO_CONTENT || status === NOT_MODIFIED) return true;
    return this.cacheContext === TO_HEAD || (this.cacheContext === TO_CONNECT && isSuccess(status));
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Three digits at `bytes[at]`, or -1. */
function statusAt(bytes: Uint8Array, at: number): number {
  let status = 0;
  for (let i = at; i < at + 3; i++) {
    const digit = (bytes[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    status = status * 10 + digit;
  }
  return status;
}

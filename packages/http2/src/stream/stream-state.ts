// SPDX-License-Identifier: Apache-2.0
/*
 * The states of a stream (RFC 9113 §5.1), as two independent halves and a cause. Push is never enabled, so the reserved
 * states do not occur; a stream object exists from `open` on, so `idle` does not either.
 *
 *                        open: send < CLOSED, recv < CLOSED
 *          send END_STREAM  │               │  recv END_STREAM
 *                           ▼               ▼
 *     half-closed (local):             half-closed (remote):
 *     send = CLOSED                    recv = CLOSED
 *          recv END_STREAM  │               │  send END_STREAM
 *          or RST_STREAM    ▼               ▼  or RST_STREAM
 *                   closed: both CLOSED, with a cause
 *
 * Each half goes HEAD (no final head yet) → BODY → CLOSED. Interim heads (1xx) leave it at HEAD; a head in BODY is the
 * trailer section and has to close the half (§8.1).
 */
import { H2_CODES } from '../codes.ts';
import type { H2Code } from '../types.ts';

/** Phases of a half. */
export const HALF_HEAD = 0;
export const HALF_BODY = 1;
export const HALF_CLOSED = 2;
export type HalfState = typeof HALF_HEAD | typeof HALF_BODY | typeof HALF_CLOSED;

/** How a stream came to its end. */
export const CAUSE_NONE = 0;
export const CAUSE_ENDED = 1;
export const CAUSE_LOCAL_RESET = 2;
export const CAUSE_PEER_RESET = 3;
export const CAUSE_CONNECTION = 4;
export type CloseCause =
  | typeof CAUSE_NONE
  | typeof CAUSE_ENDED
  | typeof CAUSE_LOCAL_RESET
  | typeof CAUSE_PEER_RESET
  | typeof CAUSE_CONNECTION;

/** The two halves of a stream. `sendX` answers whether we may; `recvX` answers NO_ERROR or the code of a stream error. */
export class StreamState {
  private sendHalf: HalfState = HALF_HEAD;
  private recvHalf: HalfState = HALF_HEAD;
  private closeCause: CloseCause = CAUSE_NONE;

  get sendState(): HalfState {
    return this.sendHalf;
  }

  get recvState(): HalfState {
    return this.recvHalf;
  }

  get cause(): CloseCause {
    return this.closeCause;
  }

  get isClosed(): boolean {
    return this.sendHalf === HALF_CLOSED && this.recvHalf === HALF_CLOSED;
  }

  sendHead(isEnd: boolean): boolean {
    if (this.sendHalf !== HALF_HEAD) return false;
    this.sendHalf = HALF_BODY;
    if (isEnd) this.closeSend();
    return true;
  }

  sendInterim(): boolean {
    return this.sendHalf === HALF_HEAD;
  }

  sendData(isEnd: boolean): boolean {
    if (this.sendHalf !== HALF_BODY) return false;
    if (isEnd) this.closeSend();
    return true;
  }

  sendTrailers(): boolean {
    return this.sendData(true);
  }

  recvHead(isEnd: boolean): H2Code {
    if (this.recvHalf !== HALF_HEAD) return this.codeOutOfOrder();
    this.recvHalf = HALF_BODY;
    if (isEnd) this.closeRecv();
    return H2_CODES.NO_ERROR;
  }

  /** A 1xx head; it cannot end the stream (§8.1). */
  recvInterim(isEnd: boolean): H2Code {
    if (this.recvHalf !== HALF_HEAD) return this.codeOutOfOrder();
    return isEnd ? H2_CODES.PROTOCOL_ERROR : H2_CODES.NO_ERROR;
  }

  recvTrailers(isEnd: boolean): H2Code {
    if (this.recvHalf !== HALF_BODY) return this.codeOutOfOrder();
    if (!isEnd) return H2_CODES.PROTOCOL_ERROR;
    this.closeRecv();
    return H2_CODES.NO_ERROR;
  }

  recvData(isEnd: boolean): H2Code {
    if (this.recvHalf !== HALF_BODY) return this.codeOutOfOrder();
    if (isEnd) this.closeRecv();
    return H2_CODES.NO_ERROR;
  }

  /** RST_STREAM either way, or the end of the connection. The first cause stays. */
  reset(cause: CloseCause): void {
    if (this.isClosed) return;
    this.sendHalf = HALF_CLOSED;
    this.recvHalf = HALF_CLOSED;
    this.closeCause = cause;
  }

  /** Anything after END_STREAM is STREAM_CLOSED (§5.1); other disorder breaks the message (§8.1). */
  private codeOutOfOrder(): H2Code {
    return this.recvHalf === HALF_CLOSED ? H2_CODES.STREAM_CLOSED : H2_CODES.PROTOCOL_ERROR;
  }

  private closeSend(): void {
    this.sendHalf = HALF_CLOSED;
    if (this.recvHalf === HALF_CLOSED) this.closeCause = CAUSE_ENDED;
  }

  private closeRecv(): void {
    this.recvHalf = HALF_CLOSED;
    if (this.sendHalf === HALF_CLOSED) this.closeCause = CAUSE_ENDED;
  }
}

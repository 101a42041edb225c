// SPDX-License-Identifier: Apache-2.0
/*
 * What request and response decoders share (RFC 9112 §2.2, §6, §7): gathering a head, delimiting the body, the chunked
 * coding, the trailer section, and where to stop (diagram in decoder-state.ts). Start lines and the meaning of fields are the
 * subclasses'.
 */
import type { FieldList } from '@weft/bytes';
import { ChunkLine } from './chunk-line.ts';
import {
  BODY_CHUNKED,
  BODY_CLOSE,
  BODY_LENGTH,
  BODY_UNTIL_CLOSE,
  CHUNK_DATA,
  CHUNK_DATA_CR,
  CHUNK_DATA_LF,
  CHUNK_LINE,
  DEAD,
  type DecoderState,
  EMPTY_LINE_LF,
  HEAD,
  IDLE,
  STOPPED,
  TRAILER,
  TUNNEL,
} from './decoder-state.ts';
import { h1Error } from './errors.ts';
import { FieldFacts } from './field-facts.ts';
import { FieldScanner, hasLf, SCAN_COMPLETE, SCAN_ERROR, SCAN_INCOMPLETE, type ScanResult } from './field-scanner.ts';
import { HeadCache } from './head-cache.ts';
import { DEFAULT_H1_LIMITS, MAX_LEADING_EMPTY_LINES, STRICT_H1 } from './limits.ts';
import { latin1 } from './latin1.ts';
import { CR, LF } from './octets.ts';
import { SectionBuffer } from './section-buffer.ts';
import type { H1Decoder, H1Error, H1ErrorCode, H1Leniency, H1Limits, H1Sink } from './types.ts';

/** Up to so many new fields of a head are converted one by one. */
const MAX_SINGLE_CONVERSIONS = 2;

// Scans end within one push and sinks are called only after them, so all decoders of a thread share these.
const scanner: FieldScanner = new FieldScanner();
const facts: FieldFacts = new FieldFacts();

/** Base of both decoders; see `H1Decoder` for the contract. */
export abstract class MessageDecoder<Head extends { readonly fields: readonly string[] }> implements H1Decoder {
  error: H1Error | undefined = undefined;
  protected state: DecoderState;
  protected readonly sink: H1Sink<Head>;
  protected readonly limits: H1Limits;
  protected readonly leniency: H1Leniency;
  private cache: HeadCache<Head> = new HeadCache<Head>();
  /** The start line is the kept head's, so what it says need not be found again. */
  protected hasKnownStartLine = false;
  /** An interim head was announced, so the message is under way though nothing of its final head has come. */
  protected hasInterim = false;
  /** Length of the start line with its terminator; 0 while that line is incomplete. */
  private startLineBytes = 0;
  private emptyLineCount = 0;
  /** Open head or trailer section that came in parts; what was found in it so far, and where its next line starts. */
  private section: SectionBuffer | undefined = undefined;
  private savedSpans: Int32Array | undefined = undefined;
  private savedLineStart = 0;
  private remainingBytes = 0;
  private chunkLine: ChunkLine | undefined = undefined;

  protected constructor(
    initialState: DecoderState,
    sink: H1Sink<Head>,
    limits: Partial<H1Limits> | undefined,
    leniency: Partial<H1Leniency> | undefined,
  ) {
    this.state = initialState;
    this.sink = sink;
    this.limits = limits === undefined ? DEFAULT_H1_LIMITS : { ...DEFAULT_H1_LIMITS, ...limits };
    this.leniency = leniency === undefined ? STRICT_H1 : { ...STRICT_H1, ...leniency };
  }

  get isIdle(): boolean {
    return this.state === STOPPED || (this.state === IDLE && !this.hasInterim);
  }

  /**
   * Ready for the next message. Call it after `onEnd` (or within). Throws while a message is open: the caller would lose
   * its framing.
   */
  next(): void {
    if (this.state === IDLE) return;
    if (this.state !== STOPPED) throw new Error('next() while a message is open');
    this.state = IDLE;
    this.emptyLineCount = 0;
  }

  /** What follows is no HTTP: nothing more is consumed, no `onEnd` comes. For the sink's `onHead`, or later. */
  tunnel(): void {
    if (this.state !== DEAD) this.state = TUNNEL;
  }

  /** Frees what is remembered of earlier messages (up to 4 KiB): for a connection that has been idle for a while. */
  trim(): void {
    if (this.isIdle) this.cache = new HeadCache<Head>();
  }

  push(chunk: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      switch (this.state) {
        case IDLE:
          if (chunk[at] === CR || chunk[at] === LF) at = this.recvLeadingLine(chunk, at);
          else at = this.recvFirstHeadBytes(chunk, at, end);
          break;
        case EMPTY_LINE_LF:
          at = this.recvLeadingLf(chunk, at);
          break;
        case HEAD:
          at = this.recvMoreHeadBytes(chunk, at, end);
          break;
        case BODY_LENGTH:
        case CHUNK_DATA:
          at = this.recvCounted(chunk, at, end);
          break;
        case BODY_CLOSE:
          this.sink.onBody(chunk, at, end);
          return end;
        case CHUNK_LINE:
          at = this.recvChunkLine(chunk, at, end);
          break;
        case CHUNK_DATA_CR:
        case CHUNK_DATA_LF:
          at = this.recvChunkDataEnd(chunk, at);
          break;
        case TRAILER:
          at = this.recvTrailer(chunk, at, end);
          break;
        case STOPPED:
        case TUNNEL:
          return at;
        case DEAD:
          return -1;
      }
      if (at < 0) return -1;
    }
    return at;
  }

  pushEof(): boolean {
    switch (this.state) {
      case BODY_CLOSE:
        this.finish(undefined);
        return true;
      case STOPPED:
      case TUNNEL:
        return true;
      case DEAD:
        return false;
      default:
        if (this.isIdle) return true;
        this.fail('ERR_H1_EOF', 'connection closed within a message');
        return false;
    }
  }

  /** Distinguishes what equal heads mean; see `HeadCache`. */
  protected abstract readonly cacheContext: number;

  /**
   * Scans the start line at `bytes[base, end)`. Returns its length with terminator, 0 where it is incomplete, or -1 with
   * `error` set. Judges a line only when its LF is there (`refuseLine`).
   */
  protected abstract scanStartLine(bytes: Uint8Array, base: number, end: number): number;

  /**
   * Makes the head. Its start line is that of `known`, or else what `text` begins with and `scanStartLine` has found. Returns
   * undefined with `error` set where the head contradicts itself. `facts` are valid during the call only.
   */
  protected abstract buildHead(text: string, known: Head | undefined, fields: FieldList, facts: FieldFacts): Head | undefined;

  /** Whether `head` is worth keeping for the next message. */
  protected abstract isRepeatable(head: Head): boolean;

  /** Sets the state for what follows `head` (`startBody` and the like) and tells the sink. */
  protected abstract announce(head: Head): void;

  /** For `scanStartLine`: an error in a line that is complete; 0 (wait) where its LF has not come. */
  protected refuseLine(bytes: Uint8Array, at: number, end: number, code: H1ErrorCode, message: string): number {
    if (!hasLf(bytes, at, end)) return 0;
    return this.fail(code, message);
  }

  /** Sets `error`, ends the decoder; returns -1. */
  protected fail(code: H1ErrorCode, message: string): -1 {
    return this.failWith(h1Error(code, message));
  }

  protected failWith(error: H1Error): -1 {
    this.error = error;
    this.state = DEAD;
    this.dropSection();
    return -1;
  }

  /** Announces a final head: body state, `onHead`, and the end where there is no body. */
  protected startBody(head: Head, bodyBytes: number): void {
    this.remainingBytes = bodyBytes;
    if (bodyBytes === BODY_CHUNKED) {
      this.chunkLine ??= new ChunkLine(this.limits.maxChunkExtensionBytes);
      this.chunkLine.begin();
      this.state = CHUNK_LINE;
    } else {
      this.state = bodyBytes === BODY_UNTIL_CLOSE ? BODY_CLOSE : BODY_LENGTH;
    }
    this.sink.onHead(head);
    if (bodyBytes === 0 && this.state === BODY_LENGTH) this.finish(undefined);
  }

  private recvLeadingLine(chunk: Uint8Array, at: number): number {
    if (this.emptyLineCount === MAX_LEADING_EMPTY_LINES) return this.fail('ERR_H1_START_LINE', 'empty line instead of a start line');
    if (chunk[at] === LF) return this.recvLeadingLf(chunk, at);
    this.state = EMPTY_LINE_LF;
    return at + 1;
  }

  private recvLeadingLf(chunk: Uint8Array, at: number): number {
    if (chunk[at] !== LF || (this.state === IDLE && !this.leniency.bareLf)) {
      return this.fail('ERR_H1_LINE_TERMINATOR', 'half a line terminator before the start line');
    }
    this.emptyLineCount += 1;
    this.state = IDLE;
    return at + 1;
  }

  private recvFirstHeadBytes(chunk: Uint8Array, start: number, end: number): number {
    const known = this.cache.match(chunk, start, end, this.cacheContext);
    if (known !== undefined) {
      this.announce(known);
      return start + this.cache.length;
    }
    this.state = HEAD;
    this.startLineBytes = 0;
    const result = this.scanHead(chunk, start, end);
    if (result === SCAN_ERROR) return -1;
    if (result === SCAN_COMPLETE) return this.completeHead(chunk, start, start + scanner.lineStart);
    this.openSection(this.limits.maxHeadBytes).append(chunk, start, end);
    return end;
  }

  private recvMoreHeadBytes(chunk: Uint8Array, start: number, end: number): number {
    const section = this.section as SectionBuffer;
    const before = section.length;
    const taken = section.append(chunk, start, end);
    // Without an LF no line has become complete; a full section must still be judged.
    if (!hasLf(chunk, start, start + taken) && start + taken === end && this.isWithinLimits(section.length)) return end;
    if (this.savedSpans !== undefined) scanner.resume(this.savedLineStart, this.savedSpans);
    // What the section could not take counts too: so the scan knows that the limit cut something off.
    const result = this.scanHead(section.bytes, 0, section.length + (end - start - taken));
    if (result === SCAN_ERROR) return -1;
    if (result === SCAN_INCOMPLETE) {
      this.saveScan();
      return end;
    }
    const headBytes = scanner.lineStart;
    this.dropSection();
    return this.completeHead(section.bytes, 0, headBytes) < 0 ? -1 : start + headBytes - before;
  }

  private isWithinLimits(headBytes: number): boolean {
    return headBytes <= this.limits.maxHeadBytes && (this.startLineBytes > 0 || headBytes <= this.limits.maxStartLineBytes);
  }

  /** Scans as much of the head at `bytes[base, end)` as its limits allow. `end` may lie beyond the bytes held. */
  private scanHead(bytes: Uint8Array, base: number, end: number): ScanResult {
    const { maxStartLineBytes, maxHeadBytes, maxFieldCount } = this.limits;
    if (this.startLineBytes === 0) {
      const limit = Math.min(end, base + maxStartLineBytes, base + maxHeadBytes);
      const firstFields = this.cache.matchFirstFields(bytes, base, limit);
      this.hasKnownStartLine = firstFields >= 0 || this.cache.matchStartLine(bytes, base, limit);
      const lineBytes = this.hasKnownStartLine ? this.cache.startLineBytes : this.scanStartLine(bytes, base, limit);
      if (lineBytes < 0) return SCAN_ERROR;
      if (lineBytes === 0) {
        if (limit === end) return SCAN_INCOMPLETE;
        this.fail('ERR_H1_START_LINE_TOO_LONG', 'start line too long');
        return SCAN_ERROR;
      }
      this.startLineBytes = lineBytes;
      scanner.begin(lineBytes);
      if (firstFields > 0) scanner.takeFirst(this.cache, firstFields);
    }
    const limit = Math.min(end, base + maxHeadBytes);
    const result = scanner.scan(bytes, base, limit, maxFieldCount, this.leniency.bareLf, this.cache, !this.hasKnownStartLine);
    if (result === SCAN_ERROR) {
      this.fail(scanner.errorCode, scanner.errorMessage);
    } else if (result === SCAN_INCOMPLETE && limit < end) {
      this.fail('ERR_H1_HEAD_TOO_LARGE', 'head too large');
      return SCAN_ERROR;
    }
    return result;
  }

  /** Returns `end`, or -1. */
  private completeHead(bytes: Uint8Array, start: number, end: number): number {
    // One conversion of the whole, or of the few lines that are new.
    const isWhole = scanner.freshCount > MAX_SINGLE_CONVERSIONS;
    const text = isWhole ? latin1(bytes, start, end) : this.hasKnownStartLine ? '' : latin1(bytes, start, start + this.startLineBytes);
    const fields = facts.collect(bytes, start, isWhole ? text : undefined, scanner, this.cache);
    if (facts.error !== undefined) return this.failWith(facts.error);
    const head = this.buildHead(text, this.hasKnownStartLine ? this.cache.head : undefined, fields, facts);
    if (head === undefined) return -1;
    if (this.isRepeatable(head)) this.cache.keep(bytes, start, end, this.startLineBytes, this.cacheContext, head, scanner);
    this.announce(head);
    return end;
  }

  private openSection(maxBytes: number): SectionBuffer {
    this.section = new SectionBuffer(maxBytes);
    this.saveScan();
    return this.section;
  }

  private saveScan(): void {
    this.savedSpans = this.state === HEAD && this.startLineBytes === 0 ? undefined : scanner.save();
    this.savedLineStart = scanner.lineStart;
  }

  private dropSection(): void {
    this.section = undefined;
    this.savedSpans = undefined;
  }

  private recvCounted(chunk: Uint8Array, start: number, end: number): number {
    const taken = Math.min(this.remainingBytes, end - start);
    this.remainingBytes -= taken;
    if (this.remainingBytes === 0 && this.state === CHUNK_DATA) this.state = CHUNK_DATA_CR;
    this.sink.onBody(chunk, start, start + taken);
    if (this.remainingBytes === 0 && this.state === BODY_LENGTH) this.finish(undefined);
    return start + taken;
  }

  private recvChunkLine(chunk: Uint8Array, start: number, end: number): number {
    const line = this.chunkLine as ChunkLine;
    const at = line.push(chunk, start, end);
    if (line.error !== undefined) return this.failWith(line.error);
    if (!line.isComplete) return at;
    this.remainingBytes = line.sizeBytes;
    this.state = line.sizeBytes > 0 ? CHUNK_DATA : TRAILER;
    return at;
  }

  private recvChunkDataEnd(chunk: Uint8Array, at: number): number {
    if (chunk[at] !== (this.state === CHUNK_DATA_CR ? CR : LF)) return this.fail('ERR_H1_CHUNK_DATA', 'no CRLF after chunk data');
    if (this.state === CHUNK_DATA_CR) {
      this.state = CHUNK_DATA_LF;
    } else {
      this.state = CHUNK_LINE;
      (this.chunkLine as ChunkLine).begin();
    }
    return at + 1;
  }

  private recvTrailer(chunk: Uint8Array, start: number, end: number): number {
    const { maxTrailerBytes, maxFieldCount } = this.limits;
    let bytes = chunk;
    let base = start;
    let before = 0;
    let availableBytes = end - start;
    if (this.section === undefined) {
      scanner.begin(0);
    } else {
      before = this.section.length;
      availableBytes += before;
      this.section.append(chunk, start, end);
      if (availableBytes <= maxTrailerBytes && !hasLf(chunk, start, end)) return end;
      scanner.resume(this.savedLineStart, this.savedSpans as Int32Array);
      ({ bytes } = this.section);
      base = 0;
    }
    const limit = base + Math.min(availableBytes, maxTrailerBytes);
    const result = scanner.scan(bytes, base, limit, maxFieldCount, this.leniency.bareLf, undefined, false);
    if (result === SCAN_ERROR) return this.fail(scanner.errorCode, scanner.errorMessage);
    if (result === SCAN_INCOMPLETE) {
      if (availableBytes > maxTrailerBytes) return this.fail('ERR_H1_TRAILER_TOO_LARGE', 'trailer section too large');
      if (this.section === undefined) this.openSection(maxTrailerBytes).append(chunk, start, end);
      else this.saveScan();
      return end;
    }
    const sectionBytes = scanner.lineStart;
    this.dropSection();
    return this.completeTrailer(bytes, base, base + sectionBytes) < 0 ? -1 : start + sectionBytes - before;
  }

  private completeTrailer(bytes: Uint8Array, start: number, end: number): number {
    if (scanner.fieldCount === 0) {
      this.finish(undefined);
      return 0;
    }
    const trailers = facts.collect(bytes, start, latin1(bytes, start, end), scanner, undefined);
    // RFC 9110 §6.5.1: what frames or routes a message must not come behind it.
    for (let i = 0; i < trailers.length; i += 2) {
      const name = trailers[i];
      if (name === 'content-length') return this.fail('ERR_H1_CONTENT_LENGTH', 'Content-Length in a trailer section');
      if (name === 'transfer-encoding') return this.fail('ERR_H1_TRANSFER_ENCODING', 'Transfer-Encoding in a trailer section');
      if (name === 'host') return this.fail('ERR_H1_HOST', 'Host in a trailer section');
    }
    this.finish(trailers);
    return 0;
  }

  private finish(trailers: FieldList | undefined): void {
    this.state = STOPPED;
    this.hasInterim = false;
    this.sink.onEnd(trailers);
  }
}

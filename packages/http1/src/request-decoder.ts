// SPDX-License-Identifier: Apache-2.0
/*
 * Requests (RFC 9112 §3, §6.3): the request line, Host, and which framing a request may have. A request is the half that
 * smuggling is about, so whatever two parsers might read in two ways is refused.
 */
import { Buffer } from 'node:buffer';
import type { FieldList } from '@weft/bytes';
import { type FieldFacts, isPersistent, NO_CONTENT_LENGTH } from './field-facts.ts';
import { checkHost, HOST_INVALID } from './host.ts';
import { BODY_CHUNKED, IDLE } from './decoder-state.ts';
import { MessageDecoder } from './message-decoder.ts';
import { CR, LF, SP, TARGET, TOKEN_LOWER } from './octets.ts';
import { targetFormOf } from './request-target.ts';
import { isVersionSyntax, minorVersionAt, VERSION_BYTES } from './version.ts';
import type { H1Leniency, H1Limits, H1RequestHead, H1Sink } from './types.ts';

/** Decodes the requests of one connection. After each `onEnd` it waits for `next()`. */
export class H1RequestDecoder extends MessageDecoder<H1RequestHead> {
  protected readonly cacheContext: number = 0;
  /** Of the request line being decoded, relative to the head; the target starts one behind the method. */
  private methodEnd = 0;
  private targetEnd = 0;
  private minorVersion: 0 | 1 = 1;
  /** The host of the request before: kept apart so that an equal one needs no new string, and none pins a whole head's text. */
  private lastHost = '';

  constructor(sink: H1Sink<H1RequestHead>, limits?: Partial<H1Limits>, leniency?: Partial<H1Leniency>) {
    super(IDLE, sink, limits, leniency);
  }

  protected scanStartLine(bytes: Uint8Array, base: number, end: number): number {
    let at = base;
    while (at < end && TOKEN_LOWER[bytes[at] as number] !== 0) at++;
    if (at === end) return 0;
    if (bytes[at] !== SP || at === base) return this.refuseLine(bytes, at, end, 'ERR_H1_METHOD', 'method is no token');
    this.methodEnd = at - base;

    const targetStart = ++at;
    while (at < end && TARGET[bytes[at] as number] === 1) at++;
    if (at === end) return 0;
    if (bytes[at] === CR || bytes[at] === LF) {
      return this.refuseLine(bytes, at, end, 'ERR_H1_START_LINE', 'request line without version');
    }
    if (bytes[at] !== SP || at === targetStart) {
      return this.refuseLine(bytes, at, end, 'ERR_H1_TARGET', 'invalid character in the request target');
    }
    this.targetEnd = at - base;

    const versionStart = at + 1;
    const versionEnd = versionStart + VERSION_BYTES;
    if (versionEnd >= end) return this.refuseLine(bytes, versionStart, end, 'ERR_H1_START_LINE', 'no HTTP version');
    const minorVersion = minorVersionAt(bytes, versionStart);
    if (minorVersion < 0) return this.refuseVersion(bytes, versionStart, end);
    this.minorVersion = minorVersion as 0 | 1;
    if (bytes[versionEnd] === CR) {
      if (versionEnd + 1 === end) return 0;
      if (bytes[versionEnd + 1] === LF) return versionEnd + 2 - base;
      return this.refuseLine(bytes, versionEnd + 1, end, 'ERR_H1_LINE_TERMINATOR', 'CR without LF after the request line');
    }
    if (bytes[versionEnd] === LF) {
      if (this.leniency.bareLf) return versionEnd + 1 - base;
      return this.refuseLine(bytes, versionEnd, end, 'ERR_H1_LINE_TERMINATOR', 'LF without CR after the request line');
    }
    return this.refuseLine(bytes, versionEnd, end, 'ERR_H1_START_LINE', 'more behind the version');
  }

  protected buildHead(text: string, known: H1RequestHead | undefined, fields: FieldList, facts: FieldFacts): H1RequestHead | undefined {
    if (known !== undefined) this.minorVersion = known.minorVersion;
    const { minorVersion } = this;
    const method = known === undefined ? methodOf(text, this.methodEnd) : known.method;
    const target = known === undefined ? text.slice(this.methodEnd + 1, this.targetEnd) : known.target;
    const targetForm = known === undefined ? targetFormOf(method, target) : known.targetForm;
    if (targetForm === undefined) {
      this.fail('ERR_H1_TARGET', 'request target does not suit the method');
      return undefined;
    }
    if (!this.checkHostField(facts) || !this.checkFraming(method, facts)) return undefined;
    const hasContentLength = facts.contentLength !== NO_CONTENT_LENGTH;
    return {
      method,
      target,
      targetForm,
      fields,
      host: facts.hostCount === 0 ? undefined : this.ownHost(facts.host as string),
      minorVersion,
      bodyBytes: facts.isChunked ? BODY_CHUNKED : hasContentLength ? facts.contentLength : 0,
      hasContentLength,
      keepAlive: isPersistent(facts, minorVersion),
      upgrade: minorVersion === 1 && facts.saysUpgrade ? upgradeOf(facts.upgrade) : undefined,
      expectContinue: minorVersion === 1 && facts.expectsContinue,
    };
  }

  /** A connection that becomes a tunnel has no next request. */
  protected isRepeatable(head: H1RequestHead): boolean {
    return head.keepAlive && head.upgrade === undefined && head.method !== 'CONNECT';
  }

  protected announce(head: H1RequestHead): void {
    this.startBody(head, head.bodyBytes);
  }

  /** RFC 9112 §3.2: exactly one in HTTP/1.1, valid in any version. */
  private checkHostField(facts: FieldFacts): boolean {
    const { host, hostCount } = facts;
    if (hostCount === 1 && (host === this.lastHost || checkHost(host as string, 0, (host as string).length) !== HOST_INVALID)) return true;
    if (hostCount === 0 && this.minorVersion === 0) return true;
    this.fail('ERR_H1_HOST', hostCount === 0 ? 'no Host field' : hostCount === 1 ? 'invalid Host field' : 'more than one Host field');
    return false;
  }

  private checkFraming(method: string, facts: FieldFacts): boolean {
    if (facts.isChunked) {
      if (facts.contentLength !== NO_CONTENT_LENGTH) {
        this.fail('ERR_H1_BOTH_FRAMINGS', 'both Content-Length and Transfer-Encoding');
        return false;
      }
      if (this.minorVersion === 0) {
        this.fail('ERR_H1_TRANSFER_ENCODING', 'Transfer-Encoding in HTTP/1.0');
        return false;
      }
    }
    // RFC 9110 §9.3.6: content of a CONNECT has no defined meaning; here it would be taken for tunnelled bytes, or not.
    if (method === 'CONNECT') {
      if (this.minorVersion === 0) {
        this.fail('ERR_H1_METHOD', 'CONNECT in HTTP/1.0');
        return false;
      }
      if (facts.isChunked) {
        this.fail('ERR_H1_TRANSFER_ENCODING', 'CONNECT with content');
        return false;
      }
      if (facts.contentLength > 0) {
        this.fail('ERR_H1_CONTENT_LENGTH', 'CONNECT with content');
        return false;
      }
    }
    return true;
  }

  private ownHost(host: string): string {
    if (host !== this.lastHost) this.lastHost = detached(host);
    return this.lastHost;
  }

  private refuseVersion(bytes: Uint8Array, at: number, end: number): number {
    if (isVersionSyntax(bytes, at)) return this.refuseLine(bytes, at, end, 'ERR_H1_VERSION', 'HTTP version is neither 1.0 nor 1.1');
    return this.refuseLine(bytes, at, end, 'ERR_H1_START_LINE', 'no HTTP version');
  }
}

/** Common methods as the interned string. */
function methodOf(text: string, end: number): string {
  if (end === 3 && text.startsWith('GET')) return 'GET';
  if (end === 4 && text.startsWith('POST')) return 'POST';
  return text.slice(0, end);
}

/**
 * The protocol to upgrade to, if it is one to pass on. An offer of h2c is never confirmed to anybody: a tunnel of HTTP/2
 * would carry requests past every policy (h2c smuggling), so such an offer counts as none.
 */
function upgradeOf(protocols: string | undefined): string | undefined {
  if (protocols === undefined || protocols === '') return undefined;
  if (protocols === 'websocket') return protocols;
  return protocols.split(',').some((protocol) => protocol.trim() === 'h2c') ? undefined : protocols;
}

/** A copy of latin1 text that refers to no other string's characters, as a slice does. */
function detached(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

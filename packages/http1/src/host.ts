// SPDX-License-Identifier: Apache-2.0
/*
 * Syntax of `uri-host [":" port]` in Host, in the authority-form target of CONNECT and in an absolute-form target (RFC 3986
 * §3.2.2, §3.2.3; RFC 9110 §7.2). Only characters and structure are judged; names are resolved by others.
 */
import { REG_NAME } from './octets.ts';

const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;
const COLON = 0x3a;

/** Not `uri-host [":" port]`. */
export const HOST_INVALID = -1;
/** Valid, without a port (`host` or `host:`). */
export const HOST_WITHOUT_PORT = -2;

/**
 * Judges `text[start, end)`: the port number (0–65535), `HOST_WITHOUT_PORT`, or `HOST_INVALID`. An empty host is valid here,
 * as in an empty Host field (RFC 9112 §3.2).
 */
export function checkHost(text: string, start: number, end: number): number {
  let at = start;
  if (at < end && text.charCodeAt(at) === BRACKET_OPEN) {
    at = endOfIpLiteral(text, start, end);
    if (at === HOST_INVALID) return HOST_INVALID;
  } else {
    while (at < end && REG_NAME[text.charCodeAt(at)] === 1) at++;
  }
  if (at === end) return HOST_WITHOUT_PORT;
  if (text.charCodeAt(at) !== COLON) return HOST_INVALID;
  at += 1;
  if (at === end) return HOST_WITHOUT_PORT;
  if (end - at > 5) return HOST_INVALID;
  let port = 0;
  for (; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return HOST_INVALID;
    port = port * 10 + digit;
  }
  return port > 65_535 ? HOST_INVALID : port;
}

/** Index behind the closing bracket. Inside: hex digits, colons and dots of an address; letters and `%` of a zone or `v1.` form. */
function endOfIpLiteral(text: string, start: number, end: number): number {
  let at = start + 1;
  while (at < end && (text.charCodeAt(at) === COLON || REG_NAME[text.charCodeAt(at)] === 1)) at++;
  if (at === end || at === start + 1 || text.charCodeAt(at) !== BRACKET_CLOSE) return HOST_INVALID;
  return at + 1;
}

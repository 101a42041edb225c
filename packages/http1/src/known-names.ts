// SPDX-License-Identifier: Apache-2.0
/*
 * Field names that real traffic repeats. A name found here costs no string: the decoder hands out the one interned lower-case
 * spelling, however the peer wrote it. The first few have ids of their own, since framing and routing look at them.
 */
import { TOKEN_LOWER } from './octets.ts';

export const ID_HOST = 0;
export const ID_CONTENT_LENGTH = 1;
export const ID_TRANSFER_ENCODING = 2;
export const ID_CONNECTION = 3;
export const ID_UPGRADE = 4;
export const ID_EXPECT = 5;
/** Ids below this one mean something to the decoder. */
export const FIRST_PLAIN_ID = 6;

/** Not in the table; all lower-case on the wire. */
export const ID_UNKNOWN = -1;
/** Not in the table, and the wire has upper-case letters. */
export const ID_UNKNOWN_MIXED_CASE = -2;

const NAMES =
  // prettier-ignore
  ('host content-length transfer-encoding connection upgrade expect ' +
    'accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials ' +
    'access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers ' +
    'access-control-max-age access-control-request-headers access-control-request-method age allow alt-svc authorization ' +
    'cache-control content-disposition content-encoding content-language content-location content-range ' +
    'content-security-policy content-type cookie cross-origin-opener-policy cross-origin-resource-policy date dnt etag expires ' +
    'forwarded from grpc-accept-encoding grpc-encoding grpc-message grpc-status grpc-timeout grpc-trace-bin http2-settings ' +
    'if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive l5d-client-id l5d-dst-canonical ' +
    'l5d-dst-override l5d-orig-proto l5d-proxy-connection l5d-proxy-error l5d-request-timeout l5d-require-id ' +
    'l5d-response-timeout l5d-retry-grpc l5d-retry-http l5d-retry-limit l5d-retry-timeout l5d-timeout last-modified link ' +
    'location max-forwards origin permissions-policy pragma priority proxy-authenticate proxy-authorization proxy-connection ' +
    'range referer referrer-policy retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode ' +
    'sec-fetch-site sec-fetch-user sec-websocket-accept sec-websocket-extensions sec-websocket-key sec-websocket-protocol ' +
    'sec-websocket-version server server-timing set-cookie strict-transport-security te traceparent tracestate trailer ' +
    'upgrade-insecure-requests user-agent vary via warning www-authenticate x-amzn-trace-id x-b3-flags x-b3-parentspanid ' +
    'x-b3-sampled x-b3-spanid x-b3-traceid x-cache x-content-type-options x-correlation-id x-envoy-attempt-count ' +
    'x-envoy-upstream-service-time x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-frame-options ' +
    'x-http-method-override x-powered-by x-real-ip x-request-id x-requested-with x-runtime x-xss-protection'
  ).split(' ');

/** Known names by id. As property keys they are the engine's one copy of each, so comparisons end at the pointer. */
export const KNOWN_NAMES: readonly string[] = Object.keys(Object.fromEntries(NAMES.map((name) => [name, true])));

/** Multiplier of the rolling hash that the field scanner computes over lower-case octets. */
export const NAME_HASH_FACTOR = 31;
const SLOT_MASK = 1023;
const NO_ID = 255;

/** Open addressing; a slot holds an id or `NO_ID`. The table is a constant, so a peer can lengthen no probe. */
const SLOTS: Uint8Array = new Uint8Array(SLOT_MASK + 1).fill(NO_ID);
/** All names one after another, and where each begins (with one entry more): octets compare faster than characters. */
const NAME_OCTETS: Uint8Array = new Uint8Array(KNOWN_NAMES.join('').length);
const NAME_STARTS: Uint16Array = new Uint16Array(KNOWN_NAMES.length + 1);
fillTables();

/** Id of the name `bytes[start, end)` whose lower-case octets hash to `hash`, or `ID_UNKNOWN`. */
export function knownNameId(bytes: Uint8Array, start: number, end: number, hash: number): number {
  const octets = NAME_OCTETS;
  const tokenLower = TOKEN_LOWER;
  const length = end - start;
  for (let slot = slotOf(hash); ; slot = (slot + 1) & SLOT_MASK) {
    const id = SLOTS[slot] as number;
    if (id === NO_ID) return ID_UNKNOWN;
    const nameStart = NAME_STARTS[id] as number;
    if ((NAME_STARTS[id + 1] as number) - nameStart !== length) continue;
    let i = 0;
    while (i < length && octets[nameStart + i] === tokenLower[bytes[start + i] as number]) i++;
    if (i === length) return id;
  }
}

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 15)) & SLOT_MASK;
}

function fillTables(): void {
  let end = 0;
  KNOWN_NAMES.forEach((name, id) => {
    let hash = 0;
    for (let i = 0; i < name.length; i++) {
      hash = (Math.imul(hash, NAME_HASH_FACTOR) + name.charCodeAt(i)) | 0;
      NAME_OCTETS[end++] = name.charCodeAt(i);
    }
    NAME_STARTS[id + 1] = end;
    let slot = slotOf(hash);
    while (SLOTS[slot] !== NO_ID) slot = (slot + 1) & SLOT_MASK;
    SLOTS[slot] = id;
  });
}

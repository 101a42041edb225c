// SPDX-License-Identifier: Apache-2.0
/*
 * Which field sections are well-formed requests, responses and trailers (RFC 9113 §8.1–§8.5). A broken rule makes the message
 * malformed: a stream error PROTOCOL_ERROR. Requests may lack :authority, and carry `host` alone, as HTTP/1.0 requests do that
 * were upgraded on the way.
 */
import { APPROVED_REQUEST, APPROVED_RESPONSE, type FieldSection } from './field-section.ts';
import { KIND_AUTHORITY, KIND_CONTENT_LENGTH, KIND_HOST, KIND_METHOD, KIND_PATH, KIND_SCHEME, KIND_STATUS } from './field-class.ts';

const METHOD_BIT = 1 << KIND_METHOD;
const SCHEME_BIT = 1 << KIND_SCHEME;
const PATH_BIT = 1 << KIND_PATH;
const AUTHORITY_BIT = 1 << KIND_AUTHORITY;
const STATUS_BIT = 1 << KIND_STATUS;
const REQUEST_BITS = METHOD_BIT | SCHEME_BIT | PATH_BIT;
const PSEUDO_BITS = REQUEST_BITS | AUTHORITY_BIT | STATUS_BIT;

const FRAMING_BITS = (1 << KIND_CONTENT_LENGTH) | (1 << KIND_HOST);

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*$/;
/** No userinfo (§8.3.1), nothing that would end the authority in a URI. */
const AUTHORITY = /^[^\0-\x20"#/<>?@\\^`{|}\x7f]+$/;
/** Origin-form; a fragment or a space would mean something else to the next hop. */
const PATH = /^\/[^\0-\x20#\x7f]*$/;
const STATUS = /^[1-5]\d\d$/;

/** Whether a request's header section is well-formed. */
export function isRequestSection(section: FieldSection): boolean {
  if (section.approvedAs === APPROVED_REQUEST) return true;
  if (!obeysRequestRules(section)) return false;
  section.approve(APPROVED_REQUEST);
  return true;
}

function obeysRequestRules(section: FieldSection): boolean {
  if (section.isMalformed || (section.seenKinds & STATUS_BIT) !== 0) return false;
  const pseudo = section.seenKinds & PSEUDO_BITS;
  if ((pseudo & AUTHORITY_BIT) !== 0 && !isAuthority(section.authority)) return false;
  if (section.method === 'CONNECT') return pseudo === (METHOD_BIT | AUTHORITY_BIT);
  if ((pseudo & REQUEST_BITS) !== REQUEST_BITS) return false;
  if (section.method !== 'GET' && section.method !== 'POST' && !METHOD.test(section.method)) return false;
  if (section.scheme !== 'http' && section.scheme !== 'https' && !SCHEME.test(section.scheme)) return false;
  return PATH.test(section.path) || (section.path === '*' && section.method === 'OPTIONS');
}

/** The last authority found good: nearly always the next one too, and then the very same string. */
let knownAuthority = '';

function isAuthority(authority: string): boolean {
  if (authority === knownAuthority && authority !== '') return true;
  if (!AUTHORITY.test(authority)) return false;
  knownAuthority = authority;
  return true;
}

/** Whether a response's header section, interim ones included, is well-formed. 101 does not exist in HTTP/2 (§8.6). */
export function isResponseSection(section: FieldSection): boolean {
  if (section.approvedAs === APPROVED_RESPONSE) return true;
  if (!obeysResponseRules(section)) return false;
  section.approve(APPROVED_RESPONSE);
  return true;
}

function obeysResponseRules(section: FieldSection): boolean {
  if (section.isMalformed || (section.seenKinds & PSEUDO_BITS) !== STATUS_BIT) return false;
  return STATUS.test(section.status) && section.status !== '101';
}

/**
 * Whether a trailer section is well-formed: no pseudo-fields (§8.1), and nothing that frames or routes a message
 * (RFC 9110 §6.5.1), which the next hop could take for the head's.
 */
export function isTrailerSection(section: FieldSection): boolean {
  return !section.isMalformed && (section.seenKinds & (PSEUDO_BITS | FRAMING_BITS)) === 0;
}

/** Whether the response is an interim one: another head follows. `section` is well-formed. */
export function isInterimStatus(section: FieldSection): boolean {
  return section.status.charCodeAt(0) === 0x31;
}

/** Whether a response with this status has no content, whatever its Content-Length says (RFC 9110 §6.4.1). */
export function hasNoContent(status: string): boolean {
  return status === '204' || status === '304';
}

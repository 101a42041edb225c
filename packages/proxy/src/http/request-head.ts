// SPDX-License-Identifier: Apache-2.0
/*
 * The request head that travels through the proxy, made from an HTTP/1 head or from the fields of an HTTP/2 request. A codec
 * hands out the same object for a repeated HTTP/1 head, so the object also carries what was computed for it last: the route it
 * matched and its HTTP/2 field list. Both are keyed by identity of what they were computed from.
 */
import type { FieldList } from '@weft/bytes';
import { fieldValue, hasField } from '@weft/bytes';
import { type H1RequestHead, stripHopByHop } from '@weft/http1';
import { BODY_UNKNOWN, HTTP_1_0, HTTP_1_1, HTTP_2, type HttpVersion, type RequestHead } from './types.ts';

const ORIG_PROTO = 'l5d-orig-proto';

export class ProxyRequestHead implements RequestHead {
  readonly version: HttpVersion;
  readonly method: string;
  readonly scheme: string;
  readonly authority: string | undefined;
  readonly isAuthorityInTarget: boolean;
  readonly path: string;
  readonly fields: Readonly<FieldList>;
  readonly bodyBytes: number;
  readonly isAbsoluteForm: boolean;
  readonly upgrade: string | undefined;
  readonly isOrigProto: boolean;
  /** What `cachedRoute` was computed by; any object. */
  routeKey: object | undefined = undefined;
  cachedRoute: unknown = undefined;
  /** The HTTP/2 field list of this head. */
  cachedFields: Readonly<FieldList> | undefined = undefined;

  constructor(init: RequestHead) {
    this.version = init.version;
    this.method = init.method;
    this.scheme = init.scheme;
    this.authority = init.authority;
    this.isAuthorityInTarget = init.isAuthorityInTarget;
    this.path = init.path;
    this.fields = init.fields;
    this.bodyBytes = init.bodyBytes;
    this.isAbsoluteForm = init.isAbsoluteForm;
    this.upgrade = init.upgrade;
    this.isOrigProto = init.isOrigProto;
  }

  /** A copy with other fields (and authority, where given), for filters. */
  with(changes: {
    fields?: Readonly<FieldList>;
    authority?: string | undefined;
    isAuthorityInTarget?: boolean;
    path?: string;
  }): ProxyRequestHead {
    return new ProxyRequestHead({
      version: this.version,
      method: this.method,
      scheme: this.scheme,
      authority: 'authority' in changes ? changes.authority : this.authority,
      isAuthorityInTarget: changes.isAuthorityInTarget ?? this.isAuthorityInTarget,
      path: changes.path ?? this.path,
      fields: changes.fields ?? this.fields,
      bodyBytes: this.bodyBytes,
      isAbsoluteForm: this.isAbsoluteForm,
      upgrade: this.upgrade,
      isOrigProto: this.isOrigProto,
    });
  }
}

/** Head of an HTTP/1 request. Undefined for a CONNECT that is not HTTP/1.1 with an authority-form target (proxy-contract §4.3). */
export function fromH1(head: H1RequestHead): ProxyRequestHead | undefined {
  let scheme = 'http';
  let authority = head.host;
  let path = head.target;
  let isAuthorityInTarget = false;
  if (head.method === 'CONNECT') {
    if (head.targetForm !== 'authority' || head.minorVersion === 0) return undefined;
    authority = head.target;
    isAuthorityInTarget = true;
    path = '';
  } else if (head.targetForm === 'absolute') {
    const schemeEnd = head.target.indexOf('://');
    const authorityStart = schemeEnd + 3;
    scheme = head.target.slice(0, schemeEnd).toLowerCase();
    let authorityEnd = head.target.length;
    for (let i = authorityStart; i < head.target.length; i++) {
      const c = head.target.charCodeAt(i);
      if (c === 0x2f || c === 0x3f) {
        authorityEnd = i;
        break;
      }
    }
    authority = head.target.slice(authorityStart, authorityEnd);
    isAuthorityInTarget = true;
    path = head.target.slice(authorityEnd);
    if (path === '' || path.charCodeAt(0) === 0x3f) path = `/${path}`;
  }
  return new ProxyRequestHead({
    version: head.minorVersion === 0 ? HTTP_1_0 : HTTP_1_1,
    method: head.method,
    scheme,
    authority: authority === '' ? undefined : authority,
    isAuthorityInTarget,
    path,
    fields: withoutOrigProto(
      isAuthorityInTarget && authority !== head.host ? withHost(head.fields, authority ?? '') : stripHopByHop(head.fields),
    ),
    bodyBytes: head.bodyBytes < 0 ? BODY_UNKNOWN : head.bodyBytes,
    isAbsoluteForm: head.targetForm === 'absolute',
    // An upgrade with a body is taken for a request without offer: what of it is body and what tunnel, two parsers could read in two ways.
    upgrade: head.method === 'CONNECT' ? 'connect' : head.bodyBytes === 0 ? head.upgrade : undefined,
    isOrigProto: false,
  });
}

/** Only a proxy says `l5d-orig-proto`, and only inside HTTP/2: on HTTP/1 it is a client's attempt to be taken for one. */
function withoutOrigProto(fields: Readonly<FieldList>): Readonly<FieldList> {
  if (!hasField(fields, ORIG_PROTO)) return fields;
  const kept: FieldList = [];
  for (let i = 0; i < fields.length; i += 2) if (fields[i] !== ORIG_PROTO) kept.push(fields[i] as string, fields[i + 1] as string);
  return kept;
}

/** The target's authority replaces a Host that says otherwise (RFC 9112 §3.2.2), lest the application be told another name than the route. */
function withHost(fields: Readonly<FieldList>, authority: string): FieldList {
  const kept: FieldList = ['host', authority];
  const rest = stripHopByHop(fields);
  for (let i = 0; i < rest.length; i += 2) if (rest[i] !== 'host') kept.push(rest[i] as string, rest[i + 1] as string);
  return kept;
}

/**
 * Head of an HTTP/2 request. Where it carries `l5d-orig-proto` the request is HTTP/1 in disguise (proxy-contract §4.2) and comes
 * out with its own version.
 */
export function fromH2(fields: Readonly<FieldList>, endStream: boolean): ProxyRequestHead {
  let method = '';
  let scheme = 'http';
  let authority: string | undefined;
  let path = '';
  let at = 0;
  for (; at < fields.length; at += 2) {
    const name = fields[at] as string;
    if (name.charCodeAt(0) !== 0x3a) break;
    const value = fields[at + 1] as string;
    if (name === ':method') method = value;
    else if (name === ':path') path = value;
    else if (name === ':authority') authority = value;
    else if (name === ':scheme') scheme = value;
  }
  const rest: FieldList = [];
  let version: HttpVersion = HTTP_2;
  let isAbsoluteForm = false;
  let isOrigProto = false;
  let contentLength: string | undefined;
  for (; at < fields.length; at += 2) {
    const name = fields[at] as string;
    const value = fields[at + 1] as string;
    if (name === ORIG_PROTO) {
      // Another version than these is HTTP/2, as in the reference.
      version = value.startsWith('HTTP/1.0') ? HTTP_1_0 : value.startsWith('HTTP/1.1') ? HTTP_1_1 : version;
      isOrigProto = version !== HTTP_2;
      isAbsoluteForm = isOrigProto && value.slice(10, 23) === 'absolute-form';
      continue;
    }
    if (name === 'content-length') contentLength = value;
    rest.push(name, value);
  }
  const isAuthorityInTarget = authority !== undefined && authority !== '';
  if (!isAuthorityInTarget) authority = fieldValue(rest, 'host');
  // HTTP/1.0 has no framing for a body of unknown length: such a one goes on as HTTP/1.1.
  if (version === HTTP_1_0 && !endStream && contentLength === undefined) version = HTTP_1_1;
  return new ProxyRequestHead({
    version,
    method,
    scheme,
    authority: authority === '' ? undefined : authority,
    isAuthorityInTarget,
    path,
    fields: rest,
    bodyBytes: endStream ? 0 : contentLength === undefined ? BODY_UNKNOWN : Number(contentLength),
    isAbsoluteForm,
    upgrade: version === HTTP_2 && method === 'CONNECT' ? 'connect' : undefined,
    isOrigProto,
  });
}

/** `l5d-orig-proto` value that carries an HTTP/1 request inside HTTP/2. */
export function origProtoValue(head: RequestHead): string {
  const version = head.version === HTTP_1_0 ? 'HTTP/1.0' : 'HTTP/1.1';
  return head.isAbsoluteForm ? `${version}; absolute-form` : version;
}

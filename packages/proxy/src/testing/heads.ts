// SPDX-License-Identifier: Apache-2.0
/* Request heads for tests. */
import type { FieldList } from '@weft/bytes';
import { ProxyRequestHead } from '../http/request-head.ts';
import { HTTP_1_1, type RequestHead } from '../http/types.ts';

/** `GET / HTTP/1.1` to svc.test, with changes. */
export function requestHead(changes: Partial<RequestHead> = {}): ProxyRequestHead {
  const fields: FieldList = ['host', 'svc.test'];
  return new ProxyRequestHead({
    version: HTTP_1_1,
    method: 'GET',
    scheme: 'http',
    authority: 'svc.test',
    isAuthorityInTarget: false,
    path: '/',
    fields,
    bodyBytes: 0,
    isAbsoluteForm: false,
    upgrade: undefined,
    isOrigProto: false,
    ...changes,
  });
}

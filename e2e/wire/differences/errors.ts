// SPDX-License-Identifier: Apache-2.0
/* Where an application or an unmeshed client meets something else than from the reference. */
import type { Difference } from '../comparison.ts';
import { NO_TIMEOUT } from './unbuilt.ts';

export const OUTBOUND_ERROR_DIFFERENCES: Readonly<Record<string, Difference>> = {
  'unauthorized-first-connection': {
    because: 'the first connection to an unwatched port waits for its policy; the reference judges it by the default',
    ours: {
      body: '',
      'body.body': null,
      'body.method': null,
      'body.saw.host': null,
      'body.saw.l5d-client-id': null,
      'body.url': null,
      'body.version': null,
      'field.content-length': '0',
      'field.content-type': null,
      'field.transfer-encoding': null,
      'field.x-app': null,
      status: 'HTTP/1.1 403 Forbidden',
    },
  },
  'request-timeout': {
    because: NO_TIMEOUT,
    ours: {
      body: null,
      'body.body': '',
      'body.method': 'GET',
      'body.saw.host': 'slow.vec-net.svc.cluster.local:8080',
      'body.saw.l5d-client-id': 'client.vec-net.serviceaccount.identity.linkerd.cluster.local',
      'body.url': '/slow',
      'body.version': '1.1',
      'field.content-length': null,
      'field.content-type': 'application/json',
      'field.l5d-proxy-error': null,
      'field.transfer-encoding': 'chunked',
      'field.x-app': '1',
      status: 'HTTP/1.1 200 OK',
    },
  },
  'request-timeout-grpc': {
    because: NO_TIMEOUT,
    ours: {
      body: null,
      'field.content-length': null,
      'field.grpc-message': null,
      'field.grpc-status': null,
      'field.l5d-proxy-error': null,
      'message.saw.:authority': 'slow.vec-net.svc.cluster.local:8082',
      'message.saw.:method': 'POST',
      'message.saw.:path': '/echo.Echo/Slow',
      'message.saw.:scheme': 'http',
      'message.saw.content-type': 'application/grpc',
      'message.saw.l5d-client-id': 'client.vec-net.serviceaccount.identity.linkerd.cluster.local',
      'message.saw.te': 'trailers',
      'trailer.grpc-status': '0',
    },
  },
  'bad-request-length-and-chunked': {
    because: 'Content-Length with chunked is refused: request smuggling',
    ours: {
      body: '',
      'body.body': null,
      'body.method': null,
      'body.saw.host': null,
      'body.saw.l5d-client-id': null,
      'body.saw.transfer-encoding': null,
      'body.url': null,
      'body.version': null,
      'field.content-length': '0',
      'field.content-type': null,
      'field.transfer-encoding': null,
      'field.x-app': null,
      status: 'HTTP/1.1 400 Bad Request',
    },
  },
  'bad-request-te': {
    because: 'an unknown transfer coding is 501 (RFC 9112 §6.1)',
    ours: {
      status: 'HTTP/1.1 501 Not Implemented',
    },
  },
  'bad-request-connect-no-authority': {
    because: "what follows a malformed CONNECT cannot be told from a tunnel's bytes, so the connection closes",
    ours: {
      end: 'closed',
      'field.connection': 'close',
    },
  },
  'bad-request-bare-lf': {
    because: 'bare LF is refused: request smuggling',
    ours: {
      body: '',
      'body.body': null,
      'body.method': null,
      'body.saw.host': null,
      'body.saw.l5d-client-id': null,
      'body.url': null,
      'body.version': null,
      end: 'closed',
      'field.connection': 'close',
      'field.content-length': '0',
      'field.content-type': null,
      'field.transfer-encoding': null,
      'field.x-app': null,
      status: 'HTTP/1.1 400 Bad Request',
    },
  },
  'bad-request-chunk-size': {
    because: "a bad chunk size is the application's error, so 400; the reference blames the far side",
    ours: {
      'field.l5d-proxy-connection': null,
      'field.l5d-proxy-error': null,
      status: 'HTTP/1.1 400 Bad Request',
    },
  },
  'bad-request-no-host': {
    because: 'HTTP/1.1 without Host is refused (RFC 9112 §3.2); the reference leaves that to the application, whose 400 this was',
    ours: {
      end: 'closed',
      'field.connection': 'close',
      'field.content-length': '0',
      'field.transfer-encoding': null,
    },
  },
  'bad-request-two-hosts': {
    because: 'two Host fields are refused: request smuggling',
    ours: {
      body: '',
      'body.body': null,
      'body.method': null,
      'body.saw.host': null,
      'body.saw.l5d-client-id': null,
      'body.url': null,
      'body.version': null,
      end: 'closed',
      'field.connection': 'close',
      'field.content-length': '0',
      'field.content-type': null,
      'field.transfer-encoding': null,
      'field.x-app': null,
      status: 'HTTP/1.1 400 Bad Request',
    },
  },
  'bad-request-long-header': {
    because: 'a head over the limit is 431 here; the reference sends it on and blames the far side',
    ours: {
      'field.l5d-proxy-connection': null,
      'field.l5d-proxy-error': null,
      status: 'HTTP/1.1 431 Request Header Fields Too Large',
    },
  },
  'opaque-no-endpoints': {
    because: 'a connection that is refused is reset, lest its end be taken for that of an answer',
    ours: {
      end: 'error ECONNRESET',
    },
  },
};

export const INBOUND_ERROR_DIFFERENCES: Readonly<Record<string, Difference>> = {
  'no-host-11': {
    because:
      'HTTP/1.1 without Host is refused by the proxy (RFC 9112 §3.2); the reference leaves that to the application, whose 400 this was',
    ours: {
      end: 'closed',
      'field.connection': 'close',
      'field.content-length': '0',
      'field.transfer-encoding': null,
    },
  },
  'ok-http1': {
    because: 'a client outside the mesh does not reach the application with a field that only proxies write',
    ours: {
      'body.saw.l5d-orig-proto': null,
    },
  },
  upgrade: {
    because: 'the Connection field is made anew on each hop (RFC 9110 §7.6.1)',
    ours: {
      'body.saw.connection': 'upgrade',
    },
  },
};

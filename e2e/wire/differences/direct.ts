// SPDX-License-Identifier: Apache-2.0
/* Where a foreign peer meets something else at the inbound proxy than from the reference. */
import type { Difference } from '../comparison.ts';
import { NO_RATE_LIMIT } from './unbuilt.ts';

export const DIRECT_DIFFERENCES: Readonly<Record<string, Difference>> = {
  'h2-to-http1-app': {
    because:
      'an application that answers HTTP/2 with something else is an application error, told with its cause; the reference resets with the code of its parser',
    ours: {
      '0:error': null,
      '0:field.:status': '500',
      '0:field.content-length': '0',
      '0:field.l5d-proxy-connection': 'close',
      '0:field.l5d-proxy-error': 'unexpected error',
      end: null,
      goaway: '0',
    },
  },
  'header-port-inbound': {
    because: 'a header that names the inbound port itself is refused like any other bad header, before HTTP',
    ours: {
      body: null,
      'field.connection': null,
      'field.content-length': null,
      'field.l5d-proxy-connection': null,
      'field.l5d-proxy-error': null,
      status: null,
    },
  },
  'other-trust-root': {
    because: 'the chain is judged after the handshake (docs/architecture.md), where node:tls cannot send an alert any more',
    ours: {
      end: 'closed',
    },
  },
  'rate-limited': {
    because: NO_RATE_LIMIT,
    ours: {
      '1:body': null,
      '1:body.body': '',
      '1:body.method': 'GET',
      '1:body.saw.host': 'server.vec-net.svc.cluster.local:8080',
      '1:body.saw.l5d-client-id': 'client.vec-net.serviceaccount.identity.linkerd.cluster.local',
      '1:body.url': '/2',
      '1:body.version': '1.1',
      '1:field.:status': '200',
      '1:field.content-length': null,
      '1:field.content-type': 'application/json',
      '1:field.l5d-orig-proto': 'HTTP/1.1',
      '1:field.l5d-proxy-error': null,
      '1:field.x-app': '1',
      '2:body': null,
      '2:body.body': '',
      '2:body.method': 'GET',
      '2:body.saw.host': 'server.vec-net.svc.cluster.local:8080',
      '2:body.saw.l5d-client-id': 'client.vec-net.serviceaccount.identity.linkerd.cluster.local',
      '2:body.url': '/3',
      '2:body.version': '1.1',
      '2:field.:status': '200',
      '2:field.content-length': null,
      '2:field.content-type': 'application/json',
      '2:field.l5d-orig-proto': 'HTTP/1.1',
      '2:field.l5d-proxy-error': null,
      '2:field.x-app': '1',
      '3:field.grpc-message': 'unexpected error',
      '3:field.grpc-status': '13',
      '3:field.l5d-proxy-connection': 'close',
      '3:field.l5d-proxy-error': 'unexpected error',
      end: null,
      goaway: '0',
    },
  },
  'refused-h2-native': {
    because: 'the capture ended before the GOAWAY came',
    ours: {
      end: null,
      goaway: '0',
    },
  },
  'refused-h2': {
    because:
      'answers that the proxy makes by itself carry no l5d-orig-proto; the reference adds it to this one only, and the far side takes both alike',
    ours: {
      '0:field.l5d-orig-proto': null,
    },
  },
};

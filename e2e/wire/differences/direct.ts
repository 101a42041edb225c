// SPDX-License-Identifier: Apache-2.0
/* Where a foreign peer meets something else at the inbound proxy than from the reference. */
import type { Difference } from '../comparison.ts';

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

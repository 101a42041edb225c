// SPDX-License-Identifier: Apache-2.0
/* Where a foreign peer, or the application behind the outbound proxy, sees something else than with the reference. */
import type { Difference } from '../comparison.ts';

export const OUTBOUND_DIFFERENCES: Readonly<Record<string, Difference>> = {
  'left GET': {
    because: 'the Connection field is made anew on each hop (RFC 9110 §7.6.1)',
    ours: { connection: 'upgrade' },
  },
  ClientHello: {
    because:
      'OpenSSL offers more point formats and encrypt-then-mac, and asks for no OCSP answer; none of the three has a meaning in TLS 1.3 here',
    ours: { 'extension 5': null, 'extension 11': '03000102', 'extension 22': '' },
  },
};

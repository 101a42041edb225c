// SPDX-License-Identifier: Apache-2.0
/* Who is at the other end of an inbound connection: what authorization and metrics ask about. */
import type { TlsPeer } from '@weft/net';

/** How the connection arrived, in the terms of the `tls` labels (proxy-contract §7.1). */
export type ClientTls =
  | { readonly kind: 'tls'; /** Undefined: TLS without a client certificate. */ readonly identity: string | undefined }
  | { readonly kind: 'none'; readonly reason: 'no_tls_from_remote' | 'port_skipped' | 'loopback' }
  /** TLS for somebody else, passed on untouched. */
  | { readonly kind: 'passthrough'; readonly sni: string };

export interface InboundClient {
  readonly ip: string;
  readonly port: number;
  readonly tls: ClientTls;
}

export function clientTls(peer: TlsPeer): ClientTls {
  return { kind: 'tls', identity: peer.identities[0] };
}

/** The identity, where there is one. */
export function clientIdentity(client: InboundClient): string | undefined {
  return client.tls.kind === 'tls' ? client.tls.identity : undefined;
}

/** Labels `tls`, `client_id`, `no_tls_reason`, `sni`. */
export function tlsLabels(tls: ClientTls): Record<string, string> {
  switch (tls.kind) {
    case 'tls':
      return { tls: 'true', client_id: tls.identity ?? '' };
    case 'none':
      return { tls: 'no_identity', no_tls_reason: tls.reason };
    case 'passthrough':
      return { tls: 'opaque', sni: tls.sni };
    default:
      return tls satisfies never;
  }
}

// SPDX-License-Identifier: Apache-2.0
/* What the data path needs of the workload's identity: TLS contexts that are swapped as a whole at renewal. */
import type { TlsClientContext, TlsServerContext } from '@weft/net';

export interface TlsContexts {
  /** Ordinary meshed ports: no ALPN. */
  readonly server: TlsServerContext;
  /** Connections straight to the inbound port: ALPN `transport.l5d.io/v1` only. */
  readonly directServer: TlsServerContext;
  readonly client: TlsClientContext;
}

/** The identity of this proxy. `tls` is undefined until the first certificate. */
export interface LocalIdentity {
  readonly name: string;
  readonly serverName: string;
  readonly tls: TlsContexts | undefined;
  /** Verifies the control plane but shows no certificate: for the first call to the identity service. */
  readonly anonymousClient?: TlsClientContext;
}

// SPDX-License-Identifier: Apache-2.0
/* Both ends of an exchange in the words of tap events and spans (proxy-contract §8): addresses, labels, how the connection is secured. */
import type { SocketAddress } from '@weft/net';
import type { Meta } from '@weft/routing';
import type { ProxyRequestHead } from '../http/request-head.ts';
import type { ServerConnectionInfo } from '../http/types.ts';
import type { InboundClient } from '../inbound/client.ts';

/** An endpoint that a request goes to; `Transport` of the outbound side has this shape. */
export interface EndpointFacts {
  /** `labels` are those that discovery gave. */
  readonly address: SocketAddress & { readonly labels: Readonly<Record<string, string>> };
  readonly tlsStatus: { readonly tls: 'true'; readonly serverId: string } | { readonly tls: 'no_identity'; readonly reason: string };
}

/** A request as it was routed. */
export interface RequestFacts {
  readonly direction: 'inbound' | 'outbound';
  /** As received. */
  readonly head: ProxyRequestHead;
  /** The peer that asked. */
  readonly client: SocketAddress;
  /** `ip:port` that the peer wanted. */
  readonly destination: string;
  /** `tls` and what belongs to it; made when a tap asks. */
  sourceLabels(): Record<string, string>;
  /** `srv_*`, `route_*`, `authz_*` of an inbound request; made when a tap asks. */
  policyLabels(): Record<string, string>;
}

/** Facts of a request that the pod's application sent. */
export class OutboundFacts implements RequestFacts {
  readonly direction = 'outbound';
  readonly head: ProxyRequestHead;
  readonly client: SocketAddress;
  readonly destination: string;

  constructor(head: ProxyRequestHead, connection: ServerConnectionInfo, destination: string) {
    this.head = head;
    this.client = { ip: connection.clientIp, port: connection.clientPort };
    this.destination = destination;
  }

  sourceLabels(): Record<string, string> {
    // The application and its proxy share a network: there is nothing to secure.
    return { tls: 'loopback' };
  }

  policyLabels(): Record<string, string> {
    return {};
  }
}

/** Facts of a request to the pod's application. */
export class InboundFacts implements RequestFacts {
  readonly direction = 'inbound';
  readonly head: ProxyRequestHead;
  readonly client: InboundClient;
  readonly destination: string;
  private readonly server: Readonly<Record<string, string>>;
  private readonly route: Meta;
  private readonly authorization: Meta | undefined;

  constructor(
    head: ProxyRequestHead,
    client: InboundClient,
    destination: string,
    server: Readonly<Record<string, string>>,
    route: Meta,
    authorization: Meta | undefined,
  ) {
    this.head = head;
    this.client = client;
    this.destination = destination;
    this.server = server;
    this.route = route;
    this.authorization = authorization;
  }

  sourceLabels(): Record<string, string> {
    const { tls } = this.client;
    switch (tls.kind) {
      case 'tls':
        return tls.identity === undefined ? { tls: 'true' } : { tls: 'true', client_id: tls.identity };
      case 'none':
        return { tls: tls.reason };
      case 'passthrough':
        return { tls: 'passthru', sni: tls.sni };
      default:
        return tls satisfies never;
    }
  }

  policyLabels(): Record<string, string> {
    const { srv_port: _port, ...server } = this.server;
    const authorization = this.authorization === undefined ? {} : metaLabels('authz', this.authorization);
    return { ...server, ...metaLabels('route', this.route), ...authorization };
  }
}

function metaLabels(prefix: string, meta: Meta): Record<string, string> {
  const { group, kind, name } = meta.kind === 'default' ? { group: '', kind: 'default', name: meta.name } : meta.resource;
  return { [`${prefix}_group`]: group, [`${prefix}_kind`]: kind, [`${prefix}_name`]: name };
}

/** `tls` of the way to an endpoint: `true` with the identity, or the reason why not. */
export function endpointTls({ tlsStatus }: EndpointFacts): Record<string, string> {
  return tlsStatus.tls === 'true' ? { tls: 'true', server_id: tlsStatus.serverId } : { tls: tlsStatus.reason };
}

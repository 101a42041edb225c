// SPDX-License-Identifier: Apache-2.0
/*
 * The multicluster gateway (proxy-contract §2.5): direct connections whose transport header names a service are passed on to it, as if they had been
 * dialled in this cluster. The name must lie within the gateway's suffixes and have a profile here; the policy of the port that the gateway listens
 * on says who may come. What arrives from this very workload, or went through it before (`Forwarded`), is going round in a circle.
 */
import { type FieldList, fieldValue } from '@weft/bytes';
import type { ByteStream } from '@weft/net';
import { hasSuffix } from '../discovery/dns-suffix.ts';
import type { ProxyError } from '../http/proxy-error.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import { HTTP_2, type RequestSink, type ServerStream } from '../http/types.ts';
import type { StackLease } from '../outbound/ingress-handler.ts';
import { WaitingStream } from '../tcp/waiting-stream.ts';
import { type InboundClient, clientIdentity } from './client.ts';
import type { RequestDelivery } from './inbound-handler.ts';

export interface GatewayDeps {
  /** Names that are served; empty = none. */
  readonly suffixes: readonly string[];
  /** Identity of this proxy. */
  readonly identity: string;
  acquire(name: string, port: number): StackLease;
}

const DOMAIN_INVALID: ProxyError = { kind: 'gateway-domain-invalid', message: 'gateway domain invalid' };

export class Gateway {
  private readonly deps: GatewayDeps;

  constructor(deps: GatewayDeps) {
    this.deps = deps;
  }

  /** Whether this proxy is a gateway at all. */
  get isEnabled(): boolean {
    return this.deps.suffixes.length > 0;
  }

  /**
   * Looks up where the connection is for. `onOpen` gets the way there, or undefined where the name is none of ours; the way must be closed once. Nothing
   * comes after a close of the stream.
   */
  open(stream: ByteStream, client: InboundClient, name: string, port: number, onOpen: (way: GatewayWay | undefined) => void): void {
    const { suffixes, identity } = this.deps;
    if (!hasSuffix(name, suffixes)) {
      onOpen(undefined);
      return;
    }
    const lease = this.deps.acquire(name.endsWith('.') ? name.slice(0, -1) : name, port);
    const waiting = new WaitingStream(stream, () => lease.release());
    lease.stack.whenReady(
      () => {
        if (waiting.isClosed) return;
        waiting.release();
        onOpen(new GatewayWay(lease, identity, client, `${name}:${port}`));
      },
      () => {
        if (waiting.isClosed) return;
        waiting.release();
        lease.release();
        onOpen(undefined);
      },
    );
  }
}

/** Requests to a name that is none of ours. */
export const NOWHERE: RequestDelivery = {
  deliver: (_head, _server, _end, refuse) => refuse(DOMAIN_INVALID),
};

/** One connection's way to the service that it named. */
export class GatewayWay implements RequestDelivery {
  private readonly lease: StackLease;
  private readonly identity: string;
  private readonly authority: string;
  private readonly forwarded: string;
  private readonly comesFromHere: boolean;

  constructor(lease: StackLease, identity: string, client: InboundClient, authority: string) {
    const clientId = clientIdentity(client);
    this.lease = lease;
    this.identity = identity;
    this.authority = authority;
    this.comesFromHere = clientId === identity;
    this.forwarded = `by=${identity};for=${clientId ?? 'unknown'};host=${authority};proto=https`;
  }

  /** Whether the client is this very workload. */
  get isLoop(): boolean {
    return this.comesFromHere;
  }

  deliver(head: ProxyRequestHead, server: ServerStream, end: boolean, refuse: (error: ProxyError) => RequestSink): RequestSink {
    if (this.comesFromHere || wentThrough(head.fields, this.identity)) return refuse({ kind: 'loop', message: 'gateway loop' });
    const isH2 = head.version === HTTP_2;
    const fields: FieldList = [];
    for (let i = 0; i < head.fields.length; i += 2) {
      const name = head.fields[i] as string;
      // A request of HTTP/1 is for the name that the connection was opened for, whatever its Host says.
      if (isH2 || name !== 'host') fields.push(name, head.fields[i + 1] as string);
    }
    if (!isH2) fields.push('host', this.authority);
    fields.push('forwarded', this.forwarded);
    const forwarded = head.with({ fields, ...(isH2 ? {} : { authority: this.authority, isAuthorityInTarget: true }) });
    return this.lease.stack.router(isH2).route(forwarded, server, end);
  }

  /** Passes bytes on. `onClosed` comes once. */
  forward(stream: ByteStream, onClosed: () => void): void {
    this.lease.stack.forwardTcp(stream, undefined, onClosed);
  }

  close(): void {
    this.lease.release();
  }
}

/** Whether a `Forwarded` element (RFC 7239 §4) says `by=` this identity. */
function wentThrough(fields: Readonly<FieldList>, identity: string): boolean {
  if (fieldValue(fields, 'forwarded') === undefined) return false;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'forwarded') continue;
    for (const pair of (fields[i + 1] as string).split(/[;,]/)) {
      const at = pair.indexOf('=');
      if (pair.slice(0, at).trim().toLowerCase() !== 'by') continue;
      if (
        pair
          .slice(at + 1)
          .trim()
          .replaceAll('"', '')
          .toLowerCase() === identity
      )
        return true;
    }
  }
  return false;
}

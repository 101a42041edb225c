// SPDX-License-Identifier: Apache-2.0
/*
 * Endpoints without sockets: a connect is answered after one turn with one end of a memory stream; the test holds the other end. An
 * endpoint can refuse, hang, or begin to refuse later.
 */
import type { EndpointAddress } from '@weft/routing';
import type { NetError, PendingConnection } from '@weft/net';
import type { ConnectorCallbacks, EndpointTlsStatus, SessionProtocol, Transport } from '../outbound/endpoint-transport.ts';
import { type MemoryStream, type MemoryStreamOptions, createStreamPair } from './memory-stream.ts';
import type { TestLoop } from './test-loop.ts';

export const REFUSED: NetError = { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' };
export const TIMED_OUT: NetError = { code: 'ERR_NET_CONNECT_TIMEOUT', message: 'connect timed out' };

/** A connection that a proxy opened to an endpoint; `stream` is the endpoint's end. */
export interface Accepted {
  readonly address: EndpointAddress;
  readonly session: SessionProtocol;
  readonly stream: MemoryStream;
}

/** The endpoints of a test's world. */
export class FakeNetwork {
  readonly loop: TestLoop;
  /** Every connection in the order of being made. */
  readonly accepted: Accepted[] = [];
  /** Connects tried, also in vain. */
  readonly attempts: string[] = [];
  onAccept: ((accepted: Accepted) => void) | undefined = undefined;
  options: MemoryStreamOptions = {};
  private readonly refusing = new Map<string, NetError | 'hang'>();

  constructor(loop: TestLoop) {
    this.loop = loop;
  }

  /** From now on connects to `ip:port` fail so; undefined = work. */
  refuse(address: string, how: NetError | 'hang' | undefined): void {
    if (how === undefined) this.refusing.delete(address);
    else this.refusing.set(address, how);
  }

  /** Connections to `ip:port`. */
  to(address: string): Accepted[] {
    return this.accepted.filter((entry) => `${entry.address.ip}:${entry.address.port}` === address);
  }

  transport(address: EndpointAddress, isLocal = false): Transport {
    const name = `${address.ip}:${address.port}`;
    const tlsStatus: EndpointTlsStatus =
      isLocal || address.tls === undefined
        ? { tls: 'no_identity', reason: isLocal ? 'loopback' : 'not_provided_by_service_discovery' }
        : { tls: 'true', serverId: address.tls.identity };
    return {
      address,
      isLocal,
      tlsStatus,
      labels: { target_addr: name, target_ip: address.ip, target_port: String(address.port) },
      connect: (session, callbacks) => this.connect(name, address, session, callbacks),
    };
  }

  private connect(name: string, address: EndpointAddress, session: SessionProtocol, callbacks: ConnectorCallbacks): PendingConnection {
    this.attempts.push(name);
    let isCancelled = false;
    this.loop.soon(() => {
      if (isCancelled) return;
      const how = this.refusing.get(name);
      if (how === 'hang') return;
      if (how !== undefined) {
        callbacks.onError(how);
        return;
      }
      const [ours, theirs] = createStreamPair(this.loop, this.options, { ip: '10.9.0.1', port: 50_000 + this.accepted.length }, address);
      const accepted: Accepted = { address, session, stream: theirs };
      this.accepted.push(accepted);
      this.onAccept?.(accepted);
      callbacks.onReady(ours);
    });
    return {
      cancel: () => {
        isCancelled = true;
      },
    };
  }
}

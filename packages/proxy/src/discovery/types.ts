// SPDX-License-Identifier: Apache-2.0
/*
 * The one seam between discovery and the data path: immutable snapshots that are looked up, then watched. Nothing here knows
 * gRPC, so that a worker thread could be fed by message passing.
 */
import type { EndpointAddress, InboundPolicy, OutboundPolicy, Profile } from '@weft/routing';
import type { SocketAddress } from '@weft/net';

/** A value that arrives once looked up and may change afterwards. */
export interface Watched<T> {
  /** Undefined until the first value. */
  readonly current: T | undefined;
  /**
   * Calls back with the current value at once (synchronously) where there is one, and with each later one. `onFail` comes at
   * most once, instead of a first value: the lookup is refused for good. Returns the unsubscribe function.
   */
  watch(onValue: (value: T) => void, onFail?: (message: string) => void): () => void;
}

/** What is known of an outbound original destination (proxy-contract §5.3). */
export interface OutboundTarget {
  /** What was dialled; where a name was asked for, `ip` is the name. */
  readonly origDst: SocketAddress;
  readonly policy: OutboundPolicy;
  readonly profile: Profile | undefined;
  /** `name:port` of the service whose profile routes the requests (`l5d-dst-canonical`, §4.4); undefined where the policy does. */
  readonly canonical: string | undefined;
}

/** Changes of a balancer's endpoints. `isReset` = this list replaces all earlier ones. */
export interface EndpointUpdate {
  readonly isReset: boolean;
  readonly add: readonly EndpointAddress[];
  readonly remove: readonly SocketAddress[];
}

export interface EndpointResolution {
  close(): void;
}

export interface Discovery {
  /** Cached by address; evicted when unwatched for the idle time and the control plane is reachable. */
  outbound(origDst: SocketAddress): Watched<OutboundTarget>;
  /**
   * A target by name, for an ingress (`l5d-dst-override`, §2.4) or a gateway (§2.5), cached like those by address. Refused where nothing is known of it.
   */
  named(name: string, port: number, use: 'ingress' | 'gateway'): Watched<OutboundTarget>;
  /** Cached by port; `InboundPolicy` of the default policy comes at once only where §5.4 and corrections.md allow. */
  inbound(port: number): Watched<InboundPolicy>;
  /** Destination.Get for `name:port`; kept open until closed. The current state comes first, as a reset. */
  resolve(path: string, onUpdate: (update: EndpointUpdate) => void): EndpointResolution;
}

// SPDX-License-Identifier: Apache-2.0
/* Discovery in a test's hands: policies, targets and endpoints are what the test last said. */
import type { EndpointAddress, InboundPolicy } from '@weft/routing';
import type { SocketAddress } from '@weft/net';
import type { Discovery, EndpointResolution, EndpointUpdate, OutboundTarget, Watched } from '../discovery/types.ts';
import { WatchedValue } from '../discovery/watched-value.ts';

export class FakeDiscovery implements Discovery {
  readonly outbounds: Map<string, WatchedValue<OutboundTarget>> = new Map<string, WatchedValue<OutboundTarget>>();
  readonly inbounds: Map<number, WatchedValue<InboundPolicy>> = new Map<number, WatchedValue<InboundPolicy>>();
  /** Watchers of each inbound port. */
  readonly inboundWatchers: Map<number, number> = new Map<number, number>();
  readonly outboundWatchers: Map<string, number> = new Map<string, number>();
  private readonly resolutions = new Map<
    string,
    { endpoints: Map<string, EndpointAddress> | undefined; subscribers: Set<(update: EndpointUpdate) => void> }
  >();

  outbound(origDst: SocketAddress): Watched<OutboundTarget> {
    return this.target(`${origDst.ip}:${origDst.port}`);
  }

  named(name: string, port: number, use: 'ingress' | 'gateway'): Watched<OutboundTarget> {
    return this.target(`${use}|${name}:${port}`);
  }

  inbound(port: number): Watched<InboundPolicy> {
    return this.port(port);
  }

  resolve(path: string, onUpdate: (update: EndpointUpdate) => void): EndpointResolution {
    const resolution = this.resolution(path);
    resolution.subscribers.add(onUpdate);
    if (resolution.endpoints !== undefined) onUpdate({ isReset: true, add: [...resolution.endpoints.values()], remove: [] });
    return { close: () => void resolution.subscribers.delete(onUpdate) };
  }

  target(address: string): WatchedValue<OutboundTarget> {
    let value = this.outbounds.get(address);
    if (value === undefined) {
      value = new WatchedValue<OutboundTarget>(
        () => 0,
        (count) => void this.outboundWatchers.set(address, count),
      );
      this.outbounds.set(address, value);
    }
    return value;
  }

  port(port: number): WatchedValue<InboundPolicy> {
    let value = this.inbounds.get(port);
    if (value === undefined) {
      value = new WatchedValue<InboundPolicy>(
        () => 0,
        (count) => void this.inboundWatchers.set(port, count),
      );
      this.inbounds.set(port, value);
    }
    return value;
  }

  /** How many balancers hear about `path`. */
  subscribers(path: string): number {
    return this.resolutions.get(path)?.subscribers.size ?? 0;
  }

  /** Replaces the endpoints of `path`. */
  setEndpoints(path: string, endpoints: readonly EndpointAddress[]): void {
    this.tell(path, { isReset: true, add: endpoints, remove: [] });
  }

  addEndpoints(path: string, endpoints: readonly EndpointAddress[]): void {
    this.tell(path, { isReset: false, add: endpoints, remove: [] });
  }

  removeEndpoints(path: string, gone: readonly SocketAddress[]): void {
    this.tell(path, { isReset: false, add: [], remove: gone });
  }

  private tell(path: string, update: EndpointUpdate): void {
    const resolution = this.resolution(path);
    const endpoints = update.isReset || resolution.endpoints === undefined ? new Map<string, EndpointAddress>() : resolution.endpoints;
    for (const endpoint of update.add) endpoints.set(`${endpoint.ip}|${endpoint.port}`, endpoint);
    for (const gone of update.remove) endpoints.delete(`${gone.ip}|${gone.port}`);
    resolution.endpoints = endpoints;
    for (const subscriber of [...resolution.subscribers]) subscriber(update);
  }

  private resolution(path: string): {
    endpoints: Map<string, EndpointAddress> | undefined;
    subscribers: Set<(update: EndpointUpdate) => void>;
  } {
    let resolution = this.resolutions.get(path);
    if (resolution === undefined) {
      resolution = { endpoints: undefined, subscribers: new Set() };
      this.resolutions.set(path, resolution);
    }
    return resolution;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Discovery over the control plane's streams (proxy-contract §5.2–5.4): caches of outbound targets by address, inbound policies by
 * port and endpoint resolutions by name. An entry that nobody watches is closed after its idle time, but never while the control plane
 * is away, up to a bound (design §3).
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { parseCidr } from '@weft/authz';
import { GetDestinationSchema, UpdateSchema } from '@weft/proto/destination';
import { PortSpecSchema, ServerSchema } from '@weft/proto/inbound';
import { IPAddressSchema, IPv6Schema, TcpAddressSchema } from '@weft/proto/net';
import type { EndpointAddress, InboundPolicy } from '@weft/routing';
import type { SocketAddress } from '@weft/net';
import type { ProxyConfig } from '../config/types.ts';
import type { ControlStreamLimits } from '../config/types.ts';
import { GRPC_FAILED_PRECONDITION, GRPC_INVALID_ARGUMENT, type GrpcCaller } from '../control/grpc-client.ts';
import { WatchStream } from '../control/watch-stream.ts';
import type { Clock } from '../runtime.ts';
import { builtInPolicy, inboundPolicy } from './translate-inbound.ts';
import { hasSuffix } from './dns-suffix.ts';
import { type OutboundLookupDeps, type OutboundSpec, openOutboundLookup } from './outbound-lookup.ts';
import { endpointUpdate } from './translate-endpoint.ts';
import type { Discovery, EndpointResolution, EndpointUpdate, OutboundTarget, Watched } from './types.ts';
import { WatchedValue } from './watched-value.ts';

/** Entries kept although idle while the control plane is away. */
const MAX_IDLE_ENTRIES = 1000;
/** How long a connection waits for the first policy of a port before the default applies; then it fails closed (corrections §5.4). */
const INBOUND_POLICY_WAIT_MS = 10_000;
/**
 * The same for ports that the environment names, whose policy is asked for at the start: if none comes, the default policy of the environment
 * applies until one does (§5.4, features AZ-14). The wait lets a policy that denies win over a default that does not.
 */
const DECLARED_PORT_POLICY_WAIT_MS = 1000;

export interface GrpcDiscoveryDeps {
  readonly config: ProxyConfig;
  readonly destination: GrpcCaller;
  readonly policy: GrpcCaller;
  readonly clock: Clock;
  readonly log: {
    debug(message: string, fields?: Record<string, unknown>): void;
    info(message: string, fields?: Record<string, unknown>): void;
    warn(message: string, fields?: Record<string, unknown>): void;
  };
}

interface Entry<T> {
  readonly watched: WatchedValue<T>;
  close(): void;
  isIdle: boolean;
  cancelIdle: (() => void) | undefined;
}

export class GrpcDiscovery implements Discovery {
  private readonly deps: GrpcDiscoveryDeps;
  private readonly outbounds = new Map<string, Entry<OutboundTarget>>();
  private readonly inbounds = new Map<number, Entry<InboundPolicy>>();
  private readonly resolutions = new Map<string, SharedResolution>();
  private readonly profileNetworks: readonly ((ip: string) => boolean)[];
  private readonly lookup: OutboundLookupDeps;

  constructor(deps: GrpcDiscoveryDeps) {
    this.deps = deps;
    this.lookup = { ...deps, limits: (channel) => this.limits(channel) };
    this.profileNetworks = deps.config.profileNetworks.map((text) => networkTest(text));
  }

  /** Opens the watches of ports that are known from the start (§5.2). */
  start(): void {
    const { config } = this.deps;
    // A gateway is authorized by the policy of the port that it listens on.
    const own = config.gatewaySuffixes.length > 0 ? [config.inboundListen.port] : [];
    for (const port of new Set([...config.inboundPorts, config.adminListen.port, ...own])) this.inbound(port).watch(() => {});
  }

  outbound(origDst: SocketAddress): Watched<OutboundTarget> {
    return this.outboundEntry(`${origDst.ip}|${origDst.port}`, () => ({
      path: addressText(origDst),
      address: origDst,
      traffic: { case: 'addr', value: tcpAddress(origDst) },
      isProfileEligible: this.isProfileEligible(origDst.ip),
      kind: 'address',
    }));
  }

  named(name: string, port: number, use: 'ingress' | 'gateway'): Watched<OutboundTarget> {
    const path = `${name}:${port}`;
    return this.outboundEntry(`${use}|${path}`, () => ({
      path,
      address: { ip: name, port },
      traffic: { case: 'authority', value: path },
      isProfileEligible: use === 'gateway' || hasSuffix(name, this.deps.config.profileSuffixes),
      kind: use === 'gateway' ? 'gateway' : 'name',
    }));
  }

  inbound(port: number): Watched<InboundPolicy> {
    return this.entry(this.inbounds, port, this.deps.config.inbound.discoveryIdleTimeoutMs, this.deps.policy, (watched) =>
      this.openInbound(port, watched),
    );
  }

  resolve(path: string, onUpdate: (update: EndpointUpdate) => void): EndpointResolution {
    let shared = this.resolutions.get(path);
    if (shared === undefined) {
      shared = new SharedResolution(
        path,
        this.deps,
        () => this.resolutions.size > MAX_IDLE_ENTRIES,
        () => this.resolutions.delete(path),
      );
      this.resolutions.set(path, shared);
    }
    return shared.subscribe(onUpdate);
  }

  close(): void {
    for (const entry of this.outbounds.values()) entry.close();
    for (const entry of this.inbounds.values()) entry.close();
    for (const shared of this.resolutions.values()) shared.close();
  }

  /** A lookup that was refused is made anew for who asks later: refusals can be those of a control plane that had just started. */
  private outboundEntry(key: string, describe: () => OutboundSpec): Watched<OutboundTarget> {
    const idleMs = this.deps.config.outbound.discoveryIdleTimeoutMs;
    const existing = this.outbounds.get(key);
    if (existing?.watched.failedMs !== undefined && this.deps.clock.now() - existing.watched.failedMs >= idleMs) {
      existing.cancelIdle?.();
      existing.close();
      this.outbounds.delete(key);
    }
    return this.entry(this.outbounds, key, idleMs, this.deps.policy, (watched) => openOutboundLookup(describe(), watched, this.lookup));
  }

  private entry<K, T>(
    map: Map<K, Entry<T>>,
    key: K,
    idleMs: number,
    channel: GrpcCaller,
    open: (watched: WatchedValue<T>) => () => void,
  ): Watched<T> {
    const existing = map.get(key);
    if (existing !== undefined) return existing.watched;
    const evict = (): void => {
      entry.cancelIdle = undefined;
      if (!entry.isIdle) return;
      if (!channel.isReachable && map.size <= MAX_IDLE_ENTRIES) {
        entry.cancelIdle = this.deps.clock.after(idleMs, evict);
        return;
      }
      map.delete(key);
      entry.close();
    };
    const watched = new WatchedValue<T>(this.deps.clock.now, (count) => {
      entry.isIdle = count === 0;
      if (map.get(key) !== entry) return;
      entry.cancelIdle?.();
      entry.cancelIdle = count === 0 ? this.deps.clock.after(idleMs, evict) : undefined;
    });
    const entry: Entry<T> = { watched, isIdle: true, cancelIdle: undefined, close: () => {} };
    map.set(key, entry);
    const close = open(watched);
    entry.close = close;
    return watched;
  }

  private openInbound(port: number, watched: WatchedValue<InboundPolicy>): () => void {
    const { config, clock, policy, log } = this.deps;
    // A stand-in while nothing is known: whatever is learnt takes its place.
    let isStandIn = false;
    const useDefault = (): void => {
      if (watched.current === undefined || isStandIn) {
        isStandIn = false;
        watched.set(builtInPolicy(config.inboundDefaultPolicy, config.clusterNetworks, config.inboundOpaquePorts.has(port)));
      }
    };
    // The pod of the identity service: every other proxy, that of the policy service too, needs its certificate from here first, so this
    // one begins with the default policy (§5.4). Waiting would be a circle that nobody leaves.
    if (config.identityService !== undefined && config.identityService.identity === undefined) useDefault();
    // While the control plane does not answer, connections wait a bounded time, then the port is closed to all but what a default allows
    // everybody: fail closed means deny, since the real policy may deny.
    const isDeclared = port === config.adminListen.port || config.inboundPorts.includes(port);
    const cancelWait = clock.after(isDeclared ? DECLARED_PORT_POLICY_WAIT_MS : INBOUND_POLICY_WAIT_MS, () => {
      if (watched.current !== undefined) return;
      if (isDeclared) {
        useDefault();
        return;
      }
      log.warn('no policy for an inbound port yet: connections are denied until the control plane answers', { port });
      isStandIn = true;
      watched.set(builtInPolicy('deny', config.clusterNetworks, config.inboundOpaquePorts.has(port)));
    });
    const stream = new WatchStream({
      channel: policy,
      path: '/io.linkerd.proxy.inbound.InboundServerPolicies/WatchPort',
      request: toBinary(PortSpecSchema, create(PortSpecSchema, { workload: config.policyWorkload, port })),
      limits: this.limits(policy),
      backoff: config.outbound.connectBackoff,
      clock,
      onMessage: (message) => {
        cancelWait();
        try {
          const learnt = inboundPolicy(fromBinary(ServerSchema, message));
          isStandIn = false;
          watched.set(learnt);
        } catch (error) {
          log.warn('invalid inbound policy', { port, error: String(error) });
          if (watched.current === undefined) watched.set(builtInPolicy('deny', config.clusterNetworks, false));
        }
      },
      shouldRetry: (status, message) => {
        if (status !== GRPC_INVALID_ARGUMENT && status !== GRPC_FAILED_PRECONDITION) return true;
        cancelWait();
        log.warn('the control plane has no policy for this port; the default policy applies', { port, error: message });
        useDefault();
        return false;
      },
    });
    return () => {
      cancelWait();
      stream.close();
    };
  }

  private limits(channel: GrpcCaller): ControlStreamLimits {
    return channel.isLoopback ? NO_LIMITS : this.deps.config.controlStreamLimits;
  }

  private isProfileEligible(ip: string): boolean {
    return this.profileNetworks.some((contains) => contains(ip));
  }
}

const NO_LIMITS: ControlStreamLimits = { initialTimeoutMs: undefined, idleTimeoutMs: undefined, lifetimeMs: undefined };

/** One Destination.Get stream shared by all balancers of a name; late subscribers get the current set first. */
class SharedResolution {
  private readonly endpoints = new Map<string, EndpointAddress>();
  private readonly subscribers = new Set<(update: EndpointUpdate) => void>();
  private readonly stream: WatchStream;
  private readonly deps: GrpcDiscoveryDeps;
  private readonly isOverfull: () => boolean;
  private readonly onClosed: () => void;
  private hasState = false;
  private isFresh = true;
  private cancelIdle: (() => void) | undefined = undefined;

  constructor(path: string, deps: GrpcDiscoveryDeps, isOverfull: () => boolean, onClosed: () => void) {
    this.deps = deps;
    this.isOverfull = isOverfull;
    this.onClosed = onClosed;
    this.stream = new WatchStream({
      channel: deps.destination,
      path: '/io.linkerd.proxy.destination.Destination/Get',
      request: toBinary(GetDestinationSchema, create(GetDestinationSchema, { path, contextToken: deps.config.destinationContext })),
      limits: deps.destination.isLoopback ? NO_LIMITS : deps.config.controlStreamLimits,
      backoff: deps.config.outbound.connectBackoff,
      clock: deps.clock,
      onMessage: (message, isFirst) => {
        if (isFirst) this.isFresh = true;
        try {
          const decoded = fromBinary(UpdateSchema, message);
          const update = endpointUpdate(decoded, this.isFresh && decoded.update.case === 'add');
          if (decoded.update.case === 'add') this.isFresh = false;
          if (update !== undefined) this.apply(update);
        } catch (error) {
          deps.log.warn('invalid endpoint update', { path, error: String(error) });
        }
      },
      shouldRetry: (status, text) => {
        if (status !== GRPC_INVALID_ARGUMENT && status !== GRPC_FAILED_PRECONDITION) return true;
        deps.log.info('discovery rejected', { path, error: text });
        // Whoever has these addresses now, the control plane does not vouch for them any more. It is asked again, with back-off.
        this.isFresh = true;
        this.apply({ isReset: true, add: [], remove: [] });
        return true;
      },
    });
  }

  subscribe(onUpdate: (update: EndpointUpdate) => void): EndpointResolution {
    this.cancelIdle?.();
    this.cancelIdle = undefined;
    this.subscribers.add(onUpdate);
    if (this.hasState) onUpdate({ isReset: true, add: [...this.endpoints.values()], remove: [] });
    return {
      close: () => {
        this.subscribers.delete(onUpdate);
        if (this.subscribers.size === 0 && this.cancelIdle === undefined) this.armIdle();
      },
    };
  }

  close(): void {
    this.cancelIdle?.();
    this.stream.close();
  }

  private armIdle(): void {
    this.cancelIdle = this.deps.clock.after(this.deps.config.outbound.discoveryIdleTimeoutMs, () => {
      this.cancelIdle = undefined;
      if (this.deps.destination.isReachable || this.isOverfull()) {
        this.stream.close();
        this.onClosed();
      } else {
        // What it knows cannot be learnt again while the control plane is away (design §3).
        this.armIdle();
      }
    });
  }

  private apply(update: EndpointUpdate): void {
    this.hasState = true;
    if (update.isReset) this.endpoints.clear();
    for (const endpoint of update.add) this.endpoints.set(`${endpoint.ip}|${endpoint.port}`, endpoint);
    for (const gone of update.remove) this.endpoints.delete(`${gone.ip}|${gone.port}`);
    for (const subscriber of [...this.subscribers]) subscriber(update);
  }
}

function networkTest(text: string): (ip: string) => boolean {
  const parsed = parseCidr(text);
  if ('error' in parsed) throw new Error(`network ${text} was accepted by the configuration but does not parse`);
  return (ip) => parsed.cidr.contains(ip);
}

function addressText(address: SocketAddress): string {
  return address.ip.includes(':') ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`;
}

function tcpAddress(address: SocketAddress) {
  return create(TcpAddressSchema, { ip: ipAddress(address.ip), port: address.port });
}

function ipAddress(ip: string) {
  if (!ip.includes(':')) {
    const value = ip.split('.').reduce((total, part) => (total * 256 + Number(part)) >>> 0, 0);
    return create(IPAddressSchema, { ip: { case: 'ipv4', value } });
  }
  const [head = '', tail] = ip.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right].map((group) =>
    BigInt(`0x${group}`),
  );
  const half = (from: number): bigint => groups.slice(from, from + 4).reduce((total, group) => (total << 16n) | group, 0n);
  return create(IPAddressSchema, { ip: { case: 'ipv6', value: create(IPv6Schema, { first: half(0), last: half(4) }) } });
}

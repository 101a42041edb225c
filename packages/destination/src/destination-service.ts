// SPDX-License-Identifier: Apache-2.0
/*
 * The destination API's two methods (control-contract §1.4, §1.8): what a request names, what is refused and with which words, and the stream
 * that follows. Everything after that is the indexes' work.
 */
import { create, type DescMessage } from '@bufbuild/protobuf';
import {
  type EncodedMessage,
  GRPC_CODES,
  GrpcStatusError,
  type MetricFactory,
  type ServerStream,
  type ServiceHandlers,
} from '@weft/grpc-server';
import { destination } from '@weft/proto';
import type { ResourceSource } from '@weft/resources';
import { Logger, peerText } from '@weft/telemetry';

import { parseAuthority, parseServiceName } from './authority.ts';
import { parseContextToken, type ContextToken } from './context-token.ts';
import { EndpointsIndex } from './endpoints/endpoints-index.ts';
import { quoted } from './go-text.ts';
import { parseIp, type IpAddress } from './ip-address.ts';
import { createDestinationMetrics, type DestinationMetrics, type StreamSeries } from './metrics.ts';
import { completeOptions, type DestinationOptions } from './options.ts';
import { parsePortSet } from './port-set.ts';
import { EndpointProfileIndex } from './profile/endpoint-profile-index.ts';
import { ServiceProfileIndex } from './profile/service-profile-index.ts';
import { keyOf } from './records/record.ts';
import type { ServiceRecord } from './records/service-record.ts';
import type { TranslationContext } from './weighted-addr.ts';
import { World } from './world.ts';

/** What the service is made of. */
export interface DestinationServiceInit {
  readonly source: ResourceSource;
  /** Defaults: `DEFAULT_DESTINATION_OPTIONS`. */
  readonly options?: Partial<DestinationOptions>;
  /** Default: silent. */
  readonly log?: Logger;
  /** Default: no metrics. */
  readonly metrics?: MetricFactory;
}

/** Handlers of `io.linkerd.proxy.destination.Destination`. */
export type DestinationHandlers = ServiceHandlers<(typeof destination.Destination)['method']>;

/** The running service. */
export interface DestinationService {
  /** For `GrpcServer.register(destination.Destination, …)`. Calls made before `ready` wait for it. */
  readonly handlers: DestinationHandlers;
  /** Resolves when every cache is filled; rejects when a needed kind is not served, or after `syncTimeoutMs`. */
  readonly ready: Promise<void>;
  /** Whether `ready` has resolved. */
  readonly isReady: boolean;
  /** Stops watching. Streams are the server's to end. */
  close(): void;
}

type UpdateStream = ServerStream<typeof destination.UpdateSchema>;
type ProfileStream = ServerStream<typeof destination.DestinationProfileSchema>;

/** Starts watching `source` and answers from it. Throws RangeError on options that cannot work. */
export function createDestinationService(init: DestinationServiceInit): DestinationService {
  return new Discovery(init);
}

class Discovery implements DestinationService {
  readonly handlers: DestinationHandlers;
  readonly ready: Promise<void>;
  isReady = false;
  private readonly context: TranslationContext;
  private readonly log: Logger;
  private readonly metrics: DestinationMetrics;
  private readonly world: World;
  private readonly endpoints: EndpointsIndex;
  private readonly serviceProfiles: ServiceProfileIndex;
  private readonly endpointProfiles: EndpointProfileIndex;
  private syncTimer: NodeJS.Timeout | undefined = undefined;

  constructor({ source, options: partial = {}, log = Logger.silent(), metrics }: DestinationServiceInit) {
    const options = completeOptions(partial);
    const { ports: defaultOpaquePorts, invalid } = parsePortSet(options.defaultOpaquePorts);
    for (const item of invalid) log.warn('default opaque port is skipped', { item });
    this.context = { options, defaultOpaquePorts };
    this.log = log;
    this.world = new World(source, options.usesEndpointSlices, (error, plural, key) => {
      const text = error instanceof Error ? error.message : String(error);
      if (key === '') log.warn('resources cannot be read yet', { plural, error: text });
      else log.error('object is not used', { plural, key, error: text });
    });
    this.metrics = createDestinationMetrics(metrics, this.world);
    this.endpoints = new EndpointsIndex(this.world, this.context, log, this.metrics);
    this.serviceProfiles = new ServiceProfileIndex(this.world, this.context, log, this.metrics);
    this.endpointProfiles = new EndpointProfileIndex(this.world, this.context, log, this.metrics);
    this.ready = this.sync(options.syncTimeoutMs);
    // Whoever awaits `ready` sees a rejection; without an awaiter it must not end the process.
    this.ready.catch(() => undefined);
    this.handlers = {
      get: (request, stream) => this.get(request, stream),
      getProfile: (request, stream) => this.getProfile(request, stream),
    };
  }

  close(): void {
    clearTimeout(this.syncTimer);
    this.world.close();
  }

  private async sync(timeoutMs: number): Promise<void> {
    const expired = new Promise<never>((_, reject) => {
      this.syncTimer = setTimeout(() => reject(new Error(`caches have not synced within ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      await Promise.race([this.world.synced(), expired]);
    } finally {
      clearTimeout(this.syncTimer);
    }
    this.isReady = true;
  }

  private async untilReady(): Promise<void> {
    if (this.isReady) return;
    try {
      await this.ready;
    } catch (error) {
      throw new GrpcStatusError(GRPC_CODES.UNAVAILABLE, 'caches have not synced', { cause: error });
    }
  }

  private async get(request: destination.GetDestination, stream: UpdateStream): Promise<void> {
    await this.untilReady();
    const token = this.token(request);
    const { path } = request;
    const refusal = new GrpcStatusError(GRPC_CODES.INVALID_ARGUMENT, `Invalid authority: ${path}`);
    const authority = parseAuthority(path);
    if ('reason' in authority) throw refusal;
    const { host, port } = authority;
    if (parseIp(host) !== undefined) {
      throw new GrpcStatusError(GRPC_CODES.INVALID_ARGUMENT, `IP queries not supported by Get API: host=${host}`);
    }
    const name = parseServiceName(host, this.context.options.clusterDomain);
    if ('reason' in name) throw refusal;
    const service = this.world.services.get(keyOf(name.namespace, name.service));
    if (service === undefined) {
      throw new GrpcStatusError(GRPC_CODES.NOT_FOUND, `Service ${name.service}.${name.namespace} not found`);
    }
    refuseRemoteDiscovery(service);
    if (service.isExternalName) throw refusal;
    this.streamEndpoints(service, port, name.instance ?? '', token, stream);
  }

  private streamEndpoints(service: ServiceRecord, port: number, hostname: string, token: ContextToken, stream: UpdateStream): void {
    const place = { nodeName: token.nodeName, zone: this.world.zoneOf(token.nodeName), isFiltering: true };
    const { name, namespace } = service;
    const authority = `${name}.${namespace}.svc.${this.context.options.clusterDomain}:${port}`;
    follow(stream, this.metrics.endpointsStream(authority), (subscriber) =>
      this.endpoints.subscribe(service, port, hostname, place, subscriber),
    );
  }

  private async getProfile(request: destination.GetDestination, stream: ProfileStream): Promise<void> {
    await this.untilReady();
    const token = this.token(request);
    const { path } = request;
    const authority = parseAuthority(path);
    if ('reason' in authority) throw invalidArgument(`invalid authority: ${quoted(path)}: ${quoted(authority.reason)}`);
    const { host, port } = authority;
    const ip = parseIp(host);
    if (ip !== undefined) {
      this.streamProfileOfIp(ip, port, path, token, stream);
      return;
    }
    const name = parseServiceName(host, this.context.options.clusterDomain);
    if ('reason' in name) throw invalidArgument(`invalid service ${quoted(host)}: ${quoted(name.reason)}`);
    if (name.instance === undefined) {
      const service = this.world.services.get(keyOf(name.namespace, name.service));
      // The reference answers with a plain error here, hence UNKNOWN and not NOT_FOUND.
      if (service === undefined) throw new GrpcStatusError(GRPC_CODES.UNKNOWN, `service ${quoted(name.service)} not found`);
      this.streamServiceProfile(service, port, host, path, token, stream);
      return;
    }
    const podIp = this.podIpOfHostname(keyOf(name.namespace, name.service), name.instance);
    if (podIp === undefined) {
      const objects = this.context.options.usesEndpointSlices ? 'EndpointSlices' : 'Endpoints';
      const service = `${name.namespace}/${name.service}`;
      throw new GrpcStatusError(GRPC_CODES.NOT_FOUND, `no pod found in ${objects} of Service ${service} for hostname ${name.instance}`);
    }
    this.streamEndpointProfile(podIp, port, stream);
  }

  private streamProfileOfIp(ip: IpAddress, port: number, path: string, token: ContextToken, stream: ProfileStream): void {
    const services = this.world.servicesWithIp(ip.key);
    const [service, ...others] = services;
    if (service === undefined) {
      this.streamEndpointProfile(ip, port, stream);
      return;
    }
    if (others.length > 0) {
      const names = services.map(({ key }) => key).sort();
      throw new GrpcStatusError(GRPC_CODES.FAILED_PRECONDITION, `Service IP address conflict: ${names.join(', ')}`);
    }
    const fullyQualifiedName = `${service.name}.${service.namespace}.svc.${this.context.options.clusterDomain}`;
    this.streamServiceProfile(service, port, fullyQualifiedName, path, token, stream);
  }

  private streamServiceProfile(
    service: ServiceRecord,
    port: number,
    fullyQualifiedName: string,
    path: string,
    token: ContextToken,
    stream: ProfileStream,
  ): void {
    if (service.isExternalName) throw invalidArgument(`Invalid authority: ${path}`);
    if (!service.ports.some((candidate) => candidate.port === port)) {
      // Nothing is known of such a port: the proxy relies on its client policy.
      stream.send(create(destination.DestinationProfileSchema));
      return;
    }
    const unsubscribed = this.metrics.serviceSubscribed(service.namespace, service.name);
    stream.onCancel(unsubscribed);
    follow(stream, this.metrics.profileStream(fullyQualifiedName, port), (subscriber) =>
      this.serviceProfiles.subscribe(service, port, fullyQualifiedName, token.namespace, subscriber),
    );
  }

  private streamEndpointProfile(ip: IpAddress, port: number, stream: ProfileStream): void {
    const conflicts = this.endpointProfiles.conflicts(ip, port);
    if (conflicts.length > 0) {
      throw new GrpcStatusError(GRPC_CODES.FAILED_PRECONDITION, `Workload IP address conflict: ${conflicts.join(', ')}`);
    }
    follow(stream, this.metrics.endpointProfileStream(), (subscriber) => this.endpointProfiles.subscribe(ip, port, subscriber));
  }

  private podIpOfHostname(serviceKey: string, hostname: string): IpAddress | undefined {
    for (const slice of this.world.slicesOf(serviceKey)) {
      for (const { hostname: candidate, target, addresses } of slice.endpoints) {
        if (candidate !== hostname || target?.kind !== 'pod' || this.world.pods.get(target.key) === undefined) continue;
        return addresses.at(-1);
      }
    }
    return undefined;
  }

  private token(request: destination.GetDestination): ContextToken {
    const token = parseContextToken(request.contextToken);
    if (token !== undefined) return token;
    if (this.log.isEnabled('debug')) this.log.debug('context token is not understood', { token: peerText(request.contextToken) });
    return { namespace: '', nodeName: '' };
  }
}

/** Lets a stream follow a publisher until one of them ends it. */
function follow<Desc extends DescMessage>(
  stream: ServerStream<Desc>,
  series: StreamSeries,
  subscribe: (subscriber: { publish(message: EncodedMessage<Desc>): void }) => () => void,
): void {
  let isOver = false;
  const unsubscribe = subscribe({
    publish(message) {
      if (isOver || stream.send(message)) return;
      isOver = true;
      if (stream.isOverflowed) series.overflowed();
    },
  });
  stream.onCancel(() => {
    isOver = true;
    unsubscribe();
  });
}

function invalidArgument(details: string): GrpcStatusError {
  return new GrpcStatusError(GRPC_CODES.INVALID_ARGUMENT, details);
}

/**
 * A service whose endpoints live in another cluster (control-contract §1.4 item 3, §1.10). No cluster is linked yet, so every cluster is unknown,
 * which is also what the reference answers for a cluster without credentials.
 */
function refuseRemoteDiscovery(service: ServiceRecord): void {
  if (service.isFederated || service.remoteCluster === undefined) return;
  if (service.remoteService === undefined) {
    throw new GrpcStatusError(
      GRPC_CODES.FAILED_PRECONDITION,
      `Remote discovery service missing remote service name ${service.name}.${service.namespace}`,
    );
  }
  throw new GrpcStatusError(GRPC_CODES.NOT_FOUND, `Remote cluster not found: ${service.remoteCluster}`);
}

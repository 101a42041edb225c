// SPDX-License-Identifier: Apache-2.0
/*
 * A control plane in one process for tests and benches of the proxy alone: certificates, policies and endpoints from a plain description, over
 * the real gRPC services on loopback (proxy-contract §5.2). It knows no Kubernetes; what it sends is valid, nothing more.
 */
import { create, type DescMessage, fromJson, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import { DurationSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { createPrivateKey } from 'node:crypto';
import { GRPC_CODES, GrpcServer, GrpcStatusError, type ServerStream, type ServiceHandlers } from '@weft/grpc-server';
import { createCertificate, parseCsr, splitPem } from '@weft/pki';
import { destination, identity, inbound, net, outbound } from '@weft/proto';

/** One endpoint of a target. */
export interface StubEndpoint {
  readonly ip: string;
  readonly port: number;
  /** Meshed: its identity; absent = plaintext. */
  readonly identity?: string;
  /** Inbound port of its proxy for the transport header; absent = straight to the port. */
  readonly inboundPort?: number;
  readonly hint?: 'h2' | 'opaque';
  /** `name:port` under which another cluster's gateway knows the service. */
  readonly authority?: string;
  /** Metric labels. Default: the address as `pod`. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** A Service as the proxy sees it. */
export interface StubTarget {
  /** What the application dials. */
  readonly ip: string;
  readonly port: number;
  readonly service: string;
  readonly namespace: string;
  readonly protocol: 'detect' | 'http1' | 'http2' | 'grpc' | 'opaque';
  readonly endpoints: readonly StubEndpoint[];
}

export interface ControlStubConfig {
  /** `127.0.0.1:8086`. */
  readonly address: string;
  readonly issuerCertificatePem: string;
  readonly issuerKeyPem: string;
  readonly targets: readonly StubTarget[];
  /** Inbound ports that are opaque. */
  readonly opaquePorts?: readonly number[];
  /** Whole answers; they win over what the rest of the description makes. */
  readonly given?: GivenAnswers;
}

/** Answers of the control plane in the JSON form of their protobuf messages. */
export interface GivenAnswers {
  /** `io.linkerd.proxy.inbound.Server` by port. */
  readonly inbound?: Readonly<Record<string, JsonValue>>;
  /** `io.linkerd.proxy.outbound.OutboundPolicy` by `ip:port`. */
  readonly outbound?: Readonly<Record<string, JsonValue>>;
  /** `io.linkerd.proxy.destination.DestinationProfile` by path. */
  readonly profiles?: Readonly<Record<string, JsonValue>>;
}

type GetStream = ServerStream<typeof destination.UpdateSchema>;

const TEN_SECONDS = create(DurationSchema, { seconds: 10n });
const DAY_MS = 86_400_000;

export class ControlStub {
  private config: ControlStubConfig;
  private readonly server = new GrpcServer();
  private readonly resolutions = new Map<string, Set<GetStream>>();

  constructor(config: ControlStubConfig) {
    this.config = config;
    const identities: ServiceHandlers<(typeof identity.Identity)['method']> = {
      certify: async (request) => this.certify(request),
    };
    const destinations: ServiceHandlers<(typeof destination.Destination)['method']> = {
      get: (request, stream) => this.get(request.path, stream),
      getProfile: (request, stream) => this.getProfile(request.path, stream),
    };
    const outbounds: ServiceHandlers<(typeof outbound.OutboundPolicies)['method']> = {
      get: async () => {
        throw new GrpcStatusError(GRPC_CODES.UNIMPLEMENTED, 'not served');
      },
      watch: (request, stream) => this.watchOutbound(request, stream),
    };
    const inbounds: ServiceHandlers<(typeof inbound.InboundServerPolicies)['method']> = {
      getPort: async (request) => this.inboundServer(request.port),
      watchPort: (request, stream) => void stream.send(this.inboundServer(request.port)),
    };
    this.server.register(identity.Identity, identities);
    this.server.register(destination.Destination, destinations);
    this.server.register(outbound.OutboundPolicies, outbounds);
    this.server.register(inbound.InboundServerPolicies, inbounds);
  }

  async start(): Promise<number> {
    return this.server.listen(this.config.address);
  }

  async stop(): Promise<void> {
    await this.server.shutdown(100);
  }

  /** Replaces the endpoints of `name:port` and tells open streams. */
  setEndpoints(path: string, endpoints: readonly StubEndpoint[]): void {
    this.config = {
      ...this.config,
      targets: this.config.targets.map((target) => (pathOf(target) === path ? { ...target, endpoints } : target)),
    };
    // A new stream starts with a full set, so ending the old ones is the simplest exact update.
    for (const stream of this.resolutions.get(path) ?? []) stream.end();
  }

  /** Adds endpoints of `name:port`, or replaces those at the same addresses, with one message on the open streams. */
  addEndpoints(path: string, endpoints: readonly StubEndpoint[]): void {
    const added = new Set(endpoints.map(({ ip, port }) => `${ip}|${port}`));
    const target = this.change(path, (known) => [...known.filter(({ ip, port }) => !added.has(`${ip}|${port}`)), ...endpoints]);
    if (target !== undefined) this.tell(path, { case: 'add', value: addressSet(target, endpoints) });
  }

  /** Takes endpoints back, with one message on the open streams. */
  removeEndpoints(path: string, addresses: readonly Pick<StubEndpoint, 'ip' | 'port'>[]): void {
    const gone = new Set(addresses.map(({ ip, port }) => `${ip}|${port}`));
    this.change(path, (known) => known.filter(({ ip, port }) => !gone.has(`${ip}|${port}`)));
    this.tell(path, {
      case: 'remove',
      value: create(destination.AddrSetSchema, { addrs: addresses.map(({ ip, port }) => tcpAddress(ip, port)) }),
    });
  }

  /** Ends all streams of endpoints, as a control plane does that goes; the next ones begin with the full set. */
  endResolutions(): void {
    for (const streams of this.resolutions.values()) for (const stream of [...streams]) stream.end();
  }

  private change(path: string, to: (known: readonly StubEndpoint[]) => readonly StubEndpoint[]): StubTarget | undefined {
    const { targets } = this.config;
    this.config = {
      ...this.config,
      targets: targets.map((target) => (pathOf(target) === path ? { ...target, endpoints: to(target.endpoints) } : target)),
    };
    return this.config.targets.find((target) => pathOf(target) === path);
  }

  private tell(path: string, update: destination.Update['update']): void {
    for (const stream of this.resolutions.get(path) ?? []) stream.send(create(destination.UpdateSchema, { update }));
  }

  private certify(request: identity.CertifyRequest): identity.CertifyResponse {
    const { issuerCertificatePem, issuerKeyPem } = this.config;
    const csr = parseCsr(request.certificateSigningRequest);
    if ('error' in csr) throw new GrpcStatusError(GRPC_CODES.INVALID_ARGUMENT, csr.error);
    const issuer = splitPem(issuerCertificatePem)[0]?.der as Buffer;
    const nowMs = Date.now();
    const leaf = createCertificate(
      {
        subject: request.identity,
        publicKey: csr.request.publicKey,
        notBeforeMs: nowMs - 60_000,
        notAfterMs: nowMs + DAY_MS,
        keyUsage: ['digitalSignature', 'keyEncipherment'],
        extendedKeyUsage: ['serverAuth', 'clientAuth'],
        dnsNames: [request.identity],
      },
      { certificateDer: issuer, privateKey: createPrivateKey(issuerKeyPem) },
    );
    return create(identity.CertifyResponseSchema, {
      leafCertificate: leaf,
      intermediateCertificates: [issuer],
      validUntil: create(TimestampSchema, { seconds: BigInt(Math.floor((nowMs + DAY_MS) / 1000)) }),
    });
  }

  private get(path: string, stream: GetStream): void {
    const target = this.config.targets.find((entry) => pathOf(entry) === path);
    if (target === undefined) throw new GrpcStatusError(GRPC_CODES.NOT_FOUND, path);
    const open = this.resolutions.get(path) ?? new Set();
    this.resolutions.set(path, open);
    open.add(stream);
    stream.onCancel(() => open.delete(stream));
    stream.send(
      create(destination.UpdateSchema, {
        update: { case: 'add', value: addressSet(target, target.endpoints) },
      }),
    );
  }

  private getProfile(path: string, stream: ServerStream<typeof destination.DestinationProfileSchema>): void {
    const given = answer(destination.DestinationProfileSchema, this.config.given?.profiles?.[path]);
    if (given !== undefined) {
      stream.send(given);
      return;
    }
    const target = this.config.targets.find((entry) => hostPort(entry.ip, entry.port) === path || pathOf(entry) === path);
    stream.send(
      create(destination.DestinationProfileSchema, {
        fullyQualifiedName: target === undefined ? '' : `${target.service}.${target.namespace}.svc.cluster.local`,
        opaqueProtocol: target?.protocol === 'opaque',
      }),
    );
  }

  private watchOutbound(request: outbound.TrafficSpec, stream: ServerStream<typeof outbound.OutboundPolicySchema>): void {
    const { target: wanted } = request;
    if (wanted.case === 'addr') {
      const given = answer(outbound.OutboundPolicySchema, this.config.given?.outbound?.[addressText(wanted.value)]);
      if (given !== undefined) {
        stream.send(given);
        return;
      }
    }
    const target =
      wanted.case === 'addr'
        ? this.config.targets.find((entry) => hostPort(entry.ip, entry.port) === addressText(wanted.value))
        : this.config.targets.find((entry) => pathOf(entry) === wanted.value);
    if (target === undefined) throw new GrpcStatusError(GRPC_CODES.NOT_FOUND, 'no such service');
    stream.send(outboundPolicy(target));
  }

  private inboundServer(port: number): inbound.Server {
    const given = answer(inbound.ServerSchema, this.config.given?.inbound?.[String(port)]);
    if (given !== undefined) return given;
    const isOpaque = this.config.opaquePorts?.includes(port) === true;
    return create(inbound.ServerSchema, {
      labels: { group: '', kind: 'default', name: 'all-unauthenticated' },
      protocol: {
        kind: isOpaque
          ? { case: 'opaque', value: {} }
          : {
              case: 'detect',
              value: {
                timeout: TEN_SECONDS,
                httpRoutes: [
                  {
                    metadata: { kind: { case: 'default', value: 'default' } },
                    rules: [{ matches: [{ path: { kind: { case: 'prefix', value: '/' } } }] }],
                  },
                ],
              },
            },
      },
      authorizations: [
        {
          networks: [
            { net: { ip: { ip: { case: 'ipv4', value: 0 } }, prefixLen: 0 } },
            { net: { ip: { ip: { case: 'ipv6', value: { first: 0n, last: 0n } } }, prefixLen: 0 } },
          ],
          authentication: { permit: { case: 'unauthenticated', value: {} } },
          metadata: { kind: { case: 'default', value: 'all-unauthenticated' } },
          labels: { group: '', kind: 'default', name: 'all-unauthenticated' },
        },
      ],
    });
  }
}

function answer<D extends DescMessage>(schema: D, json: JsonValue | undefined): MessageShape<D> | undefined {
  return json === undefined ? undefined : fromJson(schema, json);
}

function addressText(address: net.TcpAddress): string {
  const ip = address.ip?.ip;
  if (ip?.case !== 'ipv6') {
    const value = ip?.value ?? 0;
    return hostPort([24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.'), address.port);
  }
  const hex = ip.value.first.toString(16).padStart(16, '0') + ip.value.last.toString(16).padStart(16, '0');
  return hostPort(canonicalIpv6((hex.match(/.{4}/g) ?? []).join(':')), address.port);
}

/** IPv6 text in its one short form, so that texts can be compared. */
function canonicalIpv6(text: string): string {
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

function hostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${canonicalIpv6(ip)}]:${port}` : `${ip}:${port}`;
}

function addressSet(target: StubTarget, endpoints: readonly StubEndpoint[]): destination.WeightedAddrSet {
  return create(destination.WeightedAddrSetSchema, {
    addrs: endpoints.map(weightedAddr),
    metricLabels: { service: target.service, namespace: target.namespace },
  });
}

function tcpAddress(ip: string, port: number): net.TcpAddress {
  if (!ip.includes(':')) return create(net.TcpAddressSchema, { ip: { ip: { case: 'ipv4', value: ipv4(ip) } }, port });
  const [head = '', tail] = canonicalIpv6(ip).split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const left = groups(head);
  const right = groups(tail ?? '');
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right].map((group) =>
    group.padStart(4, '0'),
  );
  const half = (from: number): bigint => BigInt(`0x${all.slice(from, from + 4).join('')}`);
  return create(net.TcpAddressSchema, { ip: { ip: { case: 'ipv6', value: { first: half(0), last: half(4) } } }, port });
}

function pathOf(target: StubTarget): string {
  return `${target.service}.${target.namespace}.svc.cluster.local:${target.port}`;
}

function outboundPolicy(target: StubTarget): outbound.OutboundPolicy {
  const metadata = {
    kind: {
      case: 'resource' as const,
      value: { group: 'core', kind: 'Service', name: target.service, namespace: target.namespace, port: target.port },
    },
  };
  const backend = {
    metadata,
    queue: { capacity: 100, failfastTimeout: create(DurationSchema, { seconds: 3n }) },
    kind: {
      case: 'balancer' as const,
      value: {
        discovery: { kind: { case: 'dst' as const, value: { path: pathOf(target) } } },
        load: { case: 'peakEwma' as const, value: { defaultRtt: create(DurationSchema, { nanos: 30_000_000 }), decay: TEN_SECONDS } },
      },
    },
  };
  const backends = { kind: { case: 'firstAvailable' as const, value: { backends: [{ backend }] } } };
  const http = {
    routes: [
      {
        metadata: { kind: { case: 'default' as const, value: 'http' } },
        rules: [{ matches: [{ path: { kind: { case: 'prefix' as const, value: '/' } } }], backends }],
      },
    ],
  };
  const grpc = {
    routes: [{ metadata: { kind: { case: 'default' as const, value: 'grpc' } }, rules: [{ matches: [{ rpc: {} }], backends }] }],
  };
  const opaque = { routes: [{ metadata: { kind: { case: 'default' as const, value: 'opaq' } }, rules: [{ backends }] }] };
  const kind = ((): NonNullable<outbound.OutboundPolicy['protocol']>['kind'] => {
    switch (target.protocol) {
      case 'detect':
        return {
          case: 'detect',
          value: create(outbound.ProxyProtocol_DetectSchema, { timeout: TEN_SECONDS, opaque, http1: http, http2: http }),
        };
      case 'http1':
        return { case: 'http1', value: create(outbound.ProxyProtocol_Http1Schema, http) };
      case 'http2':
        return { case: 'http2', value: create(outbound.ProxyProtocol_Http2Schema, http) };
      case 'grpc':
        return { case: 'grpc', value: create(outbound.ProxyProtocol_GrpcSchema, grpc) };
      case 'opaque':
        return { case: 'opaque', value: create(outbound.ProxyProtocol_OpaqueSchema, opaque) };
      default:
        return target.protocol satisfies never;
    }
  })();
  return create(outbound.OutboundPolicySchema, { metadata, protocol: create(outbound.ProxyProtocolSchema, { kind }) });
}

function weightedAddr(endpoint: StubEndpoint): destination.WeightedAddr {
  return create(destination.WeightedAddrSchema, {
    addr: tcpAddress(endpoint.ip, endpoint.port),
    weight: 10_000,
    metricLabels: { ...(endpoint.labels ?? { pod: endpoint.ip }) },
    ...(endpoint.authority === undefined ? {} : { authorityOverride: { authorityOverride: endpoint.authority } }),
    ...(endpoint.identity === undefined
      ? {}
      : {
          tlsIdentity: {
            strategy: { case: 'dnsLikeIdentity' as const, value: { name: endpoint.identity } },
            serverName: { name: endpoint.identity },
          },
          protocolHint: {
            protocol: endpoint.hint === 'opaque' ? { case: 'opaque' as const, value: {} } : { case: 'h2' as const, value: {} },
            ...(endpoint.inboundPort === undefined ? {} : { opaqueTransport: { inboundPort: endpoint.inboundPort } }),
          },
          http2: { keepAlive: { interval: TEN_SECONDS, timeout: create(DurationSchema, { seconds: 3n }), whileIdle: true } },
        }),
  });
}

function ipv4(ip: string): number {
  return ip.split('.').reduce((total, part) => (total * 256 + Number(part)) >>> 0, 0);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What the destination service can be told, one field per flag of control-contract §1.1 that concerns discovery. Addresses, log and metric
 * ports, leases and remote clusters belong to the process that hosts it.
 */
import { create } from '@bufbuild/protobuf';
import { type Duration, durationFromMs, DurationSchema } from '@bufbuild/protobuf/wkt';
import { destination } from '@weft/proto';

/** Options of the destination service. */
export interface DestinationOptions {
  /** `-controller-namespace`: proxies of other control planes get no identity from us. */
  readonly controllerNamespace: string;
  /** `-identity-trust-domain`; '' falls back to cluster.local. */
  readonly trustDomain: string;
  /** `-cluster-domain`; '' falls back to cluster.local. */
  readonly clusterDomain: string;
  /** `-outbound-transport-mode`: whether proxies address each other through the inbound port for every protocol, or only for opaque ones. */
  readonly transportMode: 'transport-header' | 'transparent';
  /** `-enable-h2-upgrade`: whether meshed endpoints are hinted to take HTTP/2. */
  readonly isH2UpgradeEnabled: boolean;
  /** `-enable-endpoint-slices`: read EndpointSlices; otherwise the legacy Endpoints. */
  readonly usesEndpointSlices: boolean;
  /** `-enable-ipv6`. Needs EndpointSlices. */
  readonly isIpv6Enabled: boolean;
  /** `-default-opaque-ports`: a comma list of ports and ranges; invalid items are skipped with a warning. */
  readonly defaultOpaquePorts: string;
  /** `-meshed-http2-client-params`: sent with every meshed endpoint. */
  readonly http2ClientParams: destination.Http2ClientParams;
  /** `-ext-endpoint-zone-weights`: experimental, same-zone endpoints weigh ten times as much. */
  readonly hasZoneWeights: boolean;
  /** Time for every watch to deliver its initial list, in milliseconds. */
  readonly syncTimeoutMs: number;
}

const DEFAULT_DOMAIN = 'cluster.local';

/** Defaults, those of the reference's chart except that IPv6 is off there and here. */
export const DEFAULT_DESTINATION_OPTIONS: DestinationOptions = {
  controllerNamespace: 'linkerd',
  trustDomain: DEFAULT_DOMAIN,
  clusterDomain: DEFAULT_DOMAIN,
  transportMode: 'transport-header',
  isH2UpgradeEnabled: true,
  usesEndpointSlices: true,
  isIpv6Enabled: false,
  defaultOpaquePorts: '25,587,3306,4444,5432,6379,9300,11211',
  http2ClientParams: create(destination.Http2ClientParamsSchema, {
    keepAlive: { interval: durationFromMs(10_000), timeout: durationFromMs(3_000), whileIdle: true },
  }),
  hasZoneWeights: false,
  syncTimeoutMs: 60_000,
};

/** Completes options with the defaults. Throws RangeError on a combination that cannot work. */
export function completeOptions(options: Partial<DestinationOptions>): DestinationOptions {
  const complete = { ...DEFAULT_DESTINATION_OPTIONS, ...options };
  if (complete.isIpv6Enabled && !complete.usesEndpointSlices) throw new RangeError('IPv6 needs EndpointSlices');
  return {
    ...complete,
    trustDomain: complete.trustDomain === '' ? DEFAULT_DOMAIN : complete.trustDomain,
    clusterDomain: complete.clusterDomain === '' ? DEFAULT_DOMAIN : complete.clusterDomain,
  };
}

/** The value of `-outbound-transport-mode`; unknown texts mean transparent. */
export function parseTransportMode(text: string): DestinationOptions['transportMode'] {
  return text === 'transport-header' ? 'transport-header' : 'transparent';
}

/**
 * The JSON of `-meshed-http2-client-params`, as the chart renders it: field names of the .proto file, durations as `{seconds, nanos}`.
 * Throws SyntaxError or TypeError where it is not that.
 */
export function parseHttp2ClientParams(json: string): destination.Http2ClientParams {
  const root = object(JSON.parse(json), '');
  const flow = optionalObject(root, 'flow_control');
  const alive = optionalObject(root, 'keep_alive');
  const internals = optionalObject(root, 'internals');
  return create(destination.Http2ClientParamsSchema, {
    ...(flow === undefined
      ? {}
      : {
          flowControl: {
            initialConnectionWindowSize: count(flow, 'initial_connection_window_size'),
            initialStreamWindowSize: count(flow, 'initial_stream_window_size'),
            adaptiveFlowControl: flag(flow, 'adaptive_flow_control'),
          },
        }),
    ...(alive === undefined
      ? {}
      : { keepAlive: { ...duration(alive, 'interval'), ...duration(alive, 'timeout'), whileIdle: flag(alive, 'while_idle') } }),
    ...(internals === undefined
      ? {}
      : {
          internals: {
            maxConcurrentResetStreams: count(internals, 'max_concurrent_reset_streams'),
            maxFrameSize: count(internals, 'max_frame_size'),
            maxSendBufSize: count(internals, 'max_send_buf_size'),
          },
        }),
  });
}

type Fields = Readonly<Record<string, unknown>>;

function object(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${name || 'parameters'} must be an object`);
  return { ...value };
}

function optionalObject(fields: Fields, name: string): Fields | undefined {
  return fields[name] === undefined || fields[name] === null ? undefined : object(fields[name], name);
}

function count(fields: Fields, name: string): number {
  const value = fields[name] ?? 0;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw new TypeError(`${name} must be a count`);
  return value;
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false`);
  return value;
}

function duration<Name extends 'interval' | 'timeout'>(fields: Fields, name: Name): { readonly [Key in Name]?: Duration } {
  const value = optionalObject(fields, name);
  if (value === undefined) return {};
  const message = create(DurationSchema, { seconds: BigInt(count(value, 'seconds')), nanos: count(value, 'nanos') });
  return { [name]: message } as { [Key in Name]: Duration };
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What outbound policy reads of a Service (control-contract §3.3): ports with their protocols, cluster IPs, and the annotations that tune
 * traffic to it. A bad annotation switches its own feature off and nothing else.
 */
import type { Service } from '@weft/resources';
import { type IpAddress, parseIp } from '../parse/ip-network.ts';
import { type Parsed, valid } from '../parse/parsed.ts';
import { PortSet, parsePortSet } from '../parse/port-set.ts';
import { type FailureAccrualInit, parseFailureAccrual } from './failure-accrual.ts';
import { type LoadInit, PLAIN_LOAD, parseLoad } from './load-biaser.ts';
import {
  type Annotations,
  type GrpcCondition,
  type RetryPolicy,
  type StatusRange,
  parseGrpcRetry,
  parseHttpRetry,
} from './retry-annotations.ts';
import { NO_TIMEOUTS, type Timeouts, parseTimeouts } from './timeout-annotations.ts';

/** What the annotations of a parent say of the traffic to it. */
export interface TrafficSettings {
  /** Undefined: the cluster's default list. */
  readonly opaquePorts: PortSet | undefined;
  readonly httpRetry: RetryPolicy<StatusRange> | undefined;
  readonly grpcRetry: RetryPolicy<GrpcCondition> | undefined;
  readonly timeouts: Timeouts;
  readonly failureAccrual: FailureAccrualInit | undefined;
  readonly load: LoadInit;
}

export interface ServiceInfo {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIps: readonly IpAddress[];
  /** appProtocol by port, in lower case; '' where there is none. */
  readonly ports: ReadonlyMap<number, string>;
  readonly isExternalName: boolean;
  readonly isHeadless: boolean;
  readonly settings: TrafficSettings;
}

/** What holds where an object is not known. */
export const NO_SETTINGS: TrafficSettings = {
  opaquePorts: undefined,
  httpRetry: undefined,
  grpcRetry: undefined,
  timeouts: NO_TIMEOUTS,
  failureAccrual: undefined,
  load: PLAIN_LOAD,
};

/** Reads a Service; `onIgnored` hears of each annotation that was not understood. */
export function serviceInfo(service: Service, onIgnored: (reason: string) => void): Parsed<ServiceInfo> {
  const { namespace, name, annotations } = service.metadata;
  const spec = service.spec;
  const ips = spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP]);
  return valid({
    namespace,
    name,
    clusterIps: ips.flatMap((ip) => parseIp(ip) ?? []),
    ports: appProtocols(spec?.ports ?? []),
    isExternalName: spec?.type === 'ExternalName',
    isHeadless: ips.length === 0 || ips.includes('None'),
    settings: trafficSettings(annotations, onIgnored),
  });
}

/** A number may stand for a TCP and a UDP port; what the TCP one says counts, whatever the order. */
function appProtocols(ports: NonNullable<NonNullable<Service['spec']>['ports']>): Map<number, string> {
  const protocols = new Map<number, string>();
  for (const { port, appProtocol, protocol } of ports) {
    const isTcp = (protocol ?? 'TCP') === 'TCP';
    if (isTcp || !protocols.has(port)) protocols.set(port, isTcp ? (appProtocol ?? '').toLowerCase() : '');
  }
  return protocols;
}

/** Reads the annotations of a Service or EgressNetwork. */
export function trafficSettings(annotations: Annotations, onIgnored: (reason: string) => void): TrafficSettings {
  const orElse = <T>(parsed: Parsed<T>, fallback: T): T => {
    if (parsed.ok) return parsed.value;
    onIgnored(parsed.reason);
    return fallback;
  };
  const opaque = annotations['config.linkerd.io/opaque-ports'];
  return {
    opaquePorts: opaque === undefined ? undefined : orElse(parsePortSet(opaque), PortSet.EMPTY),
    httpRetry: orElse(parseHttpRetry(annotations), undefined),
    grpcRetry: orElse(parseGrpcRetry(annotations), undefined),
    timeouts: orElse(parseTimeouts(annotations), NO_TIMEOUTS),
    failureAccrual: orElse(parseFailureAccrual(annotations), undefined),
    load: orElse(parseLoad(annotations), PLAIN_LOAD),
  };
}

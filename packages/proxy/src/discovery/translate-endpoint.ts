// SPDX-License-Identifier: Apache-2.0
/* Destination messages → endpoints and profiles (proxy-contract §5.5 "Destination Update", "DestinationProfile"). */
import type { DestinationProfile, Http2ClientParams, TlsIdentity, Update, WeightedAddr } from '@weft/proto/destination';
import type { EndpointAddress, Profile } from '@weft/routing';
import { durationMs, ipText, socketAddress } from './translate-common.ts';
import type { EndpointUpdate } from './types.ts';

/** One endpoint; set-level labels are the base, the address's own win. */
export function endpointAddress(addr: WeightedAddr, setLabels: Readonly<Record<string, string>>): EndpointAddress {
  const { ip, port } = socketAddress(addr.addr);
  const inboundPort = addr.protocolHint?.opaqueTransport?.inboundPort ?? 0;
  return {
    ip,
    port,
    labels: sortedLabels({ ...setLabels, ...addr.metricLabels }),
    tls: tlsIdentity(addr.tlsIdentity),
    protocolHint: addr.protocolHint?.protocol.case ?? 'none',
    opaqueTransportPort: inboundPort > 0 && inboundPort < 65_535 ? inboundPort : undefined,
    authorityOverride: addr.authorityOverride?.authorityOverride === '' ? undefined : addr.authorityOverride?.authorityOverride,
    http2: http2Params(addr.http2),
  };
}

/** Metric labels in a fixed order, so that equal endpoints are equal text. */
function sortedLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** An identity that cannot be used leaves the endpoint in plaintext, as in the reference (§11.3). */
function tlsIdentity(identity: TlsIdentity | undefined): EndpointAddress['tls'] {
  const strategy = identity?.strategy;
  switch (strategy?.case) {
    case 'dnsLikeIdentity': {
      const name = strategy.value.name.toLowerCase();
      if (name === '') return undefined;
      const serverName = identity?.serverName?.name;
      return { identity: name, serverName: serverName === undefined || serverName === '' ? name : serverName.toLowerCase() };
    }
    case 'uriLikeIdentity': {
      const serverName = identity?.serverName?.name ?? '';
      return serverName === '' || strategy.value.uri === ''
        ? undefined
        : { identity: strategy.value.uri, serverName: serverName.toLowerCase() };
    }
    case undefined:
      return undefined;
    default:
      return strategy satisfies never;
  }
}

function http2Params(params: Http2ClientParams | undefined): EndpointAddress['http2'] {
  const { interval, timeout, whileIdle } = params?.keepAlive ?? {};
  const hasBoth = interval !== undefined && timeout !== undefined;
  return {
    keepAliveIntervalMs: hasBoth ? durationMs(interval) : undefined,
    keepAliveTimeoutMs: hasBoth ? durationMs(timeout) : undefined,
    keepAliveWhileIdle: whileIdle ?? false,
  };
}

/** One update of a resolution. `isReset`: the first `add` of a stream replaces what earlier streams said. */
export function endpointUpdate(update: Update, isReset: boolean): EndpointUpdate | undefined {
  switch (update.update.case) {
    case 'add': {
      const set = update.update.value;
      return { isReset, add: set.addrs.map((addr) => endpointAddress(addr, set.metricLabels)), remove: [] };
    }
    case 'remove':
      return {
        isReset: false,
        add: [],
        remove: update.update.value.addrs.map((addr) => ({ ip: ipText(addr.ip), port: addr.port & 0xffff })),
      };
    case 'noEndpoints':
      return { isReset: true, add: [], remove: [] };
    case undefined:
      return undefined;
    default:
      return update.update satisfies never;
  }
}

export function profileOf(message: DestinationProfile): Profile {
  return {
    fullyQualifiedName: message.fullyQualifiedName,
    isOpaque: message.opaqueProtocol,
    endpoint: message.endpoint === undefined ? undefined : endpointAddress(message.endpoint, {}),
    overrides: message.dstOverrides.filter((dst) => dst.weight > 0).map((dst) => ({ authority: dst.authority, weight: dst.weight })),
  };
}

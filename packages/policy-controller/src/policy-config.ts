// SPDX-License-Identifier: Apache-2.0
/*
 * The options in the form that policy works with: networks and port lists parsed once. A bad option is the operator's mistake at start-up, so
 * it throws.
 */
import type { DefaultPolicy } from './inbound/default-policy.ts';
import { type IpNetwork, parseNetwork } from './parse/ip-network.ts';
import { parseEach } from './parse/parsed.ts';
import { type PortSet, parsePortSet } from './parse/port-set.ts';
import type { PolicyControllerOptions } from './types.ts';

export interface PolicyConfig {
  readonly controlPlaneNamespace: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly clusterNetworks: readonly IpNetwork[];
  readonly probeNetworks: readonly IpNetwork[];
  readonly defaultPolicy: DefaultPolicy;
  readonly defaultOpaquePorts: PortSet;
  readonly allowL5dRequestHeaders: boolean;
  readonly globalEgressNetworkNamespace: string;
}

/** Parses the options; throws a RangeError that names the bad one. */
export function policyConfig(options: PolicyControllerOptions): PolicyConfig {
  const opaque = parsePortSet(options.defaultOpaquePorts);
  if (!opaque.ok) throw new RangeError(`defaultOpaquePorts: ${opaque.reason}`);
  return {
    controlPlaneNamespace: options.controlPlaneNamespace,
    trustDomain: options.identityDomain,
    // `cluster.local.` is the same domain, written as absolute.
    clusterDomain: options.clusterDomain.replace(/\.+$/, ''),
    clusterNetworks: networks('clusterNetworks', options.clusterNetworks),
    probeNetworks: networks('probeNetworks', options.probeNetworks),
    defaultPolicy: options.defaultPolicy,
    defaultOpaquePorts: opaque.value,
    allowL5dRequestHeaders: options.allowL5dRequestHeaders,
    globalEgressNetworkNamespace: options.globalEgressNetworkNamespace,
  };
}

function networks(option: string, texts: readonly string[]): IpNetwork[] {
  const parsed = parseEach(texts, parseNetwork);
  if (!parsed.ok) throw new RangeError(`${option}: ${parsed.reason}`);
  return parsed.value;
}

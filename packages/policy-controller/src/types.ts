// SPDX-License-Identifier: Apache-2.0
/*
 * What the policy controller is configured with (control-contract §3.1) and what it is lent: log and clock. The metrics factory is the one
 * of @weft/grpc-server.
 */
import type { DefaultPolicy } from './inbound/default-policy.ts';

/** The arguments of the reference's process that concern policy itself; addresses and TLS files are the app's business. */
export interface PolicyControllerOptions {
  /** Namespace of the control plane. Default `linkerd`. */
  readonly controlPlaneNamespace: string;
  /** Trust domain of identities (`--identity-domain`). Default `cluster.local`. */
  readonly identityDomain: string;
  /** DNS domain of the cluster. Default `cluster.local`. */
  readonly clusterDomain: string;
  /** CIDRs that count as the cluster (`--cluster-networks`). */
  readonly clusterNetworks: readonly string[];
  /** CIDRs that probes may come from (`--probe-networks`); empty: no probe routes. */
  readonly probeNetworks: readonly string[];
  /** Inbound policy of workloads that set none (`--default-policy`). */
  readonly defaultPolicy: DefaultPolicy;
  /** Ports of Services that are opaque unless annotated (`--default-opaque-ports`), as in the annotation. */
  readonly defaultOpaquePorts: string;
  /** Whether proxies honour `l5d-*` reliability headers on resource-backed routes (`--allow-l5d-request-headers`). Default false. */
  readonly allowL5dRequestHeaders: boolean;
  /** Namespace whose EgressNetworks serve all others (`--global-egress-network-namespace`). Default `linkerd-egress`. */
  readonly globalEgressNetworkNamespace: string;
  /** Longest a status patch may take, in milliseconds (`--patch-timeout-ms`). Default 5000. */
  readonly patchTimeoutMs: number;
  /** Who writes status: the holder of a Lease, or (one process, no cluster) always this one. Default `lease`. */
  readonly leaderElection: 'lease' | 'always';
  /** Name under which this process holds the Lease (env HOSTNAME). */
  readonly hostname: string;
  /** Deployment that owns the Lease (`--policy-deployment-name`). Default `linkerd-destination`. */
  readonly policyDeploymentName: string;
}

/** What a deployment of the reference's chart would pass. */
export const DEFAULT_OPTIONS: PolicyControllerOptions = {
  controlPlaneNamespace: 'linkerd',
  identityDomain: 'cluster.local',
  clusterDomain: 'cluster.local',
  clusterNetworks: ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fd00::/8'],
  probeNetworks: ['0.0.0.0/0', '::/0'],
  defaultPolicy: 'all-unauthenticated',
  defaultOpaquePorts: '25,587,3306,4444,5432,6379,9300,11211',
  allowL5dRequestHeaders: false,
  globalEgressNetworkNamespace: 'linkerd-egress',
  patchTimeoutMs: 5000,
  leaderElection: 'lease',
  hostname: '',
  policyDeploymentName: 'linkerd-destination',
};

/** Where the controller writes; the process's Logger fits. */
export interface PolicyLog {
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Time as the controller sees it. */
export interface PolicyClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs `callback` once after `delayMs`; the result cancels it. */
  setTimer(callback: () => void, delayMs: number): () => void;
  /** Runs `callback` soon, after what is going on now; changes that arrive until then are handled together. */
  defer(callback: () => void): void;
}

/** The system's clock; its timers do not keep a process alive. */
export const SYSTEM_CLOCK: PolicyClock = {
  now: () => Date.now(),
  setTimer(callback, delayMs) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  defer: (callback) => {
    setImmediate(callback);
  },
};

// SPDX-License-Identifier: Apache-2.0
/*
 * The policy controller put together (control-contract §3): watches fill the index, two APIs and the status writer read it. It starts watching
 * when it is created, is ready once every watch has given its initial list, and stops all of it on close.
 */
import type { MetricFactory } from '@weft/grpc-server';
import { LeaseElection, type ResourceSource } from '@weft/resources';
import { type InboundHandlers, inboundHandlers } from './inbound/inbound-service.ts';
import { DependencyGraph } from './index/dependency-graph.ts';
import { PolicyIndex } from './index/policy-index.ts';
import { startWatches } from './index/watches.ts';
import { type OutboundHandlers, outboundHandlers } from './outbound/outbound-service.ts';
import { policyConfig } from './policy-config.ts';
import { StatusController } from './status/status-controller.ts';
import { DEFAULT_OPTIONS, type PolicyClock, type PolicyControllerOptions, type PolicyLog, SYSTEM_CLOCK } from './types.ts';

/** The Lease of the one who writes statuses. */
export const LEASE_NAME = 'policy-controller-write';

/** What a policy controller is made of. */
export interface PolicyControllerParts {
  /** Stays open: closing it is its owner's business. */
  readonly source: ResourceSource;
  /** Options that differ from `DEFAULT_OPTIONS`. */
  readonly options?: Partial<PolicyControllerOptions>;
  readonly log: PolicyLog;
  /** Registry to count in; without one nothing is counted. */
  readonly metrics?: MetricFactory;
  readonly clock?: PolicyClock;
}

export interface PolicyController {
  /** For a gRPC server's `register(inbound.InboundServerPolicies, …)`. */
  readonly inbound: InboundHandlers;
  /** For a gRPC server's `register(outbound.OutboundPolicies, …)`. */
  readonly outbound: OutboundHandlers;
  readonly statusController: StatusController;
  /** Settles once every watch has given its initial list; rejects when the Lease cannot be set up. Calls of the APIs wait for it. */
  readonly ready: Promise<void>;
  /** Whether `ready` has resolved, for a readiness probe. */
  readonly isReady: boolean;
  /** Ends watches, status writing and leadership. Streams end with their server. */
  close(): Promise<void>;
}

/** Creates and starts a policy controller. Throws a RangeError for an option that cannot be parsed. */
export function createPolicyController(parts: PolicyControllerParts): PolicyController {
  const { source, log, metrics } = parts;
  const options: PolicyControllerOptions = { ...DEFAULT_OPTIONS, ...parts.options };
  const clock = parts.clock ?? SYSTEM_CLOCK;
  const graph = new DependencyGraph(
    (run) => clock.defer(run),
    (error, name) =>
      log.error('a policy could not be computed', { policy: name, error: error instanceof Error ? error.message : String(error) }),
    () => clock.now(),
  );
  const index = new PolicyIndex(graph, policyConfig(options), log);
  const statusController = new StatusController({ index, source, log, metrics, clock, patchTimeoutMs: options.patchTimeoutMs });
  const election = new LeaseElection({
    source,
    clock,
    log,
    namespace: options.controlPlaneNamespace,
    name: LEASE_NAME,
    labels: { 'linkerd.io/control-plane-component': 'destination', 'linkerd.io/control-plane-ns': options.controlPlaneNamespace },
    holder: options.hostname,
    fieldManager: 'policy-controller',
    owner: { deployment: options.policyDeploymentName, isRequired: true },
    onLeadership: (isLeading) => statusController.lead(isLeading),
  });
  const watches = startWatches(index, source, log, clock);
  let isReady = false;
  let isClosed = false;
  const ready = start();
  // Whoever waits for it hears of a failure; nobody has to.
  ready.catch((error: unknown) => log.error('the policy controller did not start', { error: String(error) }));

  async function start(): Promise<void> {
    await watches.synced;
    if (isClosed) return;
    statusController.start();
    isReady = true;
    if (options.leaderElection === 'always') statusController.lead(true);
    else await election.start();
  }

  const whenSynced = (): Promise<void> => watches.synced;
  return {
    inbound: inboundHandlers(index, whenSynced),
    outbound: outboundHandlers(index, whenSynced),
    statusController,
    ready,
    get isReady(): boolean {
      return isReady;
    },
    async close(): Promise<void> {
      isClosed = true;
      watches.close();
      await election.close();
      statusController.close();
    },
  };
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Who of the replicas writes external endpoints: the holder of the Lease `linkerd-destination-endpoint-write` (control-contract §1.12). Where
 * ExternalWorkloads are not served there is nothing to lead.
 */
import type { MetricFactory } from '@weft/grpc-server';
import { ExternalWorkloadKind, LeaseElection, type ResourceSource } from '@weft/resources';
import type { Logger } from '@weft/telemetry';

import { EndpointWriter, type EndpointWriterCounts } from './endpoint-writer.ts';

export const ENDPOINT_LEASE_NAME = 'linkerd-destination-endpoint-write';

/** What a writer of external endpoints needs. */
export interface ExternalEndpointsInit {
  readonly source: ResourceSource;
  readonly log: Logger;
  /** Default: no metrics. */
  readonly metrics?: MetricFactory;
  readonly controllerNamespace: string;
  /** Name of this process. */
  readonly holder: string;
  /** `always` where this is the only process. */
  readonly leaderElection: 'lease' | 'always';
}

/** A writer that may lead. */
export interface ExternalEndpoints {
  /** Gives leadership back. */
  close(): Promise<void>;
}

function countsIn(factory: MetricFactory | undefined): EndpointWriterCounts {
  const written = factory?.counter('weft_external_endpoint_writes_total', 'EndpointSlices written for external workloads.', []);
  const failed = factory?.counter('weft_external_endpoint_failures_total', 'Services whose external endpoints could not be written.', []);
  const dropped = factory?.counter('weft_external_endpoint_drops_total', 'Services given up after too many failures.', []);
  return { written: () => written?.inc({}), failed: () => failed?.inc({}), dropped: () => dropped?.inc({}) };
}

/** Waits between tries to begin, in milliseconds: the API server may be away, or the Lease may not be made yet. */
const START_RETRY_MS = 10_000;

/** Starts to write, or to wait for its turn. Never throws: discovery does not depend on it. */
export function startExternalEndpoints(init: ExternalEndpointsInit): ExternalEndpoints {
  const { source, log, controllerNamespace, holder } = init;
  const writer = new EndpointWriter(source, log, countsIn(init.metrics));
  const election = new LeaseElection({
    source,
    log,
    clock: {
      now: () => Date.now(),
      setTimer(callback, delayMs) {
        const timer = setTimeout(callback, delayMs);
        timer.unref();
        return () => clearTimeout(timer);
      },
    },
    namespace: controllerNamespace,
    name: ENDPOINT_LEASE_NAME,
    labels: { 'linkerd.io/control-plane-component': 'destination', 'linkerd.io/control-plane-ns': controllerNamespace },
    holder,
    fieldManager: 'linkerd-destination',
    owner: { deployment: 'linkerd-destination', isRequired: false },
    onLeadership: (isLeading) => writer.lead(isLeading),
  });
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;

  async function begin(): Promise<void> {
    try {
      if (!(await source.supports(ExternalWorkloadKind))) {
        log.info('external workloads are not served, no endpoints are written for them');
        return;
      }
      if (isClosed) return;
      if (init.leaderElection === 'always') writer.lead(true);
      else await election.start();
    } catch (error) {
      if (isClosed) return;
      log.warn('external endpoints cannot be written yet', { error: error instanceof Error ? error.message : String(error) });
      timer = setTimeout(() => void begin(), START_RETRY_MS);
      timer.unref();
    }
  }

  // Never rejects: everything that can throw is inside its try.
  void begin();
  return {
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await election.close();
      writer.close();
    },
  };
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Leadership by a Lease (control-contract §3.4): `policy-controller-write` in the control plane's namespace, 30 seconds long, owned by the
 * control plane's Deployment. Whoever holds it writes statuses; a holder that cannot renew in time stops before its term ends, so that there
 * are never two.
 */
import { type Lease, LeaseKind, DeploymentKind, type ResourceSource, isResourceError } from '@weft/resources';
import type { PolicyClock, PolicyLog } from '../types.ts';

export const LEASE_NAME = 'policy-controller-write';

/** Length of a term. */
const TERM_MS = 30_000;
/** A holder renews this long before its term ends; the reference waits until the last second, and so loses it to one slow call. */
const RENEW_BEFORE_MS = 10_000;
/** Wait between attempts of one who does not lead. */
const RETRY_MS = 5000;
/** Wait after a failed call. */
const ERROR_RETRY_MS = 1000;
/** Looks for the Deployment before giving up. */
const DEPLOYMENT_TRIES = 3;

export interface LeaseElectionParts {
  readonly source: ResourceSource;
  readonly clock: PolicyClock;
  readonly log: PolicyLog;
  /** The control plane's. */
  readonly namespace: string;
  /** Name of this process. */
  readonly holder: string;
  readonly deploymentName: string;
  /** Told of every change. */
  onLeadership(isLeading: boolean): void;
}

/** A candidate for the Lease. */
export class LeaseElection {
  private readonly parts: LeaseElectionParts;
  private isLeading = false;
  private isClosed = false;
  private cancelRetry: (() => void) | undefined;
  private cancelExpiry: (() => void) | undefined;

  constructor(parts: LeaseElectionParts) {
    this.parts = parts;
  }

  /** Makes sure that the Lease exists and makes a first claim. Rejects when the Deployment cannot be found. */
  async start(): Promise<void> {
    await this.ensureLease();
    await this.attempt();
  }

  /** Stops, and gives the Lease back so that another need not wait for the end of the term. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.cancelRetry?.();
    const wasLeading = this.isLeading;
    this.setLeading(false);
    if (!wasLeading) return;
    const { source, holder, namespace } = this.parts;
    try {
      const lease = await source.get(LeaseKind, namespace, LEASE_NAME);
      if (lease.spec?.holderIdentity === holder) await this.write(lease, '', 0);
    } catch {
      // The term ends by itself.
    }
  }

  private async ensureLease(): Promise<void> {
    const { source, namespace } = this.parts;
    try {
      await source.get(LeaseKind, namespace, LEASE_NAME);
      return;
    } catch (error) {
      if (!isResourceError(error, 'ERR_NOT_FOUND')) throw error;
    }
    const deployment = await this.findDeployment();
    try {
      await source.create(LeaseKind, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: {
          name: LEASE_NAME,
          namespace,
          labels: { 'linkerd.io/control-plane-component': 'destination', 'linkerd.io/control-plane-ns': namespace },
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', ...deployment, controller: true }],
        },
        spec: {},
      });
    } catch (error) {
      // Another replica was faster.
      if (!isResourceError(error, 'ERR_ALREADY_EXISTS')) throw error;
    }
  }

  private async findDeployment(): Promise<{ name: string; uid: string }> {
    const { source, clock, namespace, deploymentName } = this.parts;
    for (let tries = 1; ; tries += 1) {
      try {
        const { metadata } = await source.get(DeploymentKind, namespace, deploymentName);
        return { name: metadata.name, uid: metadata.uid };
      } catch (error) {
        if (tries >= DEPLOYMENT_TRIES) throw error;
        await new Promise<void>((resolve) => {
          clock.setTimer(resolve, ERROR_RETRY_MS);
        });
      }
    }
  }

  private async attempt(): Promise<void> {
    if (this.isClosed) return;
    const { source, clock, log, namespace } = this.parts;
    let delayMs = RETRY_MS;
    try {
      const lease = await source.get(LeaseKind, namespace, LEASE_NAME);
      if (this.mayClaim(lease)) {
        const claimedMs = clock.now();
        await this.write(lease, this.parts.holder, claimedMs);
        this.hold(claimedMs + TERM_MS);
        delayMs = TERM_MS - RENEW_BEFORE_MS;
      } else {
        this.setLeading(false);
      }
    } catch (error) {
      // A term that was won lasts until its own timer; in between there is time to try again.
      log.debug('the lease could not be claimed', { error: error instanceof Error ? error.message : String(error) });
      delayMs = ERROR_RETRY_MS;
    }
    if (this.isClosed) return;
    this.cancelRetry = clock.setTimer(() => {
      // Never rejects: everything that can throw is inside its try.
      void this.attempt();
    }, delayMs);
  }

  private mayClaim({ spec }: Lease): boolean {
    const { clock, holder } = this.parts;
    if (spec?.holderIdentity === undefined || spec.holderIdentity === '' || spec.holderIdentity === holder) return true;
    const renewedMs = Date.parse(spec.renewTime ?? '');
    return Number.isNaN(renewedMs) || renewedMs + (spec.leaseDurationSeconds ?? 0) * 1000 <= clock.now();
  }

  /** Writes the Lease as it was read but for its holder; the resource version makes a rival's write in between win. */
  private async write(lease: Lease, holder: string, nowMs: number): Promise<void> {
    const { source, namespace } = this.parts;
    const isNew = lease.spec?.holderIdentity !== holder;
    const now = microTime(nowMs);
    const { labels, annotations, ownerReferences, resourceVersion } = lease.metadata;
    await source.update(LeaseKind, {
      apiVersion: lease.apiVersion,
      kind: lease.kind,
      metadata: {
        name: LEASE_NAME,
        namespace,
        labels,
        annotations,
        resourceVersion,
        ...(ownerReferences === undefined ? {} : { ownerReferences }),
      },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: TERM_MS / 1000,
        acquireTime: isNew ? now : (lease.spec?.acquireTime ?? now),
        renewTime: now,
        leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + (isNew ? 1 : 0),
      },
    });
  }

  private hold(untilMs: number): void {
    this.cancelExpiry?.();
    if (this.isClosed) return;
    this.cancelExpiry = this.parts.clock.setTimer(() => this.setLeading(false), untilMs - this.parts.clock.now());
    this.setLeading(true);
  }

  private setLeading(isLeading: boolean): void {
    if (!isLeading) this.cancelExpiry?.();
    if (isLeading === this.isLeading) return;
    this.isLeading = isLeading;
    this.parts.log.info(isLeading ? 'leading' : 'no longer leading', { lease: LEASE_NAME });
    this.parts.onLeadership(isLeading);
  }
}

/** Kubernetes' MicroTime: always six digits of a second. */
function microTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`;
}

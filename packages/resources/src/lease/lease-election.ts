// SPDX-License-Identifier: Apache-2.0
/*
 * Leadership by a Lease (control-contract §1.12, §3.4): whoever holds it writes what only one replica may write. A holder that cannot renew in
 * time stops before its term ends, so that there are never two; one that shuts down gives the Lease back; a candidate tries again at the
 * very end of a rival's term. It needs the rights to get, create and patch Leases, no more.
 */
import { isResourceError } from '../errors.ts';
import { DeploymentKind, LeaseKind } from '../kinds/workloads.ts';
import type { Lease } from '../kinds/workloads.ts';
import type { OwnerReference, ResourceSource } from '../types.ts';

/** Time as an election sees it. */
export interface LeaseClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs `callback` once after `delayMs`; the result cancels it. */
  setTimer(callback: () => void, delayMs: number): () => void;
}

/** Where an election says what happens; a process's logger fits. */
export interface LeaseLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Times of an election, in milliseconds. */
export interface LeaseTiming {
  /** Length of a term. */
  readonly termMs: number;
  /** Between a holder's renewals; well below the term, so that a slow API server costs no leadership. */
  readonly renewMs: number;
  /** Between attempts of one who does not lead; also how long a Lease that was given back stays without a holder. */
  readonly retryMs: number;
  /** Wait after a failed call. */
  readonly errorRetryMs: number;
}

/** Defaults: terms of thirty seconds, as the reference's. */
export const LEASE_TIMING: LeaseTiming = { termMs: 30_000, renewMs: 10_000, retryMs: 2000, errorRetryMs: 1000 };

/** Looks for the owning Deployment before giving up. */
const DEPLOYMENT_TRIES = 3;

/** What an election is about. */
export interface LeaseElectionOptions {
  readonly source: ResourceSource;
  readonly clock: LeaseClock;
  readonly log: LeaseLog;
  readonly namespace: string;
  /** Name of the Lease. */
  readonly name: string;
  /** Labels of a Lease that is made. */
  readonly labels: Readonly<Record<string, string>>;
  /** Name of this process. */
  readonly holder: string;
  readonly fieldManager: string;
  /** The Deployment with which the Lease goes away; where it `isRequired`, `start` rejects without it. */
  readonly owner: { readonly deployment: string; readonly isRequired: boolean };
  /** Default: `LEASE_TIMING`. */
  readonly timing?: LeaseTiming;
  /** Told of every change. */
  onLeadership(isLeading: boolean): void;
}

/** A candidate for a Lease. */
export class LeaseElection {
  private readonly options: LeaseElectionOptions;
  private readonly timing: LeaseTiming;
  private isLeading = false;
  /** Whether the Lease may be in this holder's name. */
  private hasClaimed = false;
  private isClosed = false;
  private cancelRetry: (() => void) | undefined;
  private cancelExpiry: (() => void) | undefined;
  /** The attempt under way, which `close` must not overtake. */
  private attempting: Promise<void> = Promise.resolve();

  constructor(options: LeaseElectionOptions) {
    this.options = options;
    this.timing = options.timing ?? LEASE_TIMING;
  }

  /** Makes sure that the Lease exists and makes a first claim. Rejects when it cannot be made. */
  async start(): Promise<void> {
    await this.ensureLease();
    await this.attempt();
  }

  /** Stops, and gives the Lease back so that another need not wait for the end of the term. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.cancelRetry?.();
    this.setLeading(false);
    await this.attempting;
    if (!this.hasClaimed) return;
    const { source, holder, namespace, name } = this.options;
    try {
      const lease = await source.get(LeaseKind, namespace, name);
      if (lease.spec?.holderIdentity === holder) await this.write(lease, '', this.options.clock.now());
    } catch {
      // The term ends by itself.
    }
  }

  private async ensureLease(): Promise<void> {
    const { source, namespace, name, labels, fieldManager } = this.options;
    try {
      await source.get(LeaseKind, namespace, name);
      return;
    } catch (error) {
      if (!isResourceError(error, 'ERR_NOT_FOUND')) throw error;
    }
    const owner = await this.findOwner();
    // Several replicas may do this at a time: they apply the same.
    await source.apply(
      LeaseKind,
      {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace, labels, ...(owner === undefined ? {} : { ownerReferences: [owner] }) },
        spec: {},
      },
      fieldManager,
    );
  }

  private async findOwner(): Promise<OwnerReference | undefined> {
    const { source, clock, namespace, owner } = this.options;
    for (let tries = 1; ; tries += 1) {
      try {
        const { metadata } = await source.get(DeploymentKind, namespace, owner.deployment);
        return { apiVersion: 'apps/v1', kind: 'Deployment', name: metadata.name, uid: metadata.uid, controller: true };
      } catch (error) {
        if (tries >= DEPLOYMENT_TRIES) {
          if (owner.isRequired) throw error;
          return undefined;
        }
        await new Promise<void>((resolve) => {
          clock.setTimer(resolve, this.timing.errorRetryMs);
        });
      }
    }
  }

  private attempt(): Promise<void> {
    this.attempting = this.tryOnce();
    return this.attempting;
  }

  /** Never rejects. */
  private async tryOnce(): Promise<void> {
    if (this.isClosed) return;
    const { source, clock, log, namespace, name, holder } = this.options;
    const { termMs, renewMs, retryMs, errorRetryMs } = this.timing;
    let delayMs = retryMs;
    try {
      const lease = await source.get(LeaseKind, namespace, name);
      const waitMs = this.untilFree(lease);
      if (waitMs <= 0 && !this.isClosed) {
        const claimedMs = clock.now();
        this.hasClaimed = true;
        await this.write(lease, holder, claimedMs);
        this.hold(claimedMs + termMs);
        delayMs = renewMs;
      } else {
        this.setLeading(false);
        delayMs = Math.min(retryMs, waitMs);
      }
    } catch (error) {
      // A term that was won lasts until its own timer; in between there is time to try again.
      log.debug('the lease could not be claimed', { lease: name, error: error instanceof Error ? error.message : String(error) });
      delayMs = errorRetryMs;
    }
    if (this.isClosed) return;
    this.cancelRetry = clock.setTimer(() => {
      // Never rejects: everything that can throw is inside its try.
      void this.attempt();
    }, delayMs);
  }

  /** How long a rival still holds the Lease, in milliseconds; 0 where it may be claimed. */
  private untilFree({ spec }: Lease): number {
    const { clock, holder } = this.options;
    if (spec?.holderIdentity === undefined || spec.holderIdentity === '' || spec.holderIdentity === holder) return 0;
    const renewedMs = Date.parse(spec.renewTime ?? '');
    return Number.isNaN(renewedMs) ? 0 : Math.max(0, renewedMs + (spec.leaseDurationSeconds ?? 0) * 1000 - clock.now());
  }

  /** Changes the Lease as it was read; its version makes a rival's write in between win. */
  private async write(lease: Lease, holder: string, nowMs: number): Promise<void> {
    const { source, namespace, name, fieldManager } = this.options;
    const isNew = lease.spec?.holderIdentity !== holder;
    const now = microTime(nowMs);
    const spec = {
      holderIdentity: holder,
      leaseDurationSeconds: this.timing.termMs / 1000,
      acquireTime: isNew ? now : (lease.spec?.acquireTime ?? now),
      renewTime: now,
      leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + (isNew && holder !== '' ? 1 : 0),
    };
    const { resourceVersion } = lease.metadata;
    await source.patch(LeaseKind, namespace, name, { metadata: { resourceVersion }, spec }, fieldManager);
  }

  private hold(untilMs: number): void {
    this.cancelExpiry?.();
    const { clock } = this.options;
    // Closed while the claim was under way: `close` waits for it and gives the Lease back.
    if (this.isClosed) return;
    this.cancelExpiry = clock.setTimer(() => this.setLeading(false), untilMs - clock.now());
    this.setLeading(true);
  }

  private setLeading(isLeading: boolean): void {
    if (!isLeading) this.cancelExpiry?.();
    if (isLeading === this.isLeading) return;
    this.isLeading = isLeading;
    this.options.log.info(isLeading ? 'leading' : 'no longer leading', { lease: this.options.name });
    this.options.onLeadership(isLeading);
  }
}

/** Kubernetes' MicroTime: always six digits of a second. */
function microTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`;
}

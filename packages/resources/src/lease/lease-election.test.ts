// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';

import { createMemorySource, DeploymentKind, isResourceError, LEASE_TIMING, LeaseElection, LeaseKind } from '../index.ts';
import type { LeaseClock, LocalSource, ResourceInput } from '../index.ts';

const NAME = 'policy-controller-write';
const { termMs, retryMs } = LEASE_TIMING;

const DEPLOYMENT: ResourceInput = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'linkerd-destination', namespace: 'linkerd' },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'c' }] } },
  },
};

/** Lets everything that is under way happen. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 6; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A clock whose timers run when the test says so. */
class ManualClock implements LeaseClock {
  private nowMs: number = Date.parse('2026-11-23T12:00:00Z');
  private timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.nowMs;
  }

  setTimer(callback: () => void, delayMs: number): () => void {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const [next] = this.timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.timers = this.timers.filter((other) => other !== next);
      this.nowMs = next.atMs;
      next.callback();
      await settle();
    }
    this.nowMs = untilMs;
  }
}

interface Candidate {
  readonly election: LeaseElection;
  readonly history: boolean[];
}

function candidate(source: LocalSource, clock: ManualClock, holder: string, isOwnerRequired = true): Candidate {
  const history: boolean[] = [];
  const election = new LeaseElection({
    source,
    clock,
    log: { info: () => undefined, debug: () => undefined },
    namespace: 'linkerd',
    name: NAME,
    labels: { 'linkerd.io/control-plane-component': 'destination' },
    holder,
    fieldManager: 'policy-controller',
    owner: { deployment: 'linkerd-destination', isRequired: isOwnerRequired },
    onLeadership: (isLeading) => history.push(isLeading),
  });
  return { election, history };
}

function world(objects: readonly ResourceInput[] = [DEPLOYMENT]): { source: LocalSource; clock: ManualClock } {
  const clock = new ManualClock();
  return { source: createMemorySource({ objects, nowMs: () => clock.now() }), clock };
}

/** Makes a candidate vanish: nothing that it does from now on reaches the source. */
function vanishing(source: LocalSource): { readonly source: LocalSource; vanish(): void } {
  let hasVanished = false;
  const patch: LocalSource['patch'] = (...call) => (hasVanished ? Promise.reject(new Error('away')) : source.patch(...call));
  return { source: { ...source, patch }, vanish: () => (hasVanished = true) };
}

describe('[RT-14] leadership by a Lease', () => {
  it('makes the Lease, owned by the Deployment, and holds it', async () => {
    const { source, clock } = world();
    const a = candidate(source, clock, 'a');
    await a.election.start();
    const lease = await source.get(LeaseKind, 'linkerd', NAME);
    const deployment = await source.get(DeploymentKind, 'linkerd', 'linkerd-destination');
    expect(lease.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'Deployment', uid: deployment.metadata.uid });
    expect(lease.metadata.labels).toEqual({ 'linkerd.io/control-plane-component': 'destination' });
    expect(lease.spec).toMatchObject({
      holderIdentity: 'a',
      leaseDurationSeconds: 30,
      renewTime: '2026-11-23T12:00:00.000000Z',
      leaseTransitions: 1,
    });
    expect(a.history).toEqual([true]);
  });

  it('gives up without the Deployment where that is required, and does without it elsewhere', async () => {
    const { source, clock } = world([]);
    const failure = candidate(source, clock, 'a')
      .election.start()
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    await settle();
    await clock.advance(5000);
    expect(isResourceError(await failure, 'ERR_NOT_FOUND')).toBe(true);
    const b = candidate(source, clock, 'b', false);
    const started = b.election.start();
    await settle();
    await clock.advance(5000);
    await started;
    expect((await source.get(LeaseKind, 'linkerd', NAME)).metadata.ownerReferences).toBeUndefined();
    expect(b.history).toEqual([true]);
  });

  it('lets one of two lead, and the other soon after it has gone', async () => {
    const { source, clock } = world();
    const [a, b] = [candidate(source, clock, 'a'), candidate(source, clock, 'b')];
    await Promise.all([a.election.start(), b.election.start()]);
    await clock.advance(100_000);
    expect([a.history, b.history]).toEqual([[true], []]);
    await a.election.close();
    await clock.advance(retryMs);
    expect([a.history, b.history]).toEqual([[true, false], [true]]);
    expect((await source.get(LeaseKind, 'linkerd', NAME)).spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 2 });
    await b.election.close();
    expect((await source.get(LeaseKind, 'linkerd', NAME)).spec).toMatchObject({ holderIdentity: '' });
  });

  it('takes over from a holder that vanished at the very end of its term, not before', async () => {
    const { source, clock } = world();
    const cut = vanishing(source);
    const [a, b] = [candidate(cut.source, clock, 'a'), candidate(source, clock, 'b')];
    await a.election.start();
    await b.election.start();
    cut.vanish();
    await clock.advance(termMs - 1);
    expect([a.history, b.history]).toEqual([[true], []]);
    await clock.advance(1);
    expect([a.history, b.history]).toEqual([[true, false], [true]]);
    await b.election.close();
  });

  it('stops leading at the end of its term when it cannot renew, and leads again when it can', async () => {
    const { source, clock } = world();
    const a = candidate(source, clock, 'a');
    await a.election.start();
    const patch = source.patch.bind(source);
    source.patch = () => Promise.reject(new Error('the API server is away'));
    await clock.advance(termMs - 1);
    expect(a.history).toEqual([true]);
    await clock.advance(1);
    expect(a.history).toEqual([true, false]);
    source.patch = patch;
    await clock.advance(retryMs);
    expect(a.history).toEqual([true, false, true]);
    await a.election.close();
  });

  it('gives back a Lease that was won while it was closing', async () => {
    const { source, clock } = world();
    const a = candidate(source, clock, 'a');
    const started = a.election.start();
    await a.election.close();
    await started;
    expect(a.history).toEqual([]);
    const lease = await source.get(LeaseKind, 'linkerd', NAME).catch(() => undefined);
    expect(lease?.spec?.holderIdentity ?? '').toBe('');
  });
});

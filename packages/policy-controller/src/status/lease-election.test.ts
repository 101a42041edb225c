// SPDX-License-Identifier: Apache-2.0
import { DeploymentKind, LeaseKind, type LocalSource, type ResourceInput, createMemorySource, isResourceError } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { ManualClock, settle } from '../testing/manual-world.ts';
import type { PolicyLog } from '../types.ts';
import { LEASE_NAME, LeaseElection } from './lease-election.ts';

const DEPLOYMENT: ResourceInput = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'linkerd-destination', namespace: 'linkerd' },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'c' }] } },
  },
};

const LOG: PolicyLog = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };

interface Candidate {
  readonly election: LeaseElection;
  readonly history: boolean[];
}

function candidate(source: LocalSource, clock: ManualClock, holder: string): Candidate {
  const history: boolean[] = [];
  const election = new LeaseElection({
    source,
    clock,
    log: LOG,
    namespace: 'linkerd',
    holder,
    deploymentName: 'linkerd-destination',
    onLeadership: (isLeading) => history.push(isLeading),
  });
  return { election, history };
}

function world(objects: readonly ResourceInput[] = [DEPLOYMENT]): { source: LocalSource; clock: ManualClock } {
  const clock = new ManualClock(Date.parse('2026-11-23T12:00:00Z'));
  return { source: createMemorySource({ objects, nowMs: () => clock.now() }), clock };
}

describe('[RT-14] leadership by a Lease', () => {
  it('creates the Lease, owned by the Deployment, and holds it', async () => {
    const { source, clock } = world();
    const a = candidate(source, clock, 'a');
    await a.election.start();
    const lease = await source.get(LeaseKind, 'linkerd', LEASE_NAME);
    const deployment = await source.get(DeploymentKind, 'linkerd', 'linkerd-destination');
    expect(lease.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'Deployment', uid: deployment.metadata.uid });
    expect(lease.metadata.labels).toEqual({
      'linkerd.io/control-plane-component': 'destination',
      'linkerd.io/control-plane-ns': 'linkerd',
    });
    expect(lease.spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 30, renewTime: '2026-11-23T12:00:00.000000Z' });
    expect(a.history).toEqual([true]);
  });

  it('gives up when the Deployment does not exist', async () => {
    const { source, clock } = world([]);
    const started = candidate(source, clock, 'a').election.start();
    const failure = started.then(
      () => undefined,
      (error: unknown) => error,
    );
    await settle();
    await clock.advance(5000);
    expect(isResourceError(await failure, 'ERR_NOT_FOUND')).toBe(true);
  });

  it('lets one of two lead, and the other after it has gone', async () => {
    const { source, clock } = world();
    const [a, b] = [candidate(source, clock, 'a'), candidate(source, clock, 'b')];
    await a.election.start();
    await b.election.start();
    await clock.advance(100_000);
    expect([a.history, b.history]).toEqual([[true], []]);
    await a.election.close();
    await clock.advance(6000);
    expect([a.history, b.history]).toEqual([[true, false], [true]]);
    expect((await source.get(LeaseKind, 'linkerd', LEASE_NAME)).spec).toMatchObject({ holderIdentity: 'b' });
    await b.election.close();
  });

  it('takes over from a holder that vanished, once its term is over', async () => {
    const { source, clock } = world();
    const [a, b] = [candidate(source, clock, 'a'), candidate(source, clock, 'b')];
    await a.election.start();
    const vanished = await source.get(LeaseKind, 'linkerd', LEASE_NAME);
    await a.election.close();
    await source.update(LeaseKind, {
      apiVersion: vanished.apiVersion,
      kind: vanished.kind,
      metadata: { name: LEASE_NAME, namespace: 'linkerd' },
      spec: vanished.spec,
    });
    await b.election.start();
    await clock.advance(29_000);
    expect(b.history).toEqual([]);
    await clock.advance(6000);
    expect(b.history).toEqual([true]);
    await b.election.close();
  });

  it('stops leading before its term ends when it cannot renew, and leads again when it can', async () => {
    const { source, clock } = world();
    const a = candidate(source, clock, 'a');
    await a.election.start();
    const update = source.update.bind(source);
    source.update = () => Promise.reject(new Error('the API server is away'));
    await clock.advance(29_999);
    expect(a.history).toEqual([true]);
    await clock.advance(1);
    expect(a.history).toEqual([true, false]);
    source.update = update;
    await clock.advance(2000);
    expect(a.history).toEqual([true, false, true]);
    await a.election.close();
  });
});

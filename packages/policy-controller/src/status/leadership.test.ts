// SPDX-License-Identifier: Apache-2.0
/*
 * Two controllers over one world (control-contract §3.4): both answer, one writes, and when that one vanishes without a word the other writes
 * once the term of its Lease is over.
 */
import { HTTPRouteKind, LeaseKind, type Resource, type ResourceInput, type ResourceKind, createMemorySource } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { LEASE_NAME, type PolicyController, createPolicyController } from '../policy-controller.ts';
import { ManualClock, settle } from '../testing/manual-world.ts';
import { WEB_IP, acceptedRoute, service, watchAddress } from '../testing/objects.ts';
import { callVector } from '../testing/recorded-call.ts';

const DEPLOYMENT: ResourceInput = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'linkerd-destination', namespace: 'linkerd' },
  spec: {
    selector: { matchLabels: { app: 'd' } },
    template: { metadata: { labels: { app: 'd' } }, spec: { containers: [{ name: 'd', image: 'd' }] } },
  },
};
const NO_LOG = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };

/** Longer than a term of thirty seconds and the retry after it. */
const A_TERM_MS = 35_000;

type PatchArguments<R extends Resource> = [
  kind: ResourceKind<R>,
  namespace: string,
  name: string,
  patch: Readonly<Record<string, unknown>>,
  fieldManager: string,
];

function bareRoute(name: string): ResourceInput {
  const { status: _status, ...route } = acceptedRoute('HTTPRoute', [{}], { name });
  return route;
}

describe('[RT-14] [HA-03] two controllers', () => {
  it('both answer, one writes statuses, and the other does when the first was killed', async () => {
    const world = new ManualClock(Date.parse('2026-11-23T12:00:00Z'));
    const source = createMemorySource({ nowMs: () => world.now(), objects: [DEPLOYMENT, service('web', WEB_IP)] });
    const writers: string[] = [];
    const start = async (hostname: string): Promise<{ controller: PolicyController; kill(): void }> => {
      let isKilled = false;
      const own = Object.create(source) as typeof source;
      // A killed process neither renews nor writes, and gives nothing back.
      own.patch = async <R extends Resource>(...args: PatchArguments<R>): Promise<R> =>
        isKilled ? await new Promise<never>(() => undefined) : await source.patch(...args);
      own.patchStatus = async <R extends Resource>(...args: PatchArguments<R>): Promise<R> => {
        if (isKilled) return await new Promise<never>(() => undefined);
        writers.push(`${hostname} ${args[2]}`);
        return await source.patchStatus(...args);
      };
      const controller = createPolicyController({ source: own, log: NO_LOG, clock: world, options: { hostname } });
      await controller.ready;
      return {
        controller,
        kill() {
          isKilled = true;
        },
      };
    };
    const [first, second] = [await start('policy-a'), await start('policy-b')];
    const holder = async (): Promise<string | undefined> => (await source.get(LeaseKind, 'linkerd', LEASE_NAME)).spec?.holderIdentity;
    expect([await holder(), first.controller.statusController.isLeader, second.controller.statusController.isLeader]).toEqual([
      'policy-a',
      true,
      false,
    ]);

    await source.create(HTTPRouteKind, bareRoute('r1'));
    await settle();
    expect(writers).toEqual(['policy-a r1']);
    for (const { controller } of [first, second]) {
      const call = await callVector(controller, watchAddress(WEB_IP));
      expect(JSON.stringify(call.messages[0])).toContain('"r1"');
    }

    first.kill();
    await source.create(HTTPRouteKind, bareRoute('r2'));
    await world.advance(15_000);
    expect([await holder(), writers]).toEqual(['policy-a', ['policy-a r1']]);
    await world.advance(A_TERM_MS);
    expect([await holder(), writers, second.controller.statusController.isLeader]).toEqual([
      'policy-b',
      ['policy-a r1', 'policy-b r2'],
      true,
    ]);
    // The first, if it only slept, knows by its own clock that its term is over.
    expect(first.controller.statusController.isLeader).toBe(false);
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * The statuses that the reference wrote to the recorded objects, written anew: the objects without status, under the schemas of the chart, must
 * end up with the same conditions. Times are not compared.
 */
import { type ResourceInput, kindOf, readCustomTypes } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { type ManualWorld, recordedObjects, settle, startWorld } from '../testing/manual-world.ts';

const CHART = new URL('../../../../charts/weft-crds/files', import.meta.url);

const WITH_STATUS: ReadonlySet<string> = new Set([
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
  'EgressNetwork',
  'HTTPLocalRateLimitPolicy',
]);

function withoutStatus(object: ResourceInput): ResourceInput {
  return WITH_STATUS.has(object.kind) ? { ...object, status: undefined } : object;
}

function withoutTimes(status: unknown): unknown {
  return JSON.parse(JSON.stringify(status ?? null, (key, value: unknown) => (key === 'lastTransitionTime' ? undefined : value)));
}

async function statusOf(world: ManualWorld, recorded: ResourceInput): Promise<unknown> {
  const kind = kindOf(recorded);
  if (kind === undefined) throw new Error(`no such kind: ${recorded.apiVersion} ${recorded.kind}`);
  const object = await world.source.get(kind, recorded.metadata.namespace ?? '', recorded.metadata.name);
  return withoutTimes(object.status);
}

describe.each(['in', 'out'])('statuses of scenario %s', async (scenario) => {
  const recorded = recordedObjects(scenario);
  const { types } = await readCustomTypes(CHART.pathname);
  const world = await startWorld(recorded.map(withoutStatus), {}, { customTypes: types });
  await world.controller.statusController.whenIdle();
  await settle();
  await world.controller.statusController.whenIdle();
  await settle();

  const names = recorded.filter(({ kind }) => WITH_STATUS.has(kind));
  it.each(names.map((object) => [`${object.kind} ${object.apiVersion} ${object.metadata.name}`, object] as const))(
    '[RT-14] %s',
    async (_name, object) => {
      expect(await statusOf(world, object)).toEqual(withoutTimes(object['status']));
    },
  );
});

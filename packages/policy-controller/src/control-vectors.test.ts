// SPDX-License-Identifier: Apache-2.0
/*
 * Every recorded call of the two policy APIs, replayed: the same objects and the same request must give the same messages and the same status.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { type VectorJson, vectorDifference } from '@weft/proto/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ManualWorld, recordedObjects, settle, startWorld, vectorPath } from './testing/manual-world.ts';
import { type VectorRequest, callVector } from './testing/recorded-call.ts';

/** Vectors that differ on purpose (DIFFERENCES.md), or that are not answered yet. An unexpected pass fails too. */
const EXPECTED_FAILURES: ReadonlySet<string> = new Set<string>([]);

interface VectorResponse {
  readonly messages: VectorJson[];
  readonly status: { readonly code: number; readonly details: string } | null;
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(vectorPath(path), 'utf8'));
}

function unexpectedPass(difference: string | undefined): string | undefined {
  return difference === undefined ? 'passed, although listed as an expected failure' : undefined;
}

/** Feature of a vector, by the first words of its name that are listed here. */
const FEATURES: readonly (readonly [prefix: string, ids: string])[] = [
  ['in.bad', 'AZ-22'],
  ['in.default-annotated-opaque', 'PROTO-05'],
  ['in.default-require', 'AZ-19'],
  ['in.default', 'AZ-07'],
  ['in.deny-admin', 'AZ-13'],
  ['in.external', 'AZ-20'],
  ['in.legacy', 'AZ-22'],
  ['in.probes', 'AZ-12'],
  ['in.server-access', 'AZ-08'],
  ['in.server-audit', 'AZ-09'],
  ['in.server-grpcroute', 'AZ-06'],
  ['in.server-httproutes', 'AZ-06'],
  ['in.server-ratelimit', 'REL-15'],
  ['in.server-two', 'AZ-17'],
  ['in.server-unknown', 'AZ-02'],
  ['in.server', 'AZ-01'],
  ['in.workload', 'AZ-22'],
  ['out.accrual-unified', 'REL-11'],
  ['out.accrual-bad', 'REL-12'],
  ['out.accrual', 'REL-09'],
  ['out.app-protocol', 'PROTO-18'],
  ['out.consumer', 'RT-05'],
  ['out.default-opaque', 'PROTO-05'],
  ['out.egress-narrow-opaque', 'EG-09'],
  ['out.egress-narrow', 'EG-06'],
  ['out.egress', 'EG-03'],
  ['out.grpcroute', 'RT-02'],
  ['out.httproute-filters', 'RT-09'],
  ['out.httproute-invalid', 'RT-08'],
  ['out.httproute-matches', 'RT-06'],
  ['out.httproute-port', 'RT-16'],
  ['out.httproute-timeouts', 'REL-05'],
  ['out.httproute-weights', 'RT-07'],
  ['out.httproute', 'RT-01'],
  ['out.mixed', 'RT-13'],
  ['out.opaque', 'PROTO-05'],
  ['out.retry', 'REL-01'],
  ['out.tcproute', 'RT-03'],
  ['out.tlsroute', 'RT-03'],
  ['out.', 'RT-17'],
];

function featureOf(name: string): string {
  return FEATURES.find(([prefix]) => name.startsWith(prefix))?.[1] ?? '';
}

for (const scenario of ['in', 'out']) {
  describe(`recorded calls of scenario ${scenario}`, () => {
    const names = readdirSync(vectorPath('control'))
      .filter((name) => name.startsWith(`${scenario}.`))
      .sort();
    let world: ManualWorld;

    beforeAll(async () => {
      world = await startWorld(recordedObjects(scenario));
    });

    afterAll(async () => {
      await world.controller.close();
    });

    it.each(names.map((name) => [featureOf(name), name]))('[%s] %s', async (_feature, name) => {
      const request = readJson(`control/${name}/request.json`) as VectorRequest;
      const response = readJson(`control/${name}/response.json`) as VectorResponse;
      const call = await callVector(world.controller, request);
      await settle();
      const expectedStatus = response.status === null ? null : { code: response.status.code, details: response.status.details };
      const actual = { messages: call.messages, status: call.status } as unknown as VectorJson;
      const expected = { messages: response.messages, status: expectedStatus } as unknown as VectorJson;
      const difference = vectorDifference(nullAsText(actual), nullAsText(expected));
      call.cancel();
      expect(EXPECTED_FAILURES.has(name) ? unexpectedPass(difference) : difference).toBeUndefined();
    });

    it('[RT-14] leaves statuses alone that say what they should', () => {
      expect(world.counts.get('resource_status_patch_enqueues_total')).toBeUndefined();
    });
  });
}

/** The comparison knows no null, which stands for a stream that stayed open. */
function nullAsText(value: VectorJson): VectorJson {
  const { messages, status } = value as { messages: VectorJson; status: VectorJson | null };
  return { messages, status: status ?? 'open' };
}

// SPDX-License-Identifier: Apache-2.0
/* An unmeshed host at the inbound proxy meets errors, and makes them: testdata/errors/inbound.json replayed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare, type Flat } from './comparison.ts';
import { INBOUND_ERROR_DIFFERENCES as DIFFERENCES } from './differences/errors.ts';
import { capturedErrors, reference, replayAll } from './errors.ts';
import { startWorld, type World } from './world.ts';

const cases = capturedErrors('inbound.json');
let world: World;
let answers: ReadonlyMap<string, Flat>;

beforeAll(async () => {
  world = await startWorld();
  answers = await replayAll(world.plain, cases);
});
afterAll(() => world.rig.stop());

describe('answers of the inbound proxy', () => {
  it.each(cases.map((captured) => ({ name: captured.name, captured })))('[PROTO-14] [ID-12] $name', ({ name, captured }) => {
    const { differing, known } = compare(answers.get(name) ?? {}, reference(captured), DIFFERENCES[name]);
    expect(differing).toEqual(known);
  });

  it('lists no difference of a case that is not there', () => {
    expect(Object.keys(DIFFERENCES).filter((name) => !cases.some((each) => each.name === name))).toEqual([]);
  });
});

// SPDX-License-Identifier: Apache-2.0
/* An application behind the outbound proxy meets errors, and makes them: testdata/errors/outbound.json replayed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare, type Flat } from './comparison.ts';
import { OUTBOUND_ERROR_DIFFERENCES as DIFFERENCES } from './differences/errors.ts';
import { capturedErrors, reference, replayAll } from './errors.ts';
import { startWorld, type World } from './world.ts';

const cases = capturedErrors('outbound.json');
let world: World;
let answers: ReadonlyMap<string, Flat>;

beforeAll(async () => {
  world = await startWorld();
  answers = await replayAll(world.client, cases);
});
afterAll(() => world.rig.stop());

describe('answers of the outbound proxy', () => {
  it.each(cases.map((captured) => ({ name: captured.name, captured })))('[PROTO-13] [PROTO-15] $name', ({ name, captured }) => {
    const { differing, known } = compare(answers.get(name) ?? {}, reference(captured), DIFFERENCES[name]);
    expect(differing).toEqual(known);
  });

  it('lists no difference of a case that is not there', () => {
    expect(Object.keys(DIFFERENCES).filter((name) => !cases.some((each) => each.name === name))).toEqual([]);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';

import { apiVersionOf, createMemorySource, isResourceError, readCustomTypes } from './index.ts';
import type { LocalSource, ResourceInput } from './index.ts';
import { ManifestSet } from './directory/manifest-set.ts';
import { parseManifests } from './directory/manifest-text.ts';

const { types } = await readCustomTypes(fileURLToPath(new URL('../../../charts/weft-crds/files/', import.meta.url)));
const newSource = (): LocalSource => createMemorySource({ customTypes: types });
const kinds = [...newSource().store.resourceTypes].map(({ group, kind, storageVersion }) => ({ group, version: storageVersion, kind }));

/** Names of fields that the rules look into, so that wrong shapes land where they hurt. */
const FIELDS = (
  'name namespace labels annotations ownerReferences finalizers resourceVersion uid creationTimestamp spec status ' +
  'template metadata containers initContainers ports port targetPort containerPort selector matchLabels ' +
  'matchExpressions key operator values rules matches filters backendRefs parentRefs path type endpoints addresses ' +
  'addressType data stringData networks cidr identities routes condition conditions __proto__'
).split(' ');

const value = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, true, 0, 80, -1, 1.5, '', 'a', 'a-b', '10.0.0.1', 'None', 'ExternalName', 'In'),
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...FIELDS), tie('node'), { maxKeys: 5 }),
  ),
})).node;

const manifest = fc
  .record({ kind: fc.constantFrom(...kinds), name: fc.oneof(fc.constantFrom('a', 'b'), value), metadata: value, rest: value })
  .map(({ kind, name, metadata, rest }) => ({
    gvk: kind,
    input: {
      ...(typeof rest === 'object' ? rest : { spec: rest }),
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      metadata: { ...(typeof metadata === 'object' ? metadata : {}), name },
    } as unknown as ResourceInput,
  }));

function coded(attempt: () => unknown): void {
  try {
    attempt();
  } catch (error) {
    if (!isResourceError(error)) throw error;
  }
}

describe('input of any shape', () => {
  it('is taken by a store or refused with a code, and what is taken stays valid', () => {
    const taken = { count: 0 };
    fc.assert(
      fc.property(fc.array(manifest, { maxLength: 4 }), value, (manifests, patch) => {
        const { store } = newSource();
        for (const { gvk, input } of manifests) {
          coded(() => store.create(gvk, input));
          coded(() => store.apply(gvk, input, 'one'));
          coded(() => store.update(gvk, input));
          coded(() => store.patch(gvk, 'default', 'a', patch as Record<string, unknown>));
          coded(() => store.patchStatus(gvk, 'default', 'a', { status: patch }));
          coded(() => store.apply(gvk, { ...input, ...(patch as object) }, 'two'));
        }
        for (const kind of kinds) {
          for (const object of store.list(kind)) {
            taken.count += 1;
            expect(store.update(kind, object as unknown as ResourceInput)).toEqual(object);
          }
        }
      }),
      { numRuns: 300 },
    );
    expect(taken.count).toBeGreaterThan(50);
  });

  it('is taken from files, or reported', () => {
    fc.assert(
      fc.property(fc.array(fc.array(manifest, { maxLength: 2 }), { maxLength: 4 }), (files) => {
        const { store } = newSource();
        const set = new ManifestSet(store, []);
        for (const [index, manifests] of files.entries()) {
          set.update(new Map([[`${index % 2}.yaml`, manifests.map(({ input }) => stringify(input)).join('\n---\n')]]));
        }
        for (const { line } of set.problems) expect(line).toBeGreaterThan(0);
        set.update(
          new Map([
            ['0.yaml', ''],
            ['1.yaml', undefined],
          ]),
        );
        expect(set.problems).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it('as text ends in manifests or one fault', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(fc.constantFrom(...' \n:-{}[]&*!|>\'"%@`,#?abc'.split('')), { maxLength: 40 }).map((parts) => parts.join('')),
        ),
        (text) => {
          const parsed = parseManifests(text);
          const lines = 'fault' in parsed ? [parsed.fault.line] : parsed.manifests.map((found) => found.lineOf('spec.a[0].b'));
          expect(lines.every((line) => line > 0)).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

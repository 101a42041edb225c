// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { FUNCTIONS } from './functions/table.ts';
import { chartOf } from './testing/objects.ts';
import { documentedValues, valuesTable } from './values-table.ts';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
/** Cells without the spaces that align them. */
const compact = (text: string): string => text.replace(/ *\| */g, '|').replace(/-{3,}/g, '---');

it('the charts carry the version of the images that they install', () => {
  const { version } = JSON.parse(readFileSync(join(repository, 'apps/proxy/package.json'), 'utf8')) as { version: string };
  for (const name of ['weft-crds', 'weft-control-plane', 'weft-cni'] as const)
    expect(chartOf(name).metadata).toMatchObject({ version, appVersion: version });
  expect(chartOf('weft-control-plane').values['linkerdVersion']).toBe(version);
  expect(chartOf('weft-cni').values['image']).toMatchObject({ version });
});

describe('documentation of values', () => {
  it.each(['weft-crds', 'weft-control-plane', 'weft-cni'] as const)(
    '%s: every value is described, here and on the reference page',
    (name) => {
      const chart = chartOf(name);
      const table = compact(valuesTable(documentedValues(chart)));
      for (const page of [join(chart.directory, 'README.md'), join(repository, 'docs/reference/helm-values.md')]) {
        expect(compact(readFileSync(page, 'utf8'))).toContain(table);
      }
    },
  );

  it('refuses a value that nobody describes', () => {
    const chart = { ...chartOf('weft-cni'), values: { a: { b: 1 } }, valuesText: '# a comment\na:\n  b: 1\n' };
    expect(() => documentedValues(chart)).toThrow('a.b has no description');
  });

  it('names the functions that templates may use', () => {
    const page = readFileSync(join(repository, 'docs/reference/chart-templates.md'), 'utf8');
    for (const { name } of FUNCTIONS.values()) expect(page).toContain(`\`${name}\``);
  });
});

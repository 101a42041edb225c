// SPDX-License-Identifier: Apache-2.0
/*
 * Our renderer against Helm: the same charts, the same values, equal objects in equal order; the same mistakes refused; every function of
 * the subset equal on its own.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  chartDirectory,
  loadChart,
  parseYaml,
  parseYamlStream,
  renderChart,
  renderObjects,
  type ChartName,
  type Data,
  type Dictionary,
} from '@weft/chart';
import {
  chartOf,
  CNI_SETS,
  CONTROL_EXPRESSIONS,
  CONTROL_PLANE_SETS,
  CRD_SETS,
  EXPRESSION_VALUES,
  FUNCTION_EXPRESSIONS,
  REFUSED_SETS,
  REQUIRED_VALUES,
  valuesOf,
  type ValueSet,
} from '@weft/chart/testing';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { HelmWorkspace } from './helm.ts';

const workspace = new HelmWorkspace();
afterAll(() => workspace.remove());

const CHARTS: readonly (readonly [ChartName, readonly ValueSet[]])[] = [
  ['weft-crds', CRD_SETS],
  ['weft-control-plane', CONTROL_PLANE_SETS],
  ['weft-cni', CNI_SETS],
];

/** Values files as a user would give them: the required ones, those of the chart, the set's own. */
function valuesArguments(name: ChartName, set: ValueSet): string[] {
  const required = name === 'weft-control-plane' ? [workspace.valuesFile(REQUIRED_VALUES)] : [];
  const files = [...required, ...(set.files ?? []).map((file) => join(chartDirectory(name), file)), workspace.valuesFile(set.values)];
  return files.flatMap((file) => ['-f', file]);
}

/** The text of the stored values is read: which quotes it has, and where lines are folded, is nobody's business. */
function withReadValues(objects: readonly Data[]): Data[] {
  return objects.map((object) => {
    const { data } = object as { data?: { values?: string } };
    return data?.values === undefined ? object : { ...(object as Dictionary), data: { ...data, values: parseYaml(data.values, 'values') } };
  });
}

describe.each(CHARTS)('%s', (name, sets) => {
  it.each(sets.map((set) => [set.name, set] as const))('renders as with Helm: %s', (_, set) => {
    const namespace = set.namespace ?? 'linkerd';
    const stdout = workspace.helm('template', 'mesh', chartDirectory(name), '-n', namespace, ...valuesArguments(name, set));
    const chart = chartOf(name);
    const ours = renderObjects(chart, { values: valuesOf(chart, set), release: { name: 'mesh', namespace } });
    const theirs = parseYamlStream(stdout, 'helm');
    const label = (object: Data): string =>
      `${(object as { kind: string }).kind} ${(object as { metadata: { name: string } }).metadata.name}`;
    expect(ours.map(label)).toEqual(theirs.map(label));
    expect(withReadValues(ours)).toEqual(withReadValues(theirs));
  });

  it('passes helm lint', () => {
    const values = name === 'weft-control-plane' ? ['-f', workspace.valuesFile(REQUIRED_VALUES)] : [];
    expect(workspace.helm('lint', '--strict', chartDirectory(name), ...values)).toContain('0 chart(s) failed');
  });
});

describe('values that are refused', () => {
  it.each(REFUSED_SETS)('%j', (values, message) => {
    const stderr = workspace.refusal(
      'template',
      'mesh',
      chartDirectory('weft-control-plane'),
      ...valuesArguments('weft-control-plane', { name: '', values }),
    );
    expect(stderr).toContain(message);
  });

  it('by the schema', () => {
    const values = {
      controllerReplicas: 0,
      proxy: { logHTTPHeaders: false, ports: { admin: 70000 } },
      identityTrustAnchorsPEM: '-----BEGIN PRIVATE KEY-----',
    };
    const stderr = workspace.refusal(
      'template',
      'mesh',
      chartDirectory('weft-control-plane'),
      ...valuesArguments('weft-control-plane', { name: '', values }),
    );
    for (const place of ['/controllerReplicas', '/proxy/logHTTPHeaders', '/proxy/ports/admin', '/identityTrustAnchorsPEM'])
      expect(stderr).toContain(place);
  });
});

/** A chart of one template whose text is a map; returns its directory. */
function scratchChart(name: string, template: string): string {
  const directory = join(workspace.directory, name);
  mkdirSync(join(directory, 'templates'), { recursive: true });
  writeFileSync(join(directory, 'Chart.yaml'), `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n`);
  writeFileSync(join(directory, 'templates/all.yaml'), template);
  return directory;
}

/** What Helm makes of it, and what we do, as parsed. */
function renderBoth(directory: string, values: Dictionary): { theirs: Data; ours: Data } {
  const stdout = workspace.helm('template', 'mesh', directory, '-f', workspace.valuesFile(values));
  const [file] = renderChart(loadChart(directory), { values, release: { name: 'mesh', namespace: 'default' } });
  return { theirs: parseYaml(stdout, 'helm'), ours: parseYaml(file?.text ?? '', 'ours') };
}

describe('the subset', () => {
  it('means in Helm what the tables of the unit tests say', () => {
    const cases = [...CONTROL_EXPRESSIONS, ...FUNCTION_EXPRESSIONS]
      // Named templates stand at the top of a file, and a block is one.
      .filter(([source]) => !/define|block/.test(source));
    expect(cases.length).toBeGreaterThan(40);
    const defined = cases.map(([source], index) => `{{ define "case-${index}" }}${source}{{ end }}`).join('\n');
    const called = cases.map((_, index) => `case-${index}: {{ include "case-${index}" .Values | toJson }}`).join('\n');
    const { theirs, ours } = renderBoth(scratchChart('expressions', `${defined}\n${called}\n`), EXPRESSION_VALUES);
    const expected = Object.fromEntries(cases.map(([, text], index) => [`case-${index}`, text]));
    expect(theirs).toEqual(expected);
    expect(ours).toEqual(expected);
  });

  it('carries any value through toYaml, toJson and quote as Helm does', () => {
    const directory = scratchChart(
      'values',
      'yaml: |\n  {{- toYaml .Values.list | nindent 2 }}\nplain: {{- toYaml .Values.list | nindent 2 }}\njson: {{ toJson .Values.list | quote }}\n' +
        'words:\n{{- range .Values.words }}\n- {{ quote . }}\n- {{ sha256sum . }}\n- {{ . | trim | b64enc }}\n- {{ . | trunc 3 | upper | toJson }}\n{{- end }}\n',
    );
    const word = fc.oneof(
      fc.constantFrom(
        '',
        'on',
        'off',
        'yes',
        'NO',
        'y',
        'n',
        'null',
        '~',
        'true',
        '1',
        '0x1',
        '1e3',
        '0777',
        '1_000',
        '-',
        '- a',
        '? a',
        ': b',
        '#c',
        '@d',
        '%e',
        '&f',
        '*g',
        '!h',
        '|',
        '>',
        '{',
        '[',
        ']',
        ',',
        "'",
        '"',
        'a: b',
        'a #b',
        ' lead',
        'trail ',
        'two\nlines',
        'end\n',
        '\n',
        '\n\nx',
        '  indented\nless',
        '2020-01-01',
        '1:30',
        '.inf',
        '=',
        '<<',
        'é',
        '\u{1f600}',
      ),
      fc.string({ unit: fc.constantFrom(...Array.from('ab1 :#-\'"{}[],&*!|>%@`\n\t\\.~?=<')), maxLength: 12 }),
    );
    const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        word,
        fc.boolean(),
        fc.constant(null),
        fc.integer({ min: -99_999, max: 99_999 }),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.stringMatching(/^[a-z][a-z_.-]{0,6}$/), tie('tree'), { maxKeys: 3 }),
      ),
    })).tree;
    // A hundred values for each start of Helm.
    const batch = fc.record({
      list: fc.array(value, { minLength: 100, maxLength: 100 }),
      words: fc.array(
        word.filter((text) => !/[^\x00-\x7f]/.test(text)),
        { minLength: 40, maxLength: 40 },
      ),
    });
    fc.assert(
      fc.property(batch, (values) => {
        const { theirs, ours } = renderBoth(directory, values as Dictionary);
        // Where lines are folded differs; what they say does not.
        const said = (data: Data): Data => {
          const { yaml, ...rest } = data as { yaml: string } & Dictionary;
          return { ...rest, yaml: parseYaml(yaml, 'yaml') };
        };
        expect(said(ours)).toEqual(said(theirs));
        expect((ours as Dictionary)['plain']).toEqual(values.list);
      }),
      { numRuns: 5 },
    );
  });
});

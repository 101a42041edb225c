// SPDX-License-Identifier: Apache-2.0
/*
 * The documented values of a chart: a comment `# -- …` in values.yaml describes the value below it. The tables of the charts' READMEs and
 * of docs/reference/helm-values.md are made from these (tools/chart-docs.mjs).
 */
import type { Chart } from './chart.ts';
import { ChartError } from './errors.ts';
import { type Data, isDictionary } from './template/data.ts';

/** One row of the table. */
export interface DocumentedValue {
  /** Dotted, such as `proxy.image.name`. */
  readonly path: string;
  /** As JSON. */
  readonly byDefault: string;
  readonly description: string;
}

/** The documented values in the order of the file; throws `ERR_CHART_VALUES` for a value that no comment describes. */
export function documentedValues(chart: Chart): DocumentedValue[] {
  const found: DocumentedValue[] = [];
  /** Keys around the current line, with their indentation. */
  const around: { indent: number; key: string }[] = [];
  let description: string | undefined;
  for (const line of chart.valuesText.split('\n')) {
    const comment = /^\s*# -- (.*)$/.exec(line);
    if (comment !== null) {
      description = comment[1];
      continue;
    }
    const match = /^( *)([\w.-]+):/.exec(line);
    if (match === null) continue;
    const indent = match[1]?.length ?? 0;
    while (around.length > 0 && (around.at(-1)?.indent ?? 0) >= indent) around.pop();
    around.push({ indent, key: match[2] ?? '' });
    if (description === undefined) continue;
    const keys = around.map(({ key }) => key);
    found.push({ path: keys.join('.'), byDefault: JSON.stringify(valueAt(chart.values, keys)), description });
    description = undefined;
  }
  const undescribed = leaves(chart.values, '').filter(
    (path) => !found.some((value) => path === value.path || path.startsWith(`${value.path}.`)),
  );
  if (undescribed.length > 0)
    throw new ChartError(
      'ERR_CHART_VALUES',
      undescribed.map((path) => `${path} has no description`),
    );
  return found;
}

/** The rows as a Markdown table. */
export function valuesTable(values: readonly DocumentedValue[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const rows = values.map(({ path, byDefault, description }) => `| \`${path}\` | \`${cell(byDefault)}\` | ${cell(description)} |`);
  return ['| value | default | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

function valueAt(values: Data, keys: readonly string[]): Data {
  return keys.reduce<Data>((value, key) => (isDictionary(value) ? (value[key] ?? null) : null), values);
}

function leaves(value: Data, path: string): string[] {
  if (!isDictionary(value) || Object.keys(value).length === 0) return [path];
  return Object.entries(value).flatMap(([key, item]) => leaves(item, path === '' ? key : `${path}.${key}`));
}

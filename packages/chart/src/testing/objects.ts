// SPDX-License-Identifier: Apache-2.0
/* Rendering for tests, and finding things in what was rendered. */
import { chartDirectory, chartValuesFile, loadChart, type Chart, type ChartName } from '../chart.ts';
import { renderObjects } from '../render.ts';
import type { Dictionary } from '../template/data.ts';
import { mergeValues } from '../values.ts';
import { REQUIRED_VALUES, type ValueSet } from './values.ts';

/** A rendered object, as loosely as tests look into it. */
// oxlint-disable-next-line typescript/no-explicit-any -- tests look into manifests of many kinds
export type Manifest = any;

const charts = new Map<ChartName, Chart>();

/** One of our charts, loaded once. */
export function chartOf(name: ChartName): Chart {
  let chart = charts.get(name);
  if (chart === undefined) {
    chart = loadChart(chartDirectory(name));
    charts.set(name, chart);
  }
  return chart;
}

/** The values of a set, with the required ones and its files under them. */
export function valuesOf(chart: Chart, set: ValueSet): Dictionary {
  const required = chart.metadata.name === 'weft-control-plane' ? REQUIRED_VALUES : {};
  return mergeValues(required, ...(set.files ?? []).map((file) => chartValuesFile(chart, file)), set.values);
}

/** Renders a set of values. */
export function renderSet(name: ChartName, set: ValueSet): Manifest[] {
  const chart = chartOf(name);
  return renderObjects(chart, { values: valuesOf(chart, set), release: { name: 'mesh', namespace: set.namespace ?? 'linkerd' } });
}

/** Renders values. */
export function render(name: ChartName, values: Dictionary = {}): Manifest[] {
  return renderSet(name, { name: '', values });
}

/** The one object of that kind and name. */
export function find(objects: readonly Manifest[], kind: string, name: string): Manifest {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  if (found.length !== 1) throw new Error(`${found.length} objects are ${kind} ${name}`);
  return found[0];
}

/** The pod templates of workloads, with their names. */
export function podTemplates(objects: readonly Manifest[]): { name: string; spec: Manifest; metadata: Manifest }[] {
  return objects.flatMap((object) => {
    const template = object.kind === 'CronJob' ? object.spec.jobTemplate.spec.template : object.spec?.template;
    return template === undefined ? [] : [{ name: object.metadata.name, ...template }];
  });
}

/** Every container of a pod, init containers first. */
export function containersOf(spec: Manifest): Manifest[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** Sorted copy. */
export function sorted(words: readonly string[]): string[] {
  return [...words].sort();
}

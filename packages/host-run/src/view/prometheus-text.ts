// SPDX-License-Identifier: Apache-2.0
/*
 * Reads the text format of Prometheus, as the proxies' admin ports write it (proxy-contract §7): samples only, families are not needed here.
 */

/** One line of values. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Name and labels as written: what tells one series from another. */
  readonly series: string;
}

/** The samples of a text; lines that cannot be read are passed over. `wanted` decides by name, before labels are parsed. */
export function parseSamples(text: string, wanted: (name: string) => boolean): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const nameEnd = line.search(/[{ ]/);
    const name = nameEnd < 0 ? line : line.slice(0, nameEnd);
    if (!wanted(name)) continue;
    const valueAt = line.lastIndexOf(' ');
    const value = Number(line.slice(valueAt + 1));
    if (valueAt < 0 || Number.isNaN(value)) continue;
    const series = line.slice(0, valueAt);
    samples.push({ name, labels: parseLabels(series.slice(name.length)), value, series });
  }
  return samples;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)) {
    labels[name as string] = (value as string).replaceAll(/\\(.)/g, (_whole, escaped: string) => (escaped === 'n' ? '\n' : escaped));
  }
  return labels;
}

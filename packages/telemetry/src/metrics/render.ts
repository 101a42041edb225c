// SPDX-License-Identifier: Apache-2.0
/*
 * The text of `/metrics` (proxy-contract §7): the proxy's two encoders one after the other. They differ in small things that parsers and
 * recording rules may have come to rely on: the legacy one writes a histogram's buckets first with `le` last and whole numbers; the
 * OpenMetrics-like one leaves `_total` out of the TYPE line, writes UNIT lines, sum and count first, `le` first, and fractions always.
 * Families without series are not written.
 */
import { HistogramFamily, type CounterFamily, type GaugeFamily } from './family.ts';

export type AnyFamily = CounterFamily | GaugeFamily | HistogramFamily;

/** Appends one family's text. */
export function renderFamily(family: AnyFamily): string {
  if (family.size === 0) return '';
  return family.layout === 'legacy' ? renderLegacy(family) : renderOpenMetrics(family);
}

function renderLegacy(family: AnyFamily): string {
  let text = `# HELP ${family.name} ${escapeHelp(family.help)}\n# TYPE ${family.name} ${family.type}\n`;
  if (!(family instanceof HistogramFamily)) return text + renderValues(family, family.name);
  for (const [labels, series] of family.entries()) {
    const prefix = labels === '' ? `${family.name}_bucket{le="` : `${family.name}_bucket{${labels},le="`;
    let count = 0;
    for (const [index, bucket] of series.counts.entries()) {
      count += bucket;
      text += `${prefix}${formatNumber(series.bounds[index] ?? Infinity, false)}"} ${count}\n`;
    }
    const suffix = labels === '' ? ' ' : `{${labels}} `;
    text += `${family.name}_count${suffix}${count}\n${family.name}_sum${suffix}${formatNumber(series.sum, family.isFloat)}\n`;
  }
  return text;
}

function renderOpenMetrics(family: AnyFamily): string {
  const { name } = family;
  const help = escapeHelp(family.help);
  let text = `# HELP ${name} ${help.endsWith('.') ? help : `${help}.`}\n# TYPE ${name} ${family.type}\n`;
  if (family.unit !== undefined) text += `# UNIT ${name} ${family.unit}\n`;
  if (!(family instanceof HistogramFamily)) return text + renderValues(family, family.type === 'counter' ? `${name}_total` : name);
  for (const [labels, series] of family.entries()) {
    const suffix = labels === '' ? ' ' : `{${labels}} `;
    text += `${name}_sum${suffix}${formatNumber(series.sum, true)}\n${name}_count${suffix}${series.count}\n`;
    const tail = labels === '' ? '"} ' : `",${labels}} `;
    let count = 0;
    for (const [index, bucket] of series.counts.entries()) {
      count += bucket;
      text += `${name}_bucket{le="${formatNumber(series.bounds[index] ?? Infinity, true)}${tail}${count}\n`;
    }
  }
  return text;
}

function renderValues(family: CounterFamily | GaugeFamily, name: string): string {
  let text = '';
  for (const [labels, series] of family.entries()) {
    text += `${name}${labels === '' ? '' : `{${labels}}`} ${formatNumber(series.value, family.isFloat)}\n`;
  }
  return text;
}

/** `isFloat`: whole numbers are written with `.0`. */
function formatNumber(value: number, isFloat: boolean): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  if (Number.isNaN(value)) return 'NaN';
  return isFloat && Number.isInteger(value) ? `${value}.0` : `${value}`;
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

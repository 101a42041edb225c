// SPDX-License-Identifier: Apache-2.0
/* The results as one SVG: CPU per request of each case, Weft above Envoy, outbound and inbound stacked, with the range over rounds. */
import type { CaseSummary, SubjectSummary } from '../results.ts';

const WIDTH = 860;
const LABEL_WIDTH = 230;
const VALUE_WIDTH = 120;
const BAR_HEIGHT = 13;
const CASE_HEIGHT = 44;
const TOP = 56;

const COLOURS = {
  weft: ['#0f766e', '#5eead4'],
  envoy: ['#9a3412', '#fdba74'],
} as const;

/** Each case has its own scale: saturated and slow cases differ by a factor of ten. */
export function chart(cases: readonly CaseSummary[]): string {
  const shown = cases.filter(({ subjects }) => subjects.weft !== undefined && subjects.envoy !== undefined);
  const height = TOP + shown.length * CASE_HEIGHT + 8;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="CPU per request of Weft and Envoy">`,
    '<style>text{font:13px system-ui,sans-serif;fill:#374151}.small{font-size:11px}.axis{stroke:#6b7280}@media(prefers-color-scheme:dark){text{fill:#d1d5db}}</style>',
    `<text x="0" y="16" font-weight="600">CPU per request, outbound + inbound proxy, µs (median; line: min–max). Less is better; each case has its own scale.</text>`,
    legend(0, 'Weft outbound', COLOURS.weft[0]),
    legend(130, 'Weft inbound', COLOURS.weft[1]),
    legend(260, 'Envoy outbound', COLOURS.envoy[0]),
    legend(390, 'Envoy inbound', COLOURS.envoy[1]),
  ];
  shown.forEach(({ title, subjects: { weft, envoy } }, index) => {
    if (weft === undefined || envoy === undefined) return;
    const y = TOP + index * CASE_HEIGHT;
    const scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / Math.max(weft.cpuUs.max, envoy.cpuUs.max);
    parts.push(
      `<text x="0" y="${y + BAR_HEIGHT + 3}">${title}</text>`,
      bar(y, weft, COLOURS.weft, scale),
      bar(y + BAR_HEIGHT + 2, envoy, COLOURS.envoy, scale),
    );
  });
  parts.push('</svg>');
  return `${parts.join('\n')}\n`;
}

function legend(x: number, text: string, colour: string): string {
  return `<rect x="${x}" y="28" width="11" height="11" fill="${colour}"/><text class="small" x="${x + 16}" y="38">${text}</text>`;
}

function bar(y: number, summary: SubjectSummary, [outbound, inbound]: readonly [string, string], scale: number): string {
  // Medians of the halves need not add up to the median of the sum, which is what the bar shows.
  const share = summary.outboundCpuUs.median / (summary.outboundCpuUs.median + summary.inboundCpuUs.median);
  const length = summary.cpuUs.median * scale;
  const first = length * share;
  const middle = y + BAR_HEIGHT / 2;
  return [
    `<rect x="${LABEL_WIDTH}" y="${y}" width="${first.toFixed(1)}" height="${BAR_HEIGHT}" fill="${outbound}"/>`,
    `<rect x="${(LABEL_WIDTH + first).toFixed(1)}" y="${y}" width="${(length - first).toFixed(1)}" height="${BAR_HEIGHT}" fill="${inbound}"/>`,
    `<line class="axis" x1="${(LABEL_WIDTH + summary.cpuUs.min * scale).toFixed(1)}" x2="${(LABEL_WIDTH + summary.cpuUs.max * scale).toFixed(1)}" y1="${middle}" y2="${middle}"/>`,
    `<text class="small" x="${(LABEL_WIDTH + summary.cpuUs.max * scale + 6).toFixed(1)}" y="${y + BAR_HEIGHT - 2}">${summary.cpuUs.median.toFixed(summary.cpuUs.median < 100 ? 1 : 0)}</text>`,
  ].join('');
}

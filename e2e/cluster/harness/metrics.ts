// SPDX-License-Identifier: Apache-2.0
/* A proxy's metrics page, as far as tests read it. */

/** Sum of a family's samples over those that carry all these label values. */
export function metricSum(page: string, family: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const line of page.split('\n')) {
    if (!line.startsWith(`${family}{`) && !line.startsWith(`${family} `)) continue;
    if (!Object.entries(labels).every(([name, value]) => line.includes(`${name}="${value}"`))) continue;
    sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}

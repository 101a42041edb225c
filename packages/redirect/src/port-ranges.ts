// SPDX-License-Identifier: Apache-2.0
/*
 * Ports to ignore, and how many of them fit into one rule: the multiport match of iptables takes 15, of which a range counts two
 * (proxy-contract §10.1).
 */

const MAX_PORTS_PER_RULE = 15;

/** `first` equals `last` for a single port. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Reads `N` or `N-M`, 0 to 65535, not descending. Undefined for anything else. */
export function parsePortRange(text: string): PortRange | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text.trim());
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return first > last || last > 65_535 ? undefined : { first, last };
}

/** Splits ports into lists for one `--dports` each, order kept: `80,443,8000:8099`. Texts must have passed `parsePortRange`. */
export function multiportLists(texts: readonly string[]): string[] {
  const lists: string[] = [];
  let current: string[] = [];
  let used = 0;
  for (const text of texts) {
    const range = parsePortRange(text);
    if (range === undefined) throw new RangeError(`not a port range: ${text}`);
    const isSingle = range.first === range.last;
    const weight = isSingle ? 1 : 2;
    if (used + weight > MAX_PORTS_PER_RULE) {
      lists.push(current.join(','));
      current = [];
      used = 0;
    }
    current.push(isSingle ? String(range.first) : `${range.first}:${range.last}`);
    used += weight;
  }
  if (current.length > 0) lists.push(current.join(','));
  return lists;
}

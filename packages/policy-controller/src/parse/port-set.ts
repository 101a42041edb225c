// SPDX-License-Identifier: Apache-2.0
/*
 * Sets of port numbers as annotations and flags write them: `25,587,4000-4010` (control-contract §3.2, §3.3). Port names are not part of
 * this grammar: the policy API takes a list that contains one as no list at all, as the reference does.
 */
import { type Parsed, invalid, valid } from './parsed.ts';

/** Ports by inclusive ranges. */
export class PortSet {
  static readonly EMPTY: PortSet = new PortSet([]);
  private readonly ranges: readonly (readonly [first: number, last: number])[];

  constructor(ranges: readonly (readonly [first: number, last: number])[]) {
    this.ranges = ranges;
  }

  has(port: number): boolean {
    for (const [first, last] of this.ranges) if (port >= first && port <= last) return true;
    return false;
  }
}

/** Parses a comma-separated list of ports 1 to 65535 and ranges; blank items are skipped. */
export function parsePortSet(text: string): Parsed<PortSet> {
  const ranges: [number, number][] = [];
  for (const item of text.split(',')) {
    const range = item.trim();
    if (range === '') continue;
    const dash = range.indexOf('-');
    const first = parsePort(dash < 0 ? range : range.slice(0, dash));
    const last = dash < 0 ? first : parsePort(range.slice(dash + 1));
    if (first === undefined || last === undefined || first > last) return invalid(`invalid port or range '${range}'`);
    ranges.push([first, last]);
  }
  return valid(new PortSet(ranges));
}

/** A port number 1 to 65535 in decimal, or undefined. */
export function parsePort(text: string): number | undefined {
  if (!/^[0-9]{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return isPort(port) ? port : undefined;
}

/** Whether a number is a TCP port that can be connected to. */
export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Sets of ports as annotations and flags write them: comma lists of numbers, `lo-hi` ranges and, where the object has named ports, names
 * (control-contract §1.7). A name wins over the range syntax, since `http-8080` is a good port name.
 */

/** An immutable set of ports. */
export class PortSet {
  private readonly ranges: readonly (readonly [low: number, high: number])[];

  constructor(ranges: readonly (readonly [low: number, high: number])[]) {
    this.ranges = ranges;
  }

  has(port: number): boolean {
    return this.ranges.some(([low, high]) => low <= port && port <= high);
  }
}

/** The ports of a name; several when a pod's containers reuse it. */
export type NamedPorts = (name: string) => readonly number[];

const NO_NAMES: NamedPorts = () => [];

/** What a list says: its ports, and the items that mean nothing. */
export interface ParsedPortSet {
  readonly ports: PortSet;
  readonly invalid: readonly string[];
}

/** Parses a comma list; empty items are skipped. */
export function parsePortSet(list: string, namedPorts: NamedPorts = NO_NAMES): ParsedPortSet {
  const ranges: (readonly [number, number])[] = [];
  const invalid: string[] = [];
  for (const untrimmed of list.split(',')) {
    const item = untrimmed.trim();
    if (item === '') continue;
    const named = namedPorts(item);
    if (named.length > 0) {
      for (const port of named) ranges.push([port, port]);
      continue;
    }
    const range = parseRange(item);
    if (range === undefined) invalid.push(item);
    else ranges.push(range);
  }
  return { ports: new PortSet(ranges), invalid };
}

function parseRange(item: string): readonly [number, number] | undefined {
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(item);
  if (match === null) return undefined;
  const low = Number(match[1]);
  const high = match[2] === undefined ? low : Number(match[2]);
  return low <= high && high <= 65_535 ? [low, high] : undefined;
}

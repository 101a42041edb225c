// SPDX-License-Identifier: Apache-2.0
/* A metrics page as values. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All series of one page. */
export class Samples {
  readonly all: readonly Sample[];

  constructor(all: readonly Sample[]) {
    this.all = all;
  }

  /** Series of a family whose labels have these values. A value of '' also matches an absent label. */
  find(name: string, labels: Readonly<Record<string, string>> = {}): readonly Sample[] {
    return this.all.filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => (sample.labels[key] ?? '') === value),
    );
  }

  /** Their sum; 0 where there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.find(name, labels).reduce((total, { value }) => total + value, 0);
  }
}

/** Streams to the control plane that the proxy of this page holds open. */
export function openControlStreams(page: Samples): number {
  return page.sum('control_request_total') - page.sum('control_response_total');
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;

/** Reads the Prometheus text format, or OpenMetrics; lines that are no series are left out. */
export function parseSamples(text: string): Samples {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (name === undefined) continue;
    samples.push({
      name,
      labels: Object.fromEntries([...labels.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)].map(([, key, one]) => [key, one])),
      value: Number(value),
    });
  }
  return new Samples(samples);
}

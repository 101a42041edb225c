// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FamilyOptions } from './family.ts';
import { MAX_LABEL_VALUE_LENGTH } from './labels.ts';
import { processMetrics } from './process.ts';
import { MetricRegistry } from './registry.ts';

interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: string;
}

/** Rebuilds a registry from a captured scrape: what it then renders must be that scrape again. */
function rebuild(text: string): MetricRegistry {
  const registry = new MetricRegistry({ retainIdleMs: 0 });
  let layout: FamilyOptions['layout'] = 'legacy';
  for (const block of text.split(/^(?=# TYPE )/m)) {
    const [typeLine = '', ...rest] = block.trimEnd().split('\n');
    const [, , name = '', type = ''] = typeLine.split(' ');
    // The first family of the second encoder.
    if (name === 'proxy_build_info') layout = 'openmetrics';
    const unit = rest[0]?.startsWith('# UNIT') ? (rest.shift()?.split(' ')[3] as 'seconds' | 'bytes') : undefined;
    const samples: Sample[] = rest
      .filter((line) => !line.startsWith('#'))
      .map((line) => {
        const match = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
        return { name: match?.[1] ?? '', labels: match?.[2] ?? '', value: match?.[3] ?? '' };
      });
    const options: FamilyOptions = {
      layout,
      ...(unit === undefined ? {} : { unit }),
      isFloat: type !== 'histogram' && samples.some((sample) => sample.value.includes('.')),
    };
    if (type === 'counter')
      for (const one of samples) registry.counter(name, 'x', undefined, options).get(one.labels).inc(Number(one.value));
    else if (type === 'gauge')
      for (const one of samples) registry.gauge(name, 'x', undefined, options).get(one.labels).set(Number(one.value));
    else rebuildHistogram(registry, name, options, samples);
  }
  return registry;
}

function rebuildHistogram(registry: MetricRegistry, name: string, options: FamilyOptions, samples: readonly Sample[]): void {
  const split = (labels: string): { rest: string; bound: string } => {
    const bound = /(?:^|,)le="([^"]*)"/.exec(labels)?.[1] ?? '';
    return { bound, rest: labels.replace(`le="${bound}"`, '').replace(/^,|,$/g, '') };
  };
  const buckets = samples.filter((sample) => sample.name.endsWith('_bucket'));
  const bounds = [...new Set(buckets.map((sample) => split(sample.labels).bound))].filter((bound) => bound !== '+Inf').map(Number);
  const family = registry.histogram(name, 'x', bounds, undefined, options);
  const cumulative = new Map<string, number>();
  for (const { labels, value } of buckets) {
    const { rest, bound } = split(labels);
    const index = bound === '+Inf' ? bounds.length : bounds.indexOf(Number(bound));
    family.get(rest).counts[index] = Number(value) - (cumulative.get(rest) ?? 0);
    cumulative.set(rest, Number(value));
  }
  for (const sample of samples) if (sample.name.endsWith('_sum')) family.get(sample.labels).sum = Number(sample.value);
}

describe('render', () => {
  it.each(['inbound-side-small.prom', 'outbound-side.full.prom'])('[MET-01] writes the layout of the captured scrape %s', (file) => {
    const text = readFileSync(new URL(`../testdata/vectors/metrics/${file}`, import.meta.url), 'utf8');
    // Two shortest decimals may name one double; the reference and V8 choose differently at a tie.
    const captured = text.replaceAll(/ \d+\.\d{6,}$/gm, (value) => ` ${Number(value)}`);
    const rendered = rebuild(captured)
      .render()
      .replace(/^# HELP .*\n/gm, '');
    expect(rendered.split('\n').length).toBe(captured.split('\n').length);
    expect(rendered).toBe(captured);
  });

  it('writes help once and a final full stop only in the second layout', () => {
    const registry = new MetricRegistry();
    registry.counter('request_total', 'Total count of HTTP requests.', undefined, { layout: 'legacy' }).get({ direction: 'inbound' }).inc();
    registry.counter('things_total', 'Things').get().inc(2);
    expect(registry.render()).toBe(
      [
        '# HELP request_total Total count of HTTP requests.',
        '# TYPE request_total counter',
        'request_total{direction="inbound"} 1',
        '# HELP things Things.',
        '# TYPE things counter',
        'things_total 2',
        '# EOF',
        '',
      ].join('\n'),
    );
  });

  it('escapes what users and peers put into labels, and cuts it', () => {
    const registry = new MetricRegistry();
    registry.gauge('g', 'x', ['a']).get({ a: 'line\nfeed "quoted" back\\slash\r' }).set(1);
    registry
      .gauge('h', 'x', ['a'])
      .get({ a: 'y'.repeat(5_000) })
      .set(1);
    const text = registry.render();
    expect(text).toContain('g{a="line\\nfeed \\"quoted\\" back\\\\slash "} 1\n');
    expect(text).toContain(`h{a="${'y'.repeat(MAX_LABEL_VALUE_LENGTH)}"} 1\n`);
  });

  it('writes declared labels in their order, missing ones empty, and leaves undefined ones out otherwise', () => {
    const registry = new MetricRegistry();
    registry.gauge('declared', 'x', ['a', 'b']).get({ b: '2' }).set(1);
    registry.gauge('free', 'x').get({ b: '2', a: undefined, c: '3' }).set(1);
    expect(registry.render()).toContain('declared{a="",b="2"} 1\n');
    expect(registry.render()).toContain('free{b="2",c="3"} 1\n');
  });
});

describe('histogram', () => {
  it('puts a value on a bound into the bucket of that bound', () => {
    const series = new MetricRegistry().histogram('h', 'x', [1, 2, 3]).get();
    for (const value of [0, 1, 1.5, 2, 3, 99]) series.observe(value);
    expect(series.counts).toEqual([2, 2, 1, 1]);
    expect([series.count, series.sum]).toEqual([6, 106.5]);
  });
});

describe('limits', () => {
  it('gives one unrendered series to all label sets past the limit and counts them', () => {
    const registry = new MetricRegistry({ maxSeries: 2 });
    const family = registry.counter('c_total', 'x', ['a'], { layout: 'legacy' });
    for (const a of ['1', '2', '3', '4']) family.get({ a }).inc();
    const text = registry.render();
    expect(text).not.toContain('a="3"');
    expect(text).toContain('weft_metrics_series_overflow_total{family="c_total"} 2\n');
  });

  it('drops idle series of the legacy layout, and brings back those that a holder moves', () => {
    let nowMs = 0;
    const registry = new MetricRegistry({ retainIdleMs: 1_000, now: () => nowMs });
    const family = registry.counter('c_total', 'x', ['a'], { layout: 'legacy' });
    const kept = registry.counter('kept', 'x').get();
    kept.inc();
    const idle = family.get({ a: 'idle' });
    const busy = family.get({ a: 'busy' });
    registry.render();
    nowMs = 999;
    busy.inc();
    expect(registry.render()).toContain('a="idle"');
    nowMs = 1_500;
    const text = registry.render();
    expect(text).not.toContain('a="idle"');
    expect(text).toContain('a="busy"');
    nowMs = 10_000;
    expect(registry.render()).not.toContain('a="busy"');
    expect(registry.render()).toContain('kept_total 1');
    idle.inc(3);
    expect(registry.render()).toContain('c_total{a="idle"} 3\n');
    expect(family.get({ a: 'idle' })).toBe(idle);
  });

  it('keeps a gauge that is not at zero', () => {
    let nowMs = 0;
    const registry = new MetricRegistry({ retainIdleMs: 1_000, now: () => nowMs });
    const open = registry.gauge('tcp_open_connections', 'x', undefined, { layout: 'legacy' }).get();
    open.inc();
    registry.render();
    nowMs = 5_000;
    expect(registry.render()).toContain('tcp_open_connections 1');
    open.dec();
    registry.render();
    nowMs = 10_000;
    expect(registry.render()).not.toContain('tcp_open_connections');
  });

  it('refuses one name for two types', () => {
    const registry = new MetricRegistry();
    registry.counter('x', 'x');
    expect(() => registry.gauge('x', 'x')).toThrow(/already declared as counter/);
  });
});

describe('processMetrics', () => {
  it('[MET-25] writes the families of the reference with their types and units', () => {
    const registry = new MetricRegistry();
    processMetrics(registry);
    const text = registry.render();
    const captured = readFileSync(new URL('../testdata/vectors/metrics/outbound-side.full.prom', import.meta.url), 'utf8');
    const headers = (scrape: string): string[] => scrape.split('\n').filter((line) => /^# (TYPE|UNIT) process_/.test(line));
    expect(headers(text)).toEqual(headers(captured));
    expect(Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(1_000_000);
    expect(text).toMatch(/^process_clock_time_seconds \d+\.0$/m);
  });
});

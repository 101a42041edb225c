// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { PromCounter, promMetricFactory, promRegistry } from './prom.ts';

describe('promRegistry', () => {
  it('[MET-30] holds the process families and what is added, apart from other registries', async () => {
    const [one, other] = [promRegistry(), promRegistry()];
    new PromCounter({ name: 'things_total', help: 'Things', registers: [one] }).inc(2);
    expect(await one.metrics()).toMatch(/^things_total 2$/m);
    expect(await one.metrics()).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(await other.metrics()).not.toContain('things_total');
  });
});

describe('promMetricFactory', () => {
  it('gives one family for one name', async () => {
    const registry = promRegistry();
    const factory = promMetricFactory(registry);
    factory.counter('c_total', 'x', ['a']).inc({ a: '1' });
    factory.counter('c_total', 'x', ['a']).inc({ a: '1' }, 2);
    factory.histogram('h', 'x', [], [1, 2]).observe({}, 1.5);
    const text = await registry.metrics();
    expect(text).toMatch(/^c_total\{a="1"\} 3$/m);
    expect(text).toMatch(/^h_bucket\{le="2"\} 1$/m);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { PromCounter, promRegistry } from './prom.ts';

describe('promRegistry', () => {
  it('[MET-30] holds the process families and what is added, apart from other registries', async () => {
    const [one, other] = [promRegistry(), promRegistry()];
    new PromCounter({ name: 'things_total', help: 'Things', registers: [one] }).inc(2);
    expect(await one.metrics()).toMatch(/^things_total 2$/m);
    expect(await one.metrics()).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(await other.metrics()).not.toContain('things_total');
  });
});

// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from 'vitest/config';

// Two files at a time: each has two proxies of its own, and much of a test is waiting.
export default defineConfig({
  resolve: { conditions: ['weft-source'] },
  ssr: { resolve: { conditions: ['weft-source'], externalConditions: ['weft-source'] } },
  test: {
    include: ['e2e/hostile/**/*.e2e.ts'],
    // See its first lines.
    exclude: process.env.WEFT_HOSTILE_SUITES === 'nightly' ? [] : ['e2e/hostile/memory-limit.e2e.ts'],
    root: '.',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});

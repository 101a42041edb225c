// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from 'vitest/config';

// One file at a time: each has two proxies of its own and loads them as far as it can.
export default defineConfig({
  resolve: { conditions: ['weft-source'] },
  ssr: { resolve: { conditions: ['weft-source'], externalConditions: ['weft-source'] } },
  test: {
    include: ['e2e/hostile/**/*.e2e.ts'],
    root: '.',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    fileParallelism: false,
  },
});

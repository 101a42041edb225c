// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from 'vitest/config';

// One file at a time: one of them has an API server of its own.
export default defineConfig({
  resolve: { conditions: ['weft-source'] },
  ssr: { resolve: { conditions: ['weft-source'], externalConditions: ['weft-source'] } },
  test: {
    include: ['e2e/charts/*.e2e.ts'],
    root: '.',
    testTimeout: 120_000,
    hookTimeout: 300_000,
    pool: 'forks',
    fileParallelism: false,
  },
});

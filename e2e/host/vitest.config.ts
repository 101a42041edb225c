// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from 'vitest/config';

// One file at a time: each has a whole mesh of its own, and two would starve each other on a small machine.
export default defineConfig({
  resolve: { conditions: ['weft-source'] },
  ssr: { resolve: { conditions: ['weft-source'], externalConditions: ['weft-source'] } },
  test: {
    include: ['e2e/host/**/*.e2e.ts'],
    root: '.',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    fileParallelism: false,
  },
});

// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from 'vitest/config';

// One file at a time: each has two proxies of its own, and a starved proxy would fail cases that wait two seconds.
export default defineConfig({
  resolve: { conditions: ['weft-source'] },
  ssr: { resolve: { conditions: ['weft-source'], externalConditions: ['weft-source'] } },
  test: {
    include: ['e2e/conformance/**/*.e2e.ts'],
    root: '.',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    fileParallelism: false,
  },
});

// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from 'vitest/config';

// Package tests that make network namespaces and iptables rules of their own.
export default defineConfig({
  resolve: { conditions: ['weft-source'] },
  ssr: { resolve: { conditions: ['weft-source'], externalConditions: ['weft-source'] } },
  test: {
    include: ['packages/*/src/**/*.netns.test.ts', 'apps/*/src/**/*.netns.test.ts'],
    testTimeout: 60_000,
    pool: 'forks',
    fileParallelism: false,
  },
});

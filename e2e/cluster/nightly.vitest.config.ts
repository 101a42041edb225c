// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from 'vitest/config';

// The long parts: `.ci/nightly`.
export default defineConfig({
  resolve: { conditions: ['weft-source'] },
  ssr: { resolve: { conditions: ['weft-source'], externalConditions: ['weft-source'] } },
  test: {
    include: ['e2e/cluster/nightly/*.e2e.ts'],
    globalSetup: ['e2e/cluster/shared-cluster-setup.ts'],
    root: '.',
    testTimeout: 1_800_000,
    hookTimeout: 600_000,
    pool: 'forks',
    fileParallelism: false,
  },
});

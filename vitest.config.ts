import { defineConfig } from 'vitest/config';

// Unit, vector and property tests: beside the code they test. End-to-end suites have their own configs under e2e/.
export default defineConfig({
  resolve: { conditions: ['weft-source'] },
  ssr: { resolve: { conditions: ['weft-source'], externalConditions: ['weft-source'] } },
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'apps/*/src/**/*.test.ts',
      'bench/src/**/*.test.ts',
      'images/src/**/*.test.ts',
      'tools/**/*.test.ts',
      'e2e/docs/**/*.test.ts',
      'e2e/cluster/**/*.test.ts',
    ],
    // Those need root and iptables: vitest.netns.config.ts.
    exclude: ['**/node_modules/**', '**/*.netns.test.ts'],
    testTimeout: 30_000,
    pool: 'forks',
  },
});

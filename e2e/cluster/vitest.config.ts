// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from 'vitest/config';

// These make local clusters of their own, whatever the others run on.
const LOCAL_ONLY = ['nodes', 'resources', 'identity', 'destination', 'proxy-injector'].map((name) => `e2e/cluster/${name}.e2e.ts`);

// Minutes each, on clusters of their own: left out by `npm run test:cluster -- --core`, for a developer in a hurry.
const LONG = ['lifecycle', 'guides', 'cni', 'nodes', 'dual-stack-mesh', 'trust-rotation'].map((name) => `e2e/cluster/${name}.e2e.ts`);

// One file at a time: they share a cluster, and a starved one fails what waits for seconds.
export default defineConfig({
  resolve: { conditions: ['weft-source'] },
  ssr: { resolve: { conditions: ['weft-source'], externalConditions: ['weft-source'] } },
  test: {
    include: ['e2e/cluster/*.e2e.ts'],
    exclude: [
      ...(process.env.WEFT_CLUSTER_PROVIDER === 'kind' ? LOCAL_ONLY : []),
      ...(process.env.WEFT_CLUSTER_SUITES === 'core' ? LONG : []),
    ],
    globalSetup: ['e2e/cluster/shared-cluster-setup.ts'],
    root: '.',
    testTimeout: 180_000,
    hookTimeout: 300_000,
    pool: 'forks',
    fileParallelism: false,
  },
});

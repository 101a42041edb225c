// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run test:charts`: our renderer against Helm, and everything that the charts render against a real API server. Builds Helm and
 * Kubernetes where they are not in the cache; the last line is `N passed, N failed`.
 */
import { bootstrap } from '../../tools/bootstrap.mjs';
import { fail, finish, suite } from '../../tools/run-suite.mjs';
import { prepareSystem } from '../../tools/system-packages.mjs';

bootstrap();
// Only the pinned Node reads TypeScript.
const { buildGoTools } = await import('../../tools/go-tools.ts');
const { SYSTEM_COMMANDS } = await import('../cluster/local/local-cluster.ts');
const problem = prepareSystem(SYSTEM_COMMANDS);
if (problem === undefined) {
  await buildGoTools(['helm'], console.log);
  suite('charts', 'e2e/charts/vitest.config.ts');
} else {
  fail(1, problem);
}
finish();

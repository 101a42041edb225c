// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run test:cluster`: the end-to-end tests on a real Kubernetes; `--core` leaves out those that take minutes on clusters of their own, `--nightly` runs
 * the very long ones. Builds Kubernetes (once per version, about twenty minutes on a small machine), the programs and the images; the last line is
 * `N passed, N failed`. `WEFT_CLUSTER_PROVIDER=kind` runs them on kind.
 */
import { execFileSync } from 'node:child_process';
import { bootstrap } from '../../tools/bootstrap.mjs';
import { fail, finish, suite } from '../../tools/run-suite.mjs';
import { prepareSystem } from '../../tools/system-packages.mjs';

bootstrap();
// Only the pinned Node reads TypeScript.
const { SYSTEM_COMMANDS } = await import('./local/local-cluster.ts');
const problem = prepareSystem(SYSTEM_COMMANDS);
if (problem === undefined) {
  execFileSync('npm', ['run', 'build', '--silent'], { stdio: 'inherit' });
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  execFileSync('npm', ['run', 'images', '--silent', '--', '--arch', architecture, '--no-build'], { stdio: 'inherit' });
  if (process.argv.includes('--core')) process.env.WEFT_CLUSTER_SUITES = 'core';
  if (process.argv.includes('--nightly')) suite('nightly', 'e2e/cluster/nightly.vitest.config.ts');
  else suite('cluster', 'e2e/cluster/vitest.config.ts');
} else {
  fail(1, problem);
}
finish();

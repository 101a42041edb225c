// SPDX-License-Identifier: Apache-2.0
/*
 * Runs vitest configurations one after another and adds up their reports. A suite that ran nothing, a file that did not load and a skipped
 * test all count as failures: a test that cannot run does not pass. Reports go to `reports/<name>.json`, where tools/features.mjs reads them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const REPORTS = 'reports';

/** Sums over all suites of this process. */
export const totals = { passed: 0, failed: 0 };

/** Runs one vitest configuration and adds up its report. */
export function suite(name, config) {
  mkdirSync(REPORTS, { recursive: true });
  const report = join(REPORTS, `${name}.json`);
  rmSync(report, { force: true });
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--config',
    config,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ];
  const result = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (!existsSync(report)) {
    fail(1, `${name}: no report was written`);
    return;
  }
  const { numPassedTests, numFailedTests, numTotalTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  totals.passed += numPassedTests;
  totals.failed += numFailedTests;
  const skipped = numPendingTests + numTodoTests;
  if (skipped > 0) fail(skipped, `${name}: ${skipped} tests were skipped; nothing may be skipped`);
  const brokenFiles = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  for (const file of brokenFiles) fail(1, `${name}: ${file.name} did not run: ${file.message}`);
  if (numTotalTests === 0) fail(1, `${name}: no test ran`);
  if (result.status !== 0 && numFailedTests === 0 && brokenFiles.length === 0)
    fail(1, `${name}: the test runner ended with ${result.status}`);
}

/** Counts failures that are no test's own. */
export function fail(count, why) {
  console.error(why);
  totals.failed += count;
}

/** Prints the closing line and ends the process. */
export function finish() {
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  process.exit(totals.failed === 0 ? 0 : 1);
}

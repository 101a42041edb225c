// SPDX-License-Identifier: Apache-2.0
/*
 * `npm test`: the unit, vector and property tests, then the host end-to-end tests with real proxies in network namespaces. The last line is
 * `N passed, N failed`. `--unit` leaves the end-to-end part out; without it, a machine that cannot run that part fails the tests.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';

bootstrap();
const isUnitOnly = process.argv.includes('--unit');
const REPORTS = 'reports';
mkdirSync(REPORTS, { recursive: true });

let passed = 0;
let failed = 0;

/** Runs one vitest configuration and adds up its report. A suite that ran nothing has failed. */
function suite(name, config) {
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
    console.error(`${name}: no report was written`);
    failed += 1;
    return;
  }
  const { numPassedTests, numFailedTests, numTotalTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  passed += numPassedTests;
  failed += numFailedTests;
  const skipped = numPendingTests + numTodoTests;
  if (skipped > 0) {
    console.error(`${name}: ${skipped} tests were skipped; nothing may be skipped`);
    failed += skipped;
  }
  const brokenFiles = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  for (const file of brokenFiles) console.error(`${name}: ${file.name} did not run: ${file.message}`);
  failed += brokenFiles.length;
  if (numTotalTests === 0) {
    console.error(`${name}: no test ran`);
    failed += 1;
  }
  if (result.status !== 0 && numFailedTests === 0 && brokenFiles.length === 0) {
    console.error(`${name}: the test runner ended with ${result.status}`);
    failed += 1;
  }
}

function hasCommand(command) {
  return ['/usr/sbin', '/sbin', '/usr/bin', '/bin', ...(process.env.PATH ?? '').split(':')].some((dir) => existsSync(join(dir, command)));
}

/** What the end-to-end tests need of the system, as command → Debian package. Installed visibly where apt-get is there. */
function prepareSystem() {
  if (process.platform !== 'linux') return 'the end-to-end tests need Linux; run `npm test -- --unit` for the rest';
  if (process.getuid() !== 0)
    return 'the end-to-end tests make network namespaces: run `sudo npm test`, or `npm test -- --unit` for the rest';
  const needed = {
    ip: 'iproute2',
    'iptables-nft': 'iptables',
    setpriv: 'util-linux',
    nsenter: 'util-linux',
    'redis-server': 'redis-server',
    python3: 'python3',
  };
  const missing = [...new Set(Object.entries(needed).flatMap(([command, debian]) => (hasCommand(command) ? [] : [debian])))];
  if (missing.length === 0) return undefined;
  if (!hasCommand('apt-get')) return `the end-to-end tests need these packages: ${missing.join(' ')}`;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Services of installed packages are not wanted: only their binaries are.
  for (const command of [
    ['apt-get', 'update', '-q'],
    ['apt-get', 'install', '-y', '-q', '--no-install-recommends', ...missing],
  ]) {
    console.log(`$ ${command.join(' ')}`);
    execFileSync(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'], env });
  }
  return undefined;
}

suite('unit', 'vitest.config.ts');
if (!isUnitOnly) {
  const problem = prepareSystem();
  if (problem === undefined) {
    execFileSync('npm', ['run', 'build', '--silent'], { stdio: 'inherit' });
    suite('host', 'e2e/host/vitest.config.ts');
  } else {
    console.error(problem);
    failed += 1;
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

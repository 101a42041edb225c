// SPDX-License-Identifier: Apache-2.0
/*
 * `npm test`: the unit, vector and property tests, then the end-to-end tests with real proxies in network namespaces. The last line is
 * `N passed, N failed`. `--unit` leaves the end-to-end part out; without it, a machine that cannot run that part fails the tests.
 */
import { execFileSync } from 'node:child_process';
import { bootstrap } from './bootstrap.mjs';
import { fail, finish, suite } from './run-suite.mjs';
import { prepareSystem } from './system-packages.mjs';

bootstrap();
suite('unit', 'vitest.config.ts');
if (!process.argv.includes('--unit')) {
  const problem = prepareSystem({
    ip: 'iproute2',
    'iptables-nft': 'iptables',
    setpriv: 'util-linux',
    nsenter: 'util-linux',
    'redis-server': 'redis-server',
    python3: 'python3',
  });
  if (problem === undefined) {
    execFileSync('npm', ['run', 'build', '--silent'], { stdio: 'inherit' });
    suite('netns', 'vitest.netns.config.ts');
    suite('wire', 'e2e/wire/vitest.config.ts');
    suite('host', 'e2e/host/vitest.config.ts');
  } else {
    fail(1, problem);
  }
}
finish();

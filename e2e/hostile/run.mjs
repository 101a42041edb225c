// SPDX-License-Identifier: Apache-2.0
/* `npm run test:hostile`: bad inputs against running proxies (e2e/hostile). The proxy is built first. `--nightly`: also at a limit of 64 MiB. */
import { execFileSync } from 'node:child_process';
import { fail, finish, suite } from '../../tools/run-suite.mjs';
import { prepareSystem } from '../../tools/system-packages.mjs';

const problem = prepareSystem({ ip: 'iproute2', 'iptables-nft': 'iptables', setpriv: 'util-linux', prlimit: 'util-linux' });
if (problem === undefined) {
  execFileSync('npm', ['run', 'build', '--silent'], { stdio: 'inherit' });
  if (process.argv.includes('--nightly')) process.env.WEFT_HOSTILE_SUITES = 'nightly';
  suite('hostile', 'e2e/hostile/vitest.config.ts');
} else {
  fail(1, problem);
}
finish();

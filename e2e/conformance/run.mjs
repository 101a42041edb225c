// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run test:conformance`: h2spec and the gRPC interoperability tests through two real proxies. Builds the proxy and, once per version,
 * the two foreign test programs; the last line is `N passed, N failed`.
 */
import { execFileSync } from 'node:child_process';
import { bootstrap } from '../../tools/bootstrap.mjs';
import { fail, finish, suite } from '../../tools/run-suite.mjs';
import { prepareSystem } from '../../tools/system-packages.mjs';

bootstrap();
// Only the pinned Node reads TypeScript.
const { buildGoTools } = await import('./go-tools.ts');
const problem =
  prepareSystem({ ip: 'iproute2', 'iptables-nft': 'iptables', setpriv: 'util-linux' }) ?? (await buildGoTools((line) => console.log(line)));
if (problem === undefined) {
  execFileSync('npm', ['run', 'build', '--silent', '-w', '@weft/app-proxy'], { stdio: 'inherit' });
  suite('conformance', 'e2e/conformance/vitest.config.ts');
} else {
  fail(1, problem);
}
finish();

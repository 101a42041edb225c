// SPDX-License-Identifier: Apache-2.0
/* `npm run demo`: builds the apps and runs the mesh of examples/demo. Further arguments go to `weft run` (`npm run demo -- --for 30s`). */
import { execFileSync, spawn } from 'node:child_process';
import { bootstrap } from './bootstrap.mjs';

bootstrap();
if (process.platform !== 'linux' || process.getuid() !== 0) {
  console.error('The demo makes network namespaces: run it as root on Linux (sudo npm run demo).');
  process.exit(1);
}
execFileSync('npm', ['run', 'build', '--silent'], { stdio: 'inherit' });
const weft = spawn(process.execPath, ['apps/cli/dist/main.js', 'run', 'examples/demo', '--install-deps', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// Ctrl-C reaches both; `weft run` cleans up and then ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && weft.kill(signal));
weft.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 0 : 1)));

// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run images [-- NAME… --arch ARCH …]`: builds the apps, then the images into dist/images (docs/reference/images.md). `--no-build` takes the
 * bundles as they are.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { bootstrap } from './bootstrap.mjs';

bootstrap();
const args = process.argv.slice(2).filter((arg) => arg !== '--no-build');
if (args.length === process.argv.length - 2 && !args.includes('--update-lock'))
  execFileSync('npm', ['run', 'build', '--silent'], { stdio: 'inherit' });
const { status } = spawnSync(process.execPath, ['--conditions=weft-source', 'images/src/main.ts', ...args], { stdio: 'inherit' });
process.exit(status ?? 1);

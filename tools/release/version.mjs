// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run release:version`: takes the changesets into versions and changelogs (`changeset version`), then gives the charts the version of the
 * product, and brings the lock file along. Charts, proxy, control plane, CNI plugin and CLI move together; libraries move each for itself.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap } from '../bootstrap.mjs';

/** The lines of a chart that name the product's version. */
const VERSION_LINES = {
  'Chart.yaml': /^((?:version|appVersion): ).*$/gm,
  'values.yaml': /^(linkerdVersion: |  version: (?=\d+\.\d+\.\d+$)).*$/gm,
};

bootstrap();
if (!process.argv.includes('--charts-only')) {
  execFileSync('npx', ['changeset', 'version'], { stdio: 'inherit' });
  execFileSync('npm', ['install', '--package-lock-only', '--no-progress'], { stdio: 'inherit' });
}
const { version } = JSON.parse(readFileSync('apps/proxy/package.json', 'utf8'));
for (const chart of readdirSync('charts')) {
  for (const [file, lines] of Object.entries(VERSION_LINES)) {
    const path = join('charts', chart, file);
    const text = readFileSync(path, 'utf8');
    const versioned = text.replace(lines, `$1${version}`);
    if (versioned !== text) {
      writeFileSync(path, versioned);
      console.log(`${path}: ${version}`);
    }
  }
}
// Their tables of values name the version as a default.
execFileSync('npm', ['run', 'docs:charts', '--silent'], { stdio: 'inherit' });

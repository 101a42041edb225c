// SPDX-License-Identifier: Apache-2.0
import { cpSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { appBundle } from '../../tools/tsup-preset.ts';

// The version is the proxy's and the control plane's: the three are released together.
const { version } = JSON.parse(readFileSync(new URL('../proxy/package.json', import.meta.url), 'utf8')) as { readonly version: string };
const dist = new URL('dist/', import.meta.url);
const startedMs = Date.now();

// `weft install` renders the charts, so they travel with it.
cpSync(new URL('../../charts', import.meta.url), new URL('charts', dist), { recursive: true });

/** The names of the parts change with their contents: those of earlier builds would stay. They go last, so that there is always a program. */
function removeOldParts(): Promise<void> {
  for (const name of readdirSync(dist)) {
    const file = new URL(name, dist);
    if (/\.js(\.map)?$/.test(name) && statSync(file).mtimeMs < startedMs) rmSync(file);
  }
  return Promise.resolve();
}

// In parts, because `weft --help` must not read the client of the Kubernetes API.
export default appBundle({ isSplit: true, isMinified: true, constants: { WEFT_VERSION: version }, afterBuild: removeOldParts });

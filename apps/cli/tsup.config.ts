// SPDX-License-Identifier: Apache-2.0
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { appBundle } from '../../tools/tsup-preset.ts';

// The version is the proxy's and the control plane's: the three are released together.
const { version } = JSON.parse(readFileSync(new URL('../proxy/package.json', import.meta.url), 'utf8')) as { readonly version: string };

// The names of the parts change with their contents: those of an earlier build would stay.
const dist = new URL('dist/', import.meta.url);
try {
  for (const name of readdirSync(dist)) if (/\.js(\.map)?$/.test(name)) rmSync(new URL(name, dist));
} catch {
  // Nothing has been built yet.
}

// `weft install` renders the charts, so they travel with it.
rmSync(new URL('charts', dist), { recursive: true, force: true });
cpSync(new URL('../../charts', import.meta.url), new URL('charts', dist), { recursive: true });

// In parts, because `weft --help` must not read the client of the Kubernetes API.
export default appBundle({ isSplit: true, isMinified: true, constants: { WEFT_VERSION: version } });

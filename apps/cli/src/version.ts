// SPDX-License-Identifier: Apache-2.0
/* The version of this program, which is that of the control plane and the proxy that its charts install: they are released together. */
import { readFileSync } from 'node:fs';

declare const WEFT_VERSION: string | undefined;

/** Filled in by the bundle; from the sources, read from the proxy's manifest. */
export const VERSION: string = typeof WEFT_VERSION === 'string' ? WEFT_VERSION : sourceVersion();

function sourceVersion(): string {
  const manifest = readFileSync(new URL('../../proxy/package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

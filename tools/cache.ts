// SPDX-License-Identifier: Apache-2.0
/*
 * Where slow builds are kept: outside the checkout, one directory per thing and version, so that a checkout can be thrown away and two versions
 * stand side by side. What is there is whole: everything is made under another name first and renamed into place.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `$WEFT_CACHE`, else `$XDG_CACHE_HOME/weft`, else `~/.cache/weft`. */
export function cacheDirectory(): string {
  const own = process.env.WEFT_CACHE;
  if (own !== undefined && own !== '') return own;
  const xdg = process.env.XDG_CACHE_HOME;
  return join(xdg !== undefined && xdg !== '' ? xdg : join(homedir(), '.cache'), 'weft');
}

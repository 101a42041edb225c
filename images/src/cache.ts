// SPDX-License-Identifier: Apache-2.0
/*
 * What is downloaded and built once, outside the checkout: files under names that say everything that went into them. A file is complete or
 * absent: it is written beside its place and then renamed.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** The directory: WEFT_CACHE, else weft in XDG_CACHE_HOME or ~/.cache; in it, `images`. */
export function cacheDirectory(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(process.env['WEFT_CACHE'] ?? join(cache, 'weft'), 'images');
}

/** The file's bytes, made where it is absent. */
export async function cached(name: string, make: () => Buffer | Promise<Buffer>): Promise<Buffer> {
  const path = join(cacheDirectory(), name);
  if (existsSync(path)) return readFileSync(path);
  const bytes = await make();
  writeWhole(path, bytes);
  return bytes;
}

/** Writes a file that others see either whole or not at all. */
export function writeWhole(path: string, bytes: Uint8Array | readonly Uint8Array[]): void {
  mkdirSync(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}.partial`;
  writeFileSync(beside, bytes instanceof Uint8Array ? bytes : Buffer.concat(bytes));
  renameSync(beside, path);
}

/** A short name for a set of inputs. */
export function inputsKey(...inputs: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const input of inputs) {
    hash.update(`${input.length}:`);
    hash.update(input);
  }
  return hash.digest('hex').slice(0, 32);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Readers of the captured files beside this one.
 */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';

const directory = new URL('vectors/wire/', import.meta.url);

/** The byte strings of a .hex file, one a line; `#` begins a note. */
export function readHex(file: string): Buffer[] {
  return readFileSync(new URL(file, directory), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => Buffer.from(line, 'hex'));
}

export function readJson(file: string): unknown {
  return JSON.parse(readFileSync(new URL(file, directory), 'utf8'));
}

// SPDX-License-Identifier: Apache-2.0
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findExtension, runExtension, subCommandIndex } from './external-command.ts';
import { addGlobalOptions } from './global-options.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-path-'));
  for (const [name, mode] of [
    ['weft-both', 0o755],
    ['linkerd-both', 0o755],
    ['linkerd-only', 0o755],
    ['weft-data', 0o644],
  ] as const) {
    writeFileSync(join(directory, name), '#!/bin/sh\nexit "$1"\n');
    chmodSync(join(directory, name), mode);
  }
  mkdirSync(join(directory, 'weft-folder'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('[CLI-02] programs on PATH', () => {
  it.each([
    ['both', 'weft-both'],
    ['only', 'linkerd-only'],
    ['data', undefined],
    ['folder', undefined],
    ['../both', undefined],
    ['nothing', undefined],
  ])('%s is %s', (name, file) => {
    expect(findExtension(name, `/nowhere:${directory}`)).toBe(file === undefined ? undefined : join(directory, file));
  });

  it('end with their own code', async () => {
    expect(await runExtension(join(directory, 'linkerd-only'), ['7'])).toBe(7);
  });

  it.each([
    [['hello', 'a'], 0],
    [['--verbose', '--context', 'c', 'hello'], 3],
    [['-L', 'mesh', 'hello'], 2],
    [['--context=c', 'hello'], 1],
    [['--help'], undefined],
    [[], undefined],
    [['--', 'hello'], undefined],
  ])('the word of %j is at %s', (argv, index) => {
    expect(subCommandIndex(argv, addGlobalOptions(new Command()))).toBe(index);
  });
});

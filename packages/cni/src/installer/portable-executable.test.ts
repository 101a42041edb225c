// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import { describe, expect, it } from 'vitest';
import { makePortable, ownLibraries } from '../index.ts';

const libraries = ownLibraries().map((path) => ({ name: basename(path), content: readFileSync(path) }));

describe('makePortable', () => {
  it('[NET-08] makes Node itself run with the libraries beside it', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-portable-'));
    try {
      const { content, libraryDir } = makePortable(readFileSync(process.execPath), libraries, directory);
      mkdirSync(join(directory, libraryDir));
      for (const { name, content: bytes } of libraries) writeFileSync(join(directory, libraryDir, name), bytes, { mode: 0o755 });
      writeFileSync(join(directory, 'node'), content, { mode: 0o755 });
      const maps = "process.stdout.write(require('fs').readFileSync('/proc/self/maps', 'utf8'))";
      const { stdout } = spawnSync(join(directory, 'node'), ['-e', maps], { encoding: 'utf8' });
      const loaded = [...new Set(stdout.split('\n').flatMap((line) => /(\/\S+\.so\S*)$/.exec(line)?.[1] ?? []))];
      expect(loaded.length).toBeGreaterThan(3);
      for (const path of loaded) expect(path.startsWith(join(directory, libraryDir))).toBe(true);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('gives libraries of another build another directory', () => {
    const node = readFileSync(process.execPath);
    const [first, ...others] = libraries;
    const changed = [{ name: first?.name ?? '', content: Buffer.from('another build') }, ...others];
    expect(makePortable(node, changed, '/d').libraryDir).not.toBe(makePortable(node, libraries, '/d').libraryDir);
  });

  it('leaves alone what is no dynamic ELF file, and everything where there are no libraries', () => {
    for (const file of [Buffer.from('#!/bin/sh\n'), Buffer.alloc(0), Buffer.alloc(64)]) {
      expect(makePortable(file, libraries, '/d')).toEqual({ content: file, libraryDir: '' });
    }
    const node = readFileSync(process.execPath);
    expect(makePortable(node, [], '/d').content).toBe(node);
  });
});

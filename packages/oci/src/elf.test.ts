// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ELF_MACHINES, isElf, readElf, stripSections } from './elf.ts';

const node = readFileSync(process.execPath);
const machine = process.arch === 'arm64' ? ELF_MACHINES.arm64 : ELF_MACHINES.amd64;

describe('ELF files', () => {
  it('says what the running Node needs', () => {
    const { needed, interpreter, machine: found } = readElf(node);
    expect(found).toBe(machine);
    expect(needed).toContain('libc.so.6');
    expect(interpreter).toMatch(/^\/lib(64)?\/ld-linux-/);
  });

  it('leaves a stripped Node that is smaller and still runs', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-elf-'));
    try {
      const stripped = stripSections(node);
      expect(stripped.length).toBeLessThan(node.length);
      expect(readElf(stripped)).toEqual(readElf(node));
      writeFileSync(join(directory, 'node'), stripped);
      chmodSync(join(directory, 'node'), 0o755);
      expect(execFileSync(join(directory, 'node'), ['-p', '6 * 7']).toString()).toBe('42\n');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.each([
    ['text', Buffer.from('#!/bin/sh\n'.padEnd(100))],
    ['a 32-bit file', Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 1]), Buffer.alloc(100)])],
    ['a file that is cut off', node.subarray(0, 200)],
  ])('refuses %s', (_, contents) => {
    expect(() => readElf(contents)).toThrow(RangeError);
  });

  it('tells an ELF file from others by its first bytes', () => {
    expect(isElf(node)).toBe(true);
    expect(isElf(Buffer.from('#!/bin/sh'))).toBe(false);
  });
});

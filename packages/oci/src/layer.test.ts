// SPDX-License-Identifier: Apache-2.0
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { LayerError, arrangeEntries, buildLayer, sha256 } from './layer.ts';
import type { TarEntry } from './tar-writer.ts';

const file = (path: string, text = ''): TarEntry => ({ type: 'file', path, mode: 0o644, contents: Buffer.from(text) });

describe('layers', () => {
  it('has the same digest for the same entries in any order', () => {
    const entries = [file('b/c', 'one'), file('a', 'two'), file('b/a', 'three')];
    const one = buildLayer('one', entries);
    const other = buildLayer('other', entries.toReversed());
    expect(other.diffId).toBe(one.diffId);
    expect(other.digest).toBe(one.digest);
    expect(sha256(gunzipSync(one.blob))).toBe(one.diffId);
  });

  it('keeps no trace of the machine in the gzip header', () => {
    expect(
      buildLayer('x', [file('a')])
        .blob.subarray(0, 10)
        .toString('hex'),
    ).toBe('1f8b08000000000000ff');
  });

  it('puts directories before what is in them, and sorts by bytes', () => {
    const arranged = arrangeEntries([file('usr/lib/x'), file('usr/lib-y'), file('Z')]);
    expect(arranged.map(({ path }) => path)).toEqual(['Z', 'usr', 'usr/lib', 'usr/lib-y', 'usr/lib/x']);
    expect(arranged.every(({ uid, gid, mtimeSeconds }) => uid === 0 && gid === 0 && mtimeSeconds === 0)).toBe(true);
  });

  it('keeps the mode of a directory that is named', () => {
    const arranged = arrangeEntries([{ type: 'directory', path: 'tmp', mode: 0o1777 }, file('tmp/x')]);
    expect(arranged[0]?.mode).toBe(0o1777);
  });

  it.each([
    ['two files of one path', [file('a'), file('a')]],
    ['a file inside a file', [file('a'), file('a/b')]],
    ['a file inside a link', [{ type: 'symlink', path: 'lib', mode: 0o777, target: 'usr/lib' } as const, file('lib/x')]],
    ['an absolute path', [file('/etc/passwd')]],
    ['a path with a step up', [file('a/../b')]],
    ['an empty path', [file('')]],
  ])('refuses %s', (_, entries) => {
    expect(() => arrangeEntries(entries)).toThrow(LayerError);
  });
});

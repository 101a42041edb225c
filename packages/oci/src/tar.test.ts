// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { TarFormatError, readTar } from './tar-reader.ts';
import { type TarEntry, writeTar } from './tar-writer.ts';

const entries: readonly TarEntry[] = [
  { type: 'directory', path: 'usr', mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0 },
  { type: 'file', path: 'usr/a', mode: 0o644, uid: 2102, gid: 2102, mtimeSeconds: 1_700_000_000, contents: Buffer.from('text\n') },
  { type: 'file', path: 'usr/empty', mode: 0o600, uid: 0, gid: 0, mtimeSeconds: 0, contents: Buffer.alloc(0) },
  { type: 'file', path: 'usr/block', mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, contents: Buffer.alloc(512, 7) },
  { type: 'symlink', path: 'usr/link', mode: 0o777, uid: 0, gid: 0, mtimeSeconds: 0, target: 'a' },
  { type: 'symlink', path: 'usr/far', mode: 0o777, uid: 0, gid: 0, mtimeSeconds: 0, target: `/${'t'.repeat(120)}` },
  { type: 'file', path: `usr/${'n'.repeat(200)}`, mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 0, contents: Buffer.from('long name') },
  { type: 'file', path: 'usr/Grüße', mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 0, contents: Buffer.from('other letters') },
  {
    type: 'file',
    path: 'usr/capable',
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtimeSeconds: 0,
    xattrs: { 'security.capability': Buffer.from([1, 0, 0, 2, 10, 61, 0]), 'user.z': Buffer.from('v') },
    contents: Buffer.from('x'),
  },
];

describe('tar archives', () => {
  it('reads what it writes, long names and binary attributes included', () => {
    const read = readTar(writeTar(entries)).map((entry) => ({
      ...entry,
      ...(entry.type === 'file' ? { contents: Buffer.from(entry.contents).toString('hex') } : {}),
    }));
    expect(read).toEqual(
      entries.map((entry) => ({ ...entry, ...(entry.type === 'file' ? { contents: Buffer.from(entry.contents).toString('hex') } : {}) })),
    );
  });

  it('writes the same bytes for the same entries', () => {
    expect(writeTar(entries).equals(writeTar(entries))).toBe(true);
  });

  it('is read by the system tar', () => {
    const listing = execFileSync('tar', ['-tf', '-'], { input: writeTar(entries), env: { ...process.env, LC_ALL: 'C.UTF-8' } });
    expect(listing.toString().split('\n')).toContain(`usr/${'n'.repeat(200)}`);
    expect(listing.toString().split('\n')).toContain('usr/capable');
  });

  it('reads archives of the system tar, with GNU long names and hard links', () => {
    const script = `cd "$(mktemp -d)" && mkdir d && echo one > d/${'l'.repeat(150)} && ln d/${'l'.repeat(150)} d/second && ln -s second d/soft && tar --format=gnu -cf - ./d`;
    const read = readTar(execFileSync('sh', ['-c', script]));
    const byPath = new Map(read.map((entry) => [entry.path, entry]));
    expect([...byPath.keys()].sort()).toEqual(['d', `d/${'l'.repeat(150)}`, 'd/second', 'd/soft'].sort());
    for (const path of ['d/second', `d/${'l'.repeat(150)}`]) {
      const entry = byPath.get(path);
      expect(entry?.type === 'file' && Buffer.from(entry.contents).toString()).toBe('one\n');
    }
  });

  it.each([
    ['cut off inside a file', writeTar([{ type: 'file', path: 'a', mode: 0o644, contents: Buffer.alloc(5000) }]).subarray(0, 2000)],
    ['with a wrong checksum', Buffer.concat([Buffer.from('x'), writeTar(entries).subarray(1)])],
    ['whose path leaves it', writeTar([{ type: 'file', path: '../etc/passwd', mode: 0o644, contents: Buffer.alloc(0) }])],
  ])('refuses an archive %s', (_, archive) => {
    expect(() => readTar(archive)).toThrow(TarFormatError);
  });

  it('refuses a number that its field cannot hold', () => {
    expect(() => writeTar([{ type: 'directory', path: 'd', mode: 0o755, uid: 0o10000000 }])).toThrow(RangeError);
  });
});

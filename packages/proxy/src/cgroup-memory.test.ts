// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { CgroupMemory, readPrivateBytes } from './cgroup-memory.ts';

function files(contents: Readonly<Record<string, string>>): (path: string) => string {
  return (path) => {
    const text = contents[path];
    if (text === undefined) throw new Error(`ENOENT ${path}`);
    return text;
  };
}

describe('the memory limit', () => {
  it('is the root of what a container of cgroup v2 sees, less file pages', () => {
    const found = CgroupMemory.find(
      files({
        '/proc/self/cgroup': '0::/\n',
        '/sys/fs/cgroup/memory.max': '67108864\n',
        '/sys/fs/cgroup/memory.current': '50000000\n',
        '/sys/fs/cgroup/memory.stat': 'anon 20000000\nfile 30000000\nsock 0\n',
      }),
    );
    expect([found?.limitBytes, found?.usedBytes()]).toEqual([67_108_864, 20_000_000]);
  });

  it('is the lowest on the way up where the process is in a cgroup of the host', () => {
    const found = CgroupMemory.find(
      files({
        '/proc/self/cgroup': '4:cpu,memory:/a/b\n0::/\n',
        '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
        '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': '1000000\n',
        '/sys/fs/cgroup/memory/a/memory.usage_in_bytes': '900000\n',
        '/sys/fs/cgroup/memory/a/memory.stat': 'cache 1\ntotal_cache 100000\n',
        '/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes': '2000000\n',
      }),
    );
    expect([found?.limitBytes, found?.usedBytes()]).toEqual([1_000_000, 800_000]);
  });

  it.each([
    ['v2 without limit', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': 'max\n' }],
    ['v1 without limit', { '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n' }],
    ['no cgroup at all', {}],
  ])('is none: %s', (_name, contents: Readonly<Record<string, string>>) => {
    expect(CgroupMemory.find(files(contents))).toBeUndefined();
  });
});

it('private memory is what no file backs', () => {
  expect(readPrivateBytes(files({ '/proc/self/statm': '1000 300 100 1 0 1 0\n' }))).toBe(200 * 4096);
  expect(readPrivateBytes(files({}))).toBe(0);
});

// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bundledModules, noticesText } from './bundled-modules.ts';
import { type Candidate, closure } from './debian-index.ts';
import { mergedPath, readLock } from './debian-package.ts';
import { ARCHITECTURES } from './description.ts';
import { missingInputs } from './image-layers.ts';
import { IMAGES } from './images.ts';
import { launcherDefinitions, nodeFlags } from './launcher.ts';
import { globMatcher } from './root-builder.ts';

const ROOT = join(import.meta.dirname, '../..');
const lock = readLock(join(ROOT, 'images/debian.lock.json'));

describe('descriptions of images', () => {
  it('[DBG-07] has the executables of the proxy image at the paths that injected pods name', () => {
    const proxy = IMAGES.find(({ name }) => name === 'proxy');
    expect(proxy?.entrypoint).toEqual(['/usr/lib/linkerd/linkerd2-proxy-identity']);
    expect(proxy?.launchers.map(({ path }) => path).sort()).toEqual([
      '/usr/lib/linkerd/linkerd-await',
      '/usr/lib/linkerd/linkerd2-network-validator',
      '/usr/lib/linkerd/linkerd2-proxy',
      '/usr/lib/linkerd/linkerd2-proxy-identity',
      '/usr/lib/linkerd/linkerd2-proxy-init',
    ]);
  });

  it('gives capabilities to the init step alone, of all executables that start Node', () => {
    const capable = IMAGES.flatMap(({ launchers }) => launchers.filter(({ capabilities }) => capabilities !== undefined));
    expect(capable.map(({ path, capabilities }) => [path, capabilities])).toEqual([
      ['/usr/lib/linkerd/linkerd2-proxy-init', ['net_admin', 'net_raw']],
    ]);
  });

  it.each(IMAGES.map((image) => [image.name, image] as const))('runs %s as a user other than root, by number', (_, image) => {
    expect(image.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  it('starts the proxy with the flags that its package names, and the bundle last', () => {
    const launcher = IMAGES[0]?.launchers[0];
    if (launcher === undefined) throw new Error('no launcher');
    const flags = nodeFlags(ROOT, 'proxy');
    expect(flags).toContain('--single-threaded');
    const [node, args, ...rest] = launcherDefinitions(launcher, flags);
    expect(node).toBe('-DWEFT_NODE="/usr/lib/weft/node"');
    expect(args).toBe(`-DWEFT_ARGS=${[...flags, '/usr/lib/weft/bundles/proxy/main.js'].map((flag) => JSON.stringify(flag)).join(',')}`);
    expect(rest).toEqual([]);
  });

  it('names what is to be built before', () => {
    const proxy = IMAGES.find(({ name }) => name === 'proxy');
    if (proxy === undefined) throw new Error('no proxy image');
    expect(missingInputs('/nonexistent', proxy)).toContain('apps/proxy/dist/main.js');
  });
});

describe('the lock of Debian packages', () => {
  it.each(ARCHITECTURES)('has every package that an image names, for %s', (architecture) => {
    const names = new Set(lock.packages.filter((locked) => locked.architecture === architecture).map(({ name }) => name));
    for (const image of IMAGES) for (const { package: wanted } of image.debian) expect(names).toContain(wanted);
  });

  it('has the same packages for both architectures', () => {
    const [amd64, arm64] = ARCHITECTURES.map((architecture) =>
      lock.packages.filter((locked) => locked.architecture === architecture).map(({ name }) => name),
    );
    expect(amd64).toEqual(arm64);
  });

  it('names each file by its checksum and its place in the archive', () => {
    for (const { sha256, path, archive, version } of lock.packages) {
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(path).toMatch(/^pool\/(updates\/)?main\/.*\.deb$/);
      expect(['debian', 'debian-security']).toContain(archive);
      expect(version).not.toBe('');
    }
  });
});

describe('choosing packages and files', () => {
  const candidate = (name: string, depends = '', provides = ''): [string, Candidate] => [
    name,
    { name, version: '1', archive: 'debian', path: '', sha256: '', depends, provides },
  ];

  it('follows dependencies by their first alternative that exists, and provided names', () => {
    const index = new Map([
      candidate('tool', 'libone (>= 2), none | libtwo:any, virtual, debconf (>= 0.5)'),
      candidate('libone', 'tool'),
      candidate('libtwo'),
      candidate('real', '', 'virtual (= 3)'),
      candidate('debconf'),
    ]);
    expect(
      closure(['tool'], index)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['libone', 'libtwo', 'real', 'tool']);
  });

  it('says which package does not exist', () => {
    expect(() => closure(['nothing'], new Map())).toThrow(/no package nothing/);
  });

  it.each([
    ['/usr/bin/*', '/usr/bin/sleep', true],
    ['/usr/bin/*', '/usr/bin/x/y', false],
    ['/usr/share/**', '/usr/share/a/b/c', true],
    ['/usr/lib/x.so', '/usr/lib/x-so', false],
  ])('matches %s with %s: %s', (pattern, path, expected) => {
    expect(globMatcher(pattern)(path)).toBe(expected);
  });

  it.each([
    ['/lib/x86_64-linux-gnu/libc.so.6', '/usr/lib/x86_64-linux-gnu/libc.so.6'],
    ['/lib64/ld-linux-x86-64.so.2', '/usr/lib64/ld-linux-x86-64.so.2'],
    ['/bin', undefined],
    ['/etc/passwd', '/etc/passwd'],
    ['/library', '/library'],
  ])('merges %s into %s', (path, expected) => {
    expect(mergedPath(path)).toBe(expected);
  });
});

describe('modules in bundles', () => {
  it('are those that the source map names, without our own', () => {
    const root = mkdtempSync(join(tmpdir(), 'weft-bundle-'));
    try {
      mkdirSync(join(root, 'apps/x/dist'), { recursive: true });
      for (const [name, version] of [
        ['@scope/dep', '2.0.0'],
        ['@weft/net', '0.1.0'],
        ['plain', '1.0.0'],
      ] as const) {
        mkdirSync(join(root, 'node_modules', name), { recursive: true });
        writeFileSync(join(root, 'node_modules', name, 'package.json'), JSON.stringify({ name, version, license: 'MIT' }));
      }
      writeFileSync(join(root, 'node_modules/plain/LICENSE.md'), 'do as you like\n');
      const sources = [
        '../../../node_modules/@scope/dep/a.js',
        '../../../node_modules/plain/b/c.js',
        '../../../node_modules/@weft/net/x.ts',
        '../src/main.ts',
      ];
      writeFileSync(join(root, 'apps/x/dist/main.js.map'), JSON.stringify({ sources }));
      const modules = bundledModules(root, 'apps/x/dist/main.js');
      expect(modules.map(({ name, version }) => `${name}@${version}`)).toEqual(['@scope/dep@2.0.0', 'plain@1.0.0']);
      expect(noticesText(modules)).toContain('plain 1.0.0 (MIT)\n\ndo as you like\n');
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

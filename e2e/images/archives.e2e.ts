// SPDX-License-Identifier: Apache-2.0
/* What is in the archives, for both architectures: files, modes, capabilities, libraries, sizes; and that a second build gives the same bytes. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  type Architecture,
  CAPABILITY_XATTR,
  ELF_MACHINES,
  type TarEntry,
  arrangeEntries,
  decodeFileCapabilities,
  isElf,
  lookUp,
  readElf,
  readTar,
  sha256,
} from '@weft/oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ARCHITECTURES, NAMES, type OpenedImage, ROOT, VERSION, archivePath, openImage } from './built-images.ts';

/** The proxy image goes to every node of a cluster: what a registry transfers for it, in bytes. */
const MAX_PROXY_BYTES = 130_000_000;
const LIBRARIES: Readonly<Record<Architecture, string>> = { amd64: '/usr/lib/x86_64-linux-gnu', arm64: '/usr/lib/aarch64-linux-gnu' };
const USERS: Readonly<Record<string, string>> = {
  proxy: '2102:2102',
  controller: '2103:2103',
  cni: '65534:65534',
  debug: '65534:65534',
  demo: '65534:65534',
};
const ENTRYPOINTS: Readonly<Record<string, readonly string[]>> = {
  proxy: ['/usr/lib/linkerd/linkerd2-proxy-identity'],
  controller: ['/usr/lib/weft/controller'],
  cni: ['/usr/lib/weft/cni-install'],
  debug: ['/usr/bin/tshark', '-l', '-p', '-i', 'any'],
  demo: ['/usr/bin/node'],
};

interface Summary {
  readonly digest: string;
  readonly compressedBytes: number;
  readonly layers: readonly { readonly title: string; readonly digest: string }[];
}

const summary = (name: string, architecture: Architecture): Summary =>
  JSON.parse(readFileSync(archivePath(name, architecture).replace(/\.tar$/, '.json'), 'utf8')) as Summary;

const text = (entry: TarEntry | undefined): string => (entry?.type === 'file' ? Buffer.from(entry.contents).toString() : '');

describe.each(NAMES.flatMap((name) => ARCHITECTURES.map((architecture) => [name, architecture] as const)))(
  'image %s for %s',
  (name, architecture) => {
    let image: OpenedImage;
    const files = (): [string, Extract<TarEntry, { type: 'file' }>][] =>
      [...image.files].flatMap(([path, entry]) => (entry.type === 'file' ? [[path, entry]] : []));

    beforeAll(() => {
      image = openImage(name, architecture);
    });

    it('[DBG-07] has the name, user and entrypoint that the charts expect', () => {
      expect(image.archived.reference).toBe(`ghcr.io/weft-mesh/${name}:${VERSION}`);
      expect(image.archived.config).toMatchObject({ architecture, os: 'linux' });
      expect(image.settings.User).toBe(USERS[name]);
      expect(image.settings.Entrypoint).toEqual(ENTRYPOINTS[name]);
      expect(lookUp(image.files, image.settings.Entrypoint[0] ?? '')).toMatchObject({ type: 'file', mode: 0o755 });
    });

    it('holds executables of its architecture only, each with all its libraries', () => {
      let count = 0;
      for (const [path, { contents }] of files()) {
        if (!isElf(contents)) continue;
        count += 1;
        const { machine, needed, interpreter } = readElf(contents);
        expect([path, machine]).toEqual([path, ELF_MACHINES[architecture]]);
        for (const library of needed)
          expect([path, library, lookUp(image.files, `${LIBRARIES[architecture]}/${library}`)?.type]).toEqual([path, library, 'file']);
        expect([path, interpreter === undefined ? 'file' : lookUp(image.files, interpreter)?.type]).toEqual([path, 'file']);
      }
      expect(count).toBeGreaterThan(5);
    });

    it('[DBG-07] gives capabilities to no file but those that need them, and nobody the rights of another user', () => {
      const capable = Object.fromEntries(
        files().flatMap(([path, { xattrs }]) => {
          const value = xattrs?.[CAPABILITY_XATTR];
          return value === undefined ? [] : [[path, decodeFileCapabilities(value)]];
        }),
      );
      const both = { permitted: ['net_admin', 'net_raw'], isEffective: true };
      const raw = { permitted: ['net_raw'], isEffective: true };
      const expected: Readonly<Record<string, object>> = {
        proxy: { 'usr/lib/linkerd/linkerd2-proxy-init': both },
        debug: { 'usr/bin/dumpcap': raw, 'usr/bin/tcpdump': raw },
      };
      expect(capable).toEqual(expected[name] ?? {});
      for (const [path, entry] of image.files) {
        expect([path, entry.mode & 0o6000, entry.uid, entry.gid]).toEqual([path, 0, 0, 0]);
        expect([path, Object.keys(entry.xattrs ?? {}).filter((key) => key !== CAPABILITY_XATTR)]).toEqual([path, []]);
        const isSticky = path === 'tmp' || path === 'var/tmp';
        expect([path, entry.type === 'symlink' ? 0 : entry.mode & 0o002]).toEqual([path, isSticky ? 0o002 : 0]);
      }
    });

    it('[DBG-07] has no package manager, no translations, no manuals; a shell only to debug with', () => {
      const names = new Set(
        [...image.files].flatMap(([path, { type }]) => (type === 'directory' ? [] : [path.slice(path.lastIndexOf('/') + 1)])),
      );
      for (const tool of ['apt', 'apt-get', 'dpkg', 'npm', 'npx', 'perl', 'python3', 'busybox']) expect(names).not.toContain(tool);
      for (const shell of ['sh', 'bash', 'dash']) expect([shell, names.has(shell)]).toEqual([shell, name === 'debug' && shell !== 'dash']);
      const unwanted = [...image.files.keys()].filter(
        (path) =>
          /^usr\/share\/(locale|man|info|i18n)\//.test(path) ||
          path.endsWith('.map') ||
          (/^usr\/share\/doc\/./.test(path) && !/^usr\/share\/doc\/[^/]+(\/(copyright|LICENSE|NOTICES))?$/.test(path)),
      );
      expect(unwanted).toEqual([]);
    });

    it('knows its users, resolves names by DNS, and trusts public authorities', () => {
      expect(text(image.files.get('etc/passwd'))).toMatch(/:2102:2102:[^]*:2103:2103:[^]*:65534:65534:/);
      expect(text(image.files.get('etc/nsswitch.conf'))).toContain('hosts: files dns');
      expect(text(image.files.get('etc/ssl/certs/ca-certificates.crt')).match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(100);
      expect(text(image.files.get('etc/os-release') ?? lookUp(image.files, '/usr/lib/os-release'))).toContain('ID=debian');
    });

    it('lists its software, and Debian packages where scanners look for them', () => {
      const document = JSON.parse(readFileSync(archivePath(name, architecture).replace(/\.tar$/, '.spdx.json'), 'utf8')) as {
        spdxVersion: string;
        packages: { name: string; versionInfo: string; externalRefs?: { referenceLocator: string }[] }[];
      };
      expect(document.spdxVersion).toBe('SPDX-2.3');
      const listed = document.packages.flatMap((part) => part.externalRefs?.map(({ referenceLocator }) => referenceLocator) ?? []);
      const debian = [...image.files.keys()]
        .filter((path) => path.startsWith('var/lib/dpkg/status.d/'))
        .map((path) => path.split('/').at(-1) ?? '');
      expect(debian).toContain('libc6');
      for (const packageName of debian) {
        expect(listed).toEqual(
          expect.arrayContaining([expect.stringMatching(new RegExp(`^pkg:deb/debian/${packageName.replace(/[+.]/g, '\\$&')}@`))]),
        );
        expect(lookUp(image.files, `/usr/share/doc/${packageName}/copyright`)?.type).toBe('file');
      }
      expect(listed.some((purl) => purl.startsWith('pkg:npm/node-linux-'))).toBe(name !== 'debug');
    });

    it('has layers in the one order and of the one time that every build gives', () => {
      for (const layer of image.archived.layers) {
        const entries = readTar(gunzipSync(layer));
        expect(entries.map(({ path }) => path)).toEqual(arrangeEntries(entries).map(({ path }) => path));
        expect(new Set(entries.map(({ mtimeSeconds }) => mtimeSeconds)).size).toBe(1);
      }
    });
  },
);

describe('the images together', () => {
  it.each(ARCHITECTURES)('keep the proxy image for %s within 130 MB compressed', (architecture) => {
    expect(summary('proxy', architecture).compressedBytes).toBeLessThanOrEqual(MAX_PROXY_BYTES);
  });

  it.each(ARCHITECTURES)('share the layers of Debian and Node, for %s', (architecture) => {
    const shared = ['proxy', 'controller', 'cni', 'demo'].map((name) =>
      summary(name, architecture)
        .layers.slice(0, 2)
        .map(({ digest }) => digest),
    );
    expect(new Set(shared.map((digests) => digests.join(' '))).size).toBe(1);
    expect(summary('debug', architecture).layers[0]?.digest).toBe(shared[0]?.[0]);
  });

  it.each(ARCHITECTURES)('[DBG-07] have iptables in both forms, and sleep, in the proxy for %s', (architecture) => {
    const { files } = openImage('proxy', architecture);
    const target = (path: string): string => lookUp(files, path)?.path ?? '';
    for (const family of ['iptables', 'ip6tables']) {
      for (const command of ['', '-save', '-restore']) {
        expect(target(`/usr/sbin/${family}${command}`)).toBe('usr/sbin/xtables-nft-multi');
        expect(target(`/usr/sbin/${family}-nft${command}`)).toBe('usr/sbin/xtables-nft-multi');
        expect(target(`/usr/sbin/${family}-legacy${command}`)).toBe('usr/sbin/xtables-legacy-multi');
      }
    }
    expect(target('/bin/sleep')).toBe('usr/bin/sleep');
    expect(text(files.get('usr/lib/linkerd/linkerd2-proxy-version.txt'))).toBe(`${VERSION}\n`);
  });
});

describe('the image of the demonstration', () => {
  it.each(ARCHITECTURES)('has what its manifests run, with the modules that it imports named, for %s', (architecture) => {
    const { files, settings, archived } = openImage('demo', architecture);
    expect(settings).toMatchObject({ WorkingDir: '/demo', Cmd: ['apps/web.mjs'] });
    const commands = demoCommands();
    for (const [program] of commands)
      expect([program, lookUp(files, `/usr/bin/${program}`)]).toMatchObject([program, { type: 'file', mode: 0o755 }]);
    const scripts = commands.flatMap(([program, script]) => (program === 'node' ? [`/demo/${script}`] : []));
    for (const script of scripts) expect([script, lookUp(files, script)?.type]).toEqual([script, 'file']);
    expect(text(lookUp(files, '/usr/share/doc/weft/NOTICES'))).toMatch(/@grpc\/grpc-js [^]*\nws \d/);
    expect(JSON.stringify(archived.config)).not.toContain(ROOT);
    expect([...files].filter(([path, entry]) => path.endsWith('.mjs') && text(entry).includes(ROOT))).toEqual([]);
  });
});

describe('building again', () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-again-'));
  const build = (...args: readonly string[]): { status: number | null; output: string } => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/images.mjs', '--no-build', ...args], {
      cwd: ROOT,
      encoding: 'utf8',
      env: { ...process.env, WEFT_CACHE: join(directory, 'cache') },
    });
    return { status, output: stdout + stderr };
  };

  beforeAll(() => {
    // Downloads are kept; what is compiled and compressed is made anew.
    mkdirSync(join(directory, 'cache/images'), { recursive: true });
    const cache = process.env['WEFT_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'weft');
    for (const kept of ['debian', 'node']) symlinkSync(join(cache, 'images', kept), join(directory, 'cache/images', kept));
  });

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  // Both architectures take the same way; the largest images are made again for one.
  it.each([
    ['proxy', ARCHITECTURES],
    ['controller', ['arm64']],
    ['cni', ['amd64']],
    ['debug', ['amd64']],
    ['demo', ['arm64']],
  ] as const)('gives the same bytes for %s', (name, architectures) => {
    const output = join(directory, 'output');
    for (const architecture of architectures) {
      // The archive in dist may be of an earlier moment than the bundles.
      expect(spawnSync(process.execPath, ['tools/images.mjs', '--no-build', name, '--arch', architecture], { cwd: ROOT }).status).toBe(0);
      expect(build(name, '--arch', architecture, '--output', output)).toMatchObject({ status: 0 });
      const path = archivePath(name, architecture);
      for (const suffix of ['.tar', '.spdx.json']) {
        const again = archivePath(name, architecture, output).replace(/\.tar$/, suffix);
        expect([again, sha256(readFileSync(again))]).toEqual([again, sha256(readFileSync(path.replace(/\.tar$/, suffix)))]);
      }
    }
  });

  it('does nothing where nothing changed', () => {
    const { output } = build('proxy', '--output', join(directory, 'output'));
    expect(output.match(/\(unchanged\)/g)?.length).toBe(ARCHITECTURES.length);
  });

  it.each([
    [['nothing'], /no image nothing; there are proxy, controller, cni, debug, demo/],
    [['--arch', 'vax'], /no architecture vax; there are amd64, arm64/],
    [['--what'], /--what/],
  ])('refuses %j', (args, expected) => {
    const { status, output } = build(...args);
    expect(status).toBe(2);
    expect(output).toMatch(expected);
  });

  it.each(NAMES)('unpacks for the Dockerfile of %s what the archive holds', (name) => {
    const [layers, output] = [join(directory, 'layers'), join(directory, 'output')];
    expect(build(name, '--arch', 'amd64', '--output', output, '--unpack', layers)).toMatchObject({ status: 0 });
    for (const [index, entries] of openImage(name, 'amd64', output)
      .archived.layers.map((layer) => readTar(gunzipSync(layer)))
      .entries()) {
      const root = join(layers, `${name}-amd64`, String(index));
      expect(treeOf(root)).toEqual(entries.map(describeEntry));
      const capable = entries.filter(({ xattrs }) => xattrs?.[CAPABILITY_XATTR] !== undefined).map(({ path }) => path);
      const found = spawnSync('getcap', ['-r', root], { encoding: 'utf8' }).stdout;
      expect(
        found
          .split('\n')
          .flatMap((line) => (line === '' ? [] : [relative(root, line.split(' ')[0] ?? '')]))
          .sort(),
      ).toEqual(capable);
    }
  });
});

describe('the programs for arm64', () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-arm64-'));
  const root = join(directory, 'layers/proxy-arm64/root');
  const emulated = (program: string, ...args: readonly string[]): { status: number | null; output: string } => {
    const { status, stdout, stderr } = spawnSync('qemu-aarch64-static', ['-L', root, join(root, program), ...args], {
      encoding: 'utf8',
    });
    return { status, output: stdout + stderr };
  };

  beforeAll(() => {
    mkdirSync(root, { recursive: true });
    for (const layer of openImage('proxy', 'arm64').archived.layers) execFileSync('tar', ['-xzp', '-f', '-', '-C', root], { input: layer });
  });

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it.each([
    ['usr/lib/weft/node', ['--version'], /^v\d+\.\d+\.\d+\n$/],
    ['usr/sbin/xtables-nft-multi', ['iptables-nft-save', '--version'], /^iptables-nft-save v.*nf_tables/],
    ['usr/sbin/xtables-legacy-multi', ['iptables', '--version'], /^iptables v.*legacy/],
    ['usr/bin/sleep', ['--version'], /^sleep \(GNU coreutils\)/],
  ])('run: %s', (program, args, expected) => {
    expect(existsSync(join(root, program))).toBe(true);
    const { status, output } = emulated(program, ...args);
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(output).toMatch(expected);
  });

  it('run the proxy, which says its version', () => {
    expect(emulated('usr/lib/weft/node', join(root, 'usr/lib/weft/bundles/proxy/main.js'), '--version')).toEqual({
      status: 0,
      output: `${VERSION}\n`,
    });
  });

  it.each([
    ['linkerd2-proxy', '/usr/lib/weft/bundles/proxy/main.js', false],
    ['linkerd2-proxy-init', '/usr/lib/weft/bundles/proxy-init/proxy-init.js', true],
  ])('start Node by %s with the flags, the bundle, and the given arguments', (name, bundle, hasCapabilities) => {
    const { stderr } = spawnSync('qemu-aarch64-static', ['-strace', join(root, 'usr/lib/linkerd', name), '--given', 'argument'], {
      encoding: 'utf8',
    });
    expect(stderr).toMatch(/execve\("\/usr\/lib\/weft\/node",\{.*"--disable-warning=ExperimentalWarning",.*,"--given","argument",?/);
    expect(stderr).toContain(`"${bundle}"`);
    // The order in which Linux takes them.
    expect(/capget\([^]*capset\([^]*execve\(/.test(stderr)).toBe(hasCapabilities);
  });
});

function describeEntry(entry: TarEntry): string {
  const what = entry.type === 'file' ? digest(entry.contents) : entry.type === 'symlink' ? entry.target : '';
  return [entry.path, entry.type, entry.type === 'symlink' ? '' : entry.mode.toString(8), entry.uid, entry.gid, what].join(' ');
}

/** Everything below a directory, described as entries of an archive are, in the archive's order. */
function treeOf(root: string): string[] {
  const found: TarEntry[] = [];
  const visit = (directory: string): void => {
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      const status = lstatSync(path);
      const common = { path: relative(root, path), mode: status.mode & 0o7777, uid: status.uid, gid: status.gid };
      if (status.isSymbolicLink()) found.push({ ...common, type: 'symlink', target: readlinkSync(path) });
      else if (status.isFile()) found.push({ ...common, type: 'file', contents: readFileSync(path) });
      else {
        found.push({ ...common, type: 'directory' });
        visit(path);
      }
    }
  };
  visit(root);
  return arrangeEntries(found).map(describeEntry);
}

function digest(contents: Uint8Array): string {
  return createHash('sha256').update(contents).digest('hex');
}

/** The commands of the demonstration's containers. */
function demoCommands(): readonly (readonly string[])[] {
  const directory = join(ROOT, 'examples/demo');
  const commands = readdirSync(directory)
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) => [...readFileSync(join(directory, name), 'utf8').matchAll(/command: \[([^\]]*)\]/g)])
    .map(([, words = '']) => words.split(', '));
  expect(commands.length).toBeGreaterThan(8);
  return commands;
}

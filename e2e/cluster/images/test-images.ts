// SPDX-License-Identifier: Apache-2.0
/*
 * The images that only tests need, from files of this machine: the sandbox's process, CoreDNS, and `app`, which holds busybox, the pinned Node, curl,
 * Redis and the small servers and clients of `images/app`. Made once per version of what is in them and kept in the cache; about five seconds.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { buildSync } from 'esbuild';
import { cacheDirectory } from '../../../tools/cache.ts';
import { goTool, goToolVersion } from '../../../tools/go-tools.ts';
import { COREDNS_IMAGE, PAUSE_IMAGE } from '../local/configuration.ts';
import { writeImage } from './archive.ts';

/** Everything that a test's pods run: `command: [node, /app/echo.mjs]`, `[sh, -c, …]`, `[curl, …]`, `[redis-server, …]`. */
export const APP_IMAGE = 'localhost/app:e2e';

const APP_SOURCES = join(import.meta.dirname, 'app');
/** Applications of the host's suites, with what they import: `[node, /app/server.cjs]`, `[node, /app/load.cjs, JSON]`. */
const HOST_SOURCES = join(import.meta.dirname, '../../host/fixtures/apps');
const HOST_APPS: readonly string[] = ['server', 'load'];
/** Programs of this machine that go into `app`, by Debian package, with the libraries that they name. */
const APP_PROGRAMS: Readonly<Record<string, string>> = { curl: 'curl', 'redis-server': 'redis-server', 'redis-cli': 'redis-tools' };
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface TestImages {
  /** Archives that a local cluster itself needs. */
  readonly system: readonly string[];
  /** The archive of `app`. */
  readonly others: readonly string[];
}

/** Makes the images where the cache does not have them. `hasSystem`: also those of a local cluster, whose binaries must be built. */
export function makeTestImages(hasSystem: boolean): TestImages {
  const home = join(cacheDirectory(), `cluster-images-${inputDigest(hasSystem)}`);
  const images = {
    system: hasSystem ? [join(home, 'pause.tar'), join(home, 'coredns.tar')] : [],
    others: [join(home, 'app.tar')],
  };
  if (existsSync(home)) return images;
  removeOldImages();
  const work = `${home}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    if (hasSystem) {
      for (const [name, reference, binary, config] of [
        ['pause', PAUSE_IMAGE, goTool('kubernetes', 'pause'), { Entrypoint: ['/pause'], User: '65535:65535' }],
        ['coredns', COREDNS_IMAGE, goTool('coredns', 'coredns'), { Entrypoint: ['/coredns'] }],
      ] as const) {
        mkdirSync(join(work, name));
        copyFileSync(binary, join(work, name, name));
        writeImage({ reference, layers: [join(work, name)], config, archive: join(work, `${name}.tar`) });
        rmSync(join(work, name), { recursive: true });
      }
    }
    const layers = [baseLayer(work), programLayer(work), sourceLayer(work)];
    writeImage({
      reference: APP_IMAGE,
      layers,
      config: { Env: [PATH], Cmd: ['/bin/sh'], WorkingDir: '/app' },
      archive: join(work, 'app.tar'),
    });
    for (const layer of layers) rmSync(layer, { recursive: true });
    if (!existsSync(home)) renameSync(work, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return images;
}

/** Each change of a source makes a new set of 200 MB; another checkout may still use one that is not ours. */
const KEPT_MS = 7 * 24 * 3600 * 1000;

function removeOldImages(): void {
  if (!existsSync(cacheDirectory())) return;
  for (const name of readdirSync(cacheDirectory())) {
    const path = join(cacheDirectory(), name);
    if (name.startsWith('cluster-images-') && Date.now() - statSync(path).mtimeMs > KEPT_MS) rmSync(path, { recursive: true, force: true });
  }
}

/** Changes whenever anything that goes in changes. */
function inputDigest(hasSystem: boolean): string {
  const hash = createHash('sha256');
  const sources = readdirSync(APP_SOURCES).sort();
  for (const file of [import.meta.filename, join(import.meta.dirname, 'archive.ts'), ...sources.map((name) => join(APP_SOURCES, name))])
    hash.update(`${basename(file)}\0`).update(readFileSync(file));
  for (const name of readdirSync(HOST_SOURCES).toSorted()) hash.update(`${name}\0`).update(readFileSync(join(HOST_SOURCES, name)));
  for (const program of ['busybox', ...Object.keys(APP_PROGRAMS)]) {
    const { size, mtimeMs } = statSync(programPath(program));
    hash.update(`${program} ${size} ${mtimeMs}`);
  }
  hash.update(process.version).update(process.arch);
  if (hasSystem) hash.update(`${goToolVersion('kubernetes')} ${goToolVersion('coredns')}`);
  return hash.digest('hex').slice(0, 12);
}

function baseLayer(work: string): string {
  const root = join(work, 'base');
  for (const directory of ['bin', 'etc', 'tmp', 'root', 'run', 'app']) mkdirSync(join(root, directory), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  const busybox = programPath('busybox');
  put(root, busybox, '/bin/busybox');
  for (const applet of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n'))
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  const users = [
    ['root', 0],
    ['proxy', 2102],
    ['nobody', 65_534],
  ] as const;
  writeFileSync(join(root, 'etc/passwd'), users.map(([name, id]) => `${name}:x:${id}:${id}::/:/bin/sh\n`).join(''));
  writeFileSync(join(root, 'etc/group'), users.map(([name, id]) => `${name}:x:${id}:\n`).join(''));
  writeFileSync(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  return root;
}

function programLayer(work: string): string {
  const root = join(work, 'programs');
  put(root, realpathSync(process.execPath), '/usr/bin/node');
  for (const program of Object.keys(APP_PROGRAMS)) put(root, realpathSync(programPath(program)), `/usr/bin/${program}`);
  // glibc opens these by name when it looks up a host.
  const libraries = dirname(libraryPaths(process.execPath).find((path) => path.includes('/libc.so')) ?? '/lib/libc.so.6');
  for (const name of ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2'])
    if (existsSync(join(libraries, name))) put(root, join(libraries, name), join(libraries, name));
  return root;
}

function sourceLayer(work: string): string {
  const root = join(work, 'sources');
  cpSync(APP_SOURCES, join(root, 'app'), { recursive: true });
  buildSync({
    entryPoints: HOST_APPS.map((name) => join(HOST_SOURCES, `${name}.mjs`)),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    outdir: join(root, 'app'),
    // The frames of a WebSocket can be masked without them.
    external: ['bufferutil', 'utf-8-validate'],
    logLevel: 'error',
  });
  return root;
}

/** Copies a file and the shared libraries that it needs into a root. */
function put(root: string, from: string, to: string): void {
  for (const [source, target] of [[from, to], ...libraryPaths(from).map((path) => [path, path])] as [string, string][]) {
    const copy = join(root, target);
    if (existsSync(copy)) continue;
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(realpathSync(source), copy);
  }
}

/** None for a static program, of which ldd says that with a failure. */
function libraryPaths(binary: string): readonly string[] {
  const { stdout } = spawnSync('ldd', [binary], { encoding: 'utf8' });
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? '');
}

/** Throws where the machine lacks the program. */
function programPath(name: string): string {
  const found = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'].map((directory) => join(directory, name)).find((path) => existsSync(path));
  if (found === undefined)
    throw new Error(`the test image needs ${name}: install the Debian package ${APP_PROGRAMS[name] ?? 'busybox-static'}`);
  return found;
}

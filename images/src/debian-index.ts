// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the lock anew from Debian's package indexes: signatures of the release files checked against Debian's archive keyring, the newest version
 * of each package from the release, its updates and its security updates, and of their dependencies whatever the images turn out to use. Needs
 * `gpgv`, `xz`, `dpkg` and the package debian-archive-keyring. Run by hand: `npm run images -- --update-lock`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Architecture } from '@weft/oci';
import { type DebianLock, type LockedPackage, readPackage } from './debian-package.ts';
import { ARCHITECTURES, LIBRARY_DIRECTORIES } from './description.ts';

/** Debian's release of all images. */
export const DEBIAN_SUITE = 'trixie';

const MIRROR = 'http://deb.debian.org';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const SOURCES = [
  { archive: 'debian', suite: DEBIAN_SUITE },
  { archive: 'debian', suite: `${DEBIAN_SUITE}-updates` },
  { archive: 'debian-security', suite: `${DEBIAN_SUITE}-security` },
] as const;

/** Dependencies of maintainer scripts and services, of which no file is ever needed. */
const NEVER_NEEDED =
  /^(adduser|debconf|debconf-2\.0|dpkg|init-system-helpers|install-info|libc-bin|libperl.*|lsb-base|mailcap|media-types|passwd|perl.*|sensible-utils|systemd.*|tar|tzdata.*|ucf|udev)$/;

/** A package of an index. */
export interface Candidate {
  readonly name: string;
  readonly version: string;
  readonly archive: string;
  readonly path: string;
  readonly sha256: string;
  readonly depends: string;
  readonly provides: string;
}

/** A lock of everything that the packages depend on; `onlyUsed` then reduces it. */
export async function lockClosure(names: readonly string[], log: (line: string) => void): Promise<DebianLock> {
  const packages: LockedPackage[] = [];
  const snapshot = `${new Date().toISOString().slice(0, 10).replaceAll('-', '')}T000000Z`;
  for (const architecture of ARCHITECTURES) {
    const index = await readIndexes(architecture);
    const chosen = closure(names, index);
    log(`${architecture}: ${chosen.length} packages to look into`);
    for (const { name, version, archive, path, sha256 } of chosen) {
      const locked: LockedPackage = { name, version, architecture, archive, path, sha256, libraries: [] };
      const { entries } = await readPackage(locked, snapshot);
      const directory = `${LIBRARY_DIRECTORIES[architecture]}/`;
      const libraries = [...entries]
        .filter(
          ([file, entry]) =>
            entry.type !== 'directory' && file.startsWith(directory) && /^[^/]+\.so(\.[^/]+)?$/.test(file.slice(directory.length)),
        )
        .map(([file]) => file.slice(directory.length))
        .sort();
      packages.push({ ...locked, libraries });
    }
  }
  return { suite: DEBIAN_SUITE, snapshot, packages };
}

/** The lock without packages that gave no file, `used` being `name:architecture`. */
export function onlyUsed(lock: DebianLock, used: ReadonlySet<string>): DebianLock {
  const packages = lock.packages.filter(({ name, architecture }) => used.has(`${name}:${architecture}`));
  return { ...lock, packages: packages.sort((a, b) => (`${a.name}:${a.architecture}` < `${b.name}:${b.architecture}` ? -1 : 1)) };
}

/** The packages and all that they depend on, by first alternatives. */
export function closure(names: readonly string[], index: ReadonlyMap<string, Candidate>): Candidate[] {
  const providers = new Map<string, Candidate>();
  for (const candidate of index.values())
    for (const provided of packageNames(candidate.provides)) if (!providers.has(provided)) providers.set(provided, candidate);
  const chosen = new Map<string, Candidate>();
  const pending = [...names];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (chosen.has(name) || NEVER_NEEDED.test(name)) continue;
    const candidate = index.get(name) ?? providers.get(name);
    if (candidate === undefined) throw new Error(`Debian ${DEBIAN_SUITE} has no package ${name}`);
    if (chosen.has(candidate.name)) continue;
    chosen.set(candidate.name, candidate);
    for (const group of candidate.depends.split(',').filter((text) => text.trim() !== '')) {
      const alternatives = group.split('|').flatMap((text) => packageNames(text));
      const existing = alternatives.find((alternative) => index.has(alternative) || providers.has(alternative));
      if (existing !== undefined) pending.push(existing);
    }
  }
  return [...chosen.values()];
}

/** Names in a dependency field, without versions and architectures. */
function packageNames(field: string): string[] {
  return field
    .split(',')
    .map((text) => text.trim().replace(/[\s(:].*$/s, ''))
    .filter((name) => name !== '');
}

async function readIndexes(architecture: Architecture): Promise<Map<string, Candidate>> {
  const index = new Map<string, Candidate>();
  for (const { archive, suite } of SOURCES) {
    const base = `${MIRROR}/${archive}/dists/${suite}`;
    const release = verifiedRelease(await download(`${base}/InRelease`));
    const file = `main/binary-${architecture}/Packages.xz`;
    const sha256 = new RegExp(`^ ([0-9a-f]{64}) +\\d+ ${file.replaceAll('.', '\\.')}$`, 'm').exec(release)?.[1];
    if (sha256 === undefined) throw new Error(`${suite} lists no ${file}`);
    const packed = await download(`${base}/${file}`);
    if (createHash('sha256').update(packed).digest('hex') !== sha256) throw new Error(`${base}/${file} is not the one of the release file`);
    const text = execFileSync('xz', ['-dc'], { input: packed, maxBuffer: 1 << 30 }).toString();
    for (const paragraph of text.split('\n\n')) {
      const candidate = parseParagraph(paragraph, archive);
      if (candidate === undefined) continue;
      const known = index.get(candidate.name);
      if (known === undefined || isNewer(candidate.version, known.version)) index.set(candidate.name, candidate);
    }
  }
  return index;
}

function parseParagraph(paragraph: string, archive: string): Candidate | undefined {
  const fields = new Map<string, string>();
  for (const line of paragraph.split('\n')) {
    const match = /^([A-Za-z0-9-]+): (.*)$/.exec(line);
    if (match !== null) fields.set(match[1] ?? '', match[2] ?? '');
  }
  const name = fields.get('Package');
  if (name === undefined) return undefined;
  return {
    name,
    archive,
    version: fields.get('Version') ?? '',
    path: fields.get('Filename') ?? '',
    sha256: fields.get('SHA256') ?? '',
    depends: [fields.get('Pre-Depends'), fields.get('Depends')].filter((field) => field !== undefined).join(','),
    provides: fields.get('Provides') ?? '',
  };
}

function isNewer(version: string, than: string): boolean {
  if (version === than) return false;
  try {
    execFileSync('dpkg', ['--compare-versions', version, 'gt', than], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The signed text. Throws where no key of the keyring signed it. */
function verifiedRelease(signed: Buffer): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-release-'));
  try {
    const path = join(directory, 'InRelease');
    writeFileSync(path, signed);
    return execFileSync('gpgv', ['--quiet', '--keyring', KEYRING, '--output', '-', path], {
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function download(url: string): Promise<Buffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

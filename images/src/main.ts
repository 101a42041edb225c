// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run images [-- NAME… --arch ARCH --output DIR --unpack DIR --join --update-lock]`. Exit codes: 0, 1 when an image could not be built, 2
 * for a command line that cannot be used.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Architecture, joinArchives } from '@weft/oci';
import { BASE_DEBIAN } from './base.ts';
import { type BuildSettings, buildArchive } from './build-image.ts';
import { writeWhole } from './cache.ts';
import { lockClosure, onlyUsed } from './debian-index.ts';
import { readLock } from './debian-package.ts';
import { ARCHITECTURES, type ImageDescription } from './description.ts';
import { packagesOf } from './image-layers.ts';
import { IMAGES } from './images.ts';
import { unpackLayers } from './unpack-layers.ts';

const ROOT = join(import.meta.dirname, '../..');
const LOCK = join(ROOT, 'images/debian.lock.json');

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  let options;
  try {
    options = readOptions(argv);
  } catch (error) {
    console.error(`images: ${(error as Error).message}`);
    return 2;
  }
  if (options.isUpdate) {
    await updateLock();
    return 0;
  }
  const { version } = JSON.parse(readFileSync(join(ROOT, 'apps/proxy/package.json'), 'utf8')) as { version: string };
  const revision = process.env['WEFT_REVISION'];
  const settings: BuildSettings = {
    root: ROOT,
    outputDirectory: options.outputDirectory,
    lock: readLock(LOCK),
    version,
    epochSeconds: options.epochSeconds,
    ...(revision === undefined ? {} : { revision }),
  };
  let failures = 0;
  for (const image of options.images) {
    const paths: string[] = [];
    for (const architecture of options.architectures) {
      try {
        const { path, summary, isUnchanged } = await buildArchive(settings, image, architecture);
        paths.push(path);
        const megabytes = (summary.compressedBytes / 1e6).toFixed(1);
        if (options.unpackDirectory !== undefined) unpackLayers(path, join(options.unpackDirectory, `${image.name}-${architecture}`));
        console.log(`${summary.reference} ${architecture} ${megabytes} MB ${summary.digest} ${path}${isUnchanged ? ' (unchanged)' : ''}`);
      } catch (error) {
        failures += 1;
        console.error(`images: ${image.name} ${architecture}: ${(error as Error).message}`);
      }
    }
    if (options.isJoined && paths.length === options.architectures.length) {
      const joined = join(options.outputDirectory, `${image.name}-${version}.tar`);
      writeWhole(joined, joinArchives(paths.map((path) => readFileSync(path))));
      console.log(`${joined} (${options.architectures.join(', ')})`);
    }
  }
  return failures === 0 ? 0 : 1;
}

function readOptions(argv: readonly string[]): {
  images: readonly ImageDescription[];
  architectures: readonly Architecture[];
  /** Time of all files. */
  epochSeconds: number;
  outputDirectory: string;
  unpackDirectory: string | undefined;
  isJoined: boolean;
  isUpdate: boolean;
} {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      arch: { type: 'string', multiple: true },
      output: { type: 'string', default: join(ROOT, 'dist/images') },
      join: { type: 'boolean', default: false },
      unpack: { type: 'string' },
      'update-lock': { type: 'boolean', default: false },
    },
  });
  const images = positionals.map((name) => {
    const image = IMAGES.find((candidate) => candidate.name === name);
    if (image === undefined) throw new Error(`no image ${name}; there are ${IMAGES.map((candidate) => candidate.name).join(', ')}`);
    return image;
  });
  const architectures = (values.arch ?? []).map((name) => {
    const architecture = ARCHITECTURES.find((candidate) => candidate === name);
    if (architecture === undefined) throw new Error(`no architecture ${name}; there are ${ARCHITECTURES.join(', ')}`);
    return architecture;
  });
  const epochSeconds = Number(process.env['SOURCE_DATE_EPOCH'] ?? '0');
  if (!Number.isSafeInteger(epochSeconds) || epochSeconds < 0) throw new Error('SOURCE_DATE_EPOCH is to be a number of seconds since 1970');
  return {
    epochSeconds,
    images: images.length === 0 ? IMAGES : images,
    architectures: architectures.length === 0 ? ARCHITECTURES : architectures,
    outputDirectory: values.output,
    unpackDirectory: values.unpack,
    isJoined: values.join,
    isUpdate: values['update-lock'],
  };
}

/** Looks into all packages that the images' packages depend on, and keeps those in the lock that give files. */
async function updateLock(): Promise<void> {
  const names = new Set([...BASE_DEBIAN, ...IMAGES.flatMap(({ debian }) => debian)].map((files) => files.package));
  const all = await lockClosure([...names, 'libc6', 'libstdc++6', 'libatomic1', 'libgcc-s1'], (line) => console.log(line));
  const used = new Set<string>();
  for (const architecture of ARCHITECTURES)
    for (const image of IMAGES)
      for (const { name } of await packagesOf(ROOT, image, architecture, all)) used.add(`${name}:${architecture}`);
  const lock = onlyUsed(all, used);
  writeFileSync(LOCK, `${JSON.stringify(lock, undefined, 2)}\n`);
  console.log(`${lock.packages.length} packages in ${LOCK}`);
}

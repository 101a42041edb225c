// SPDX-License-Identifier: Apache-2.0
/* Which npm modules are inside a bundle: those whose files its source map names. Their licences come with the image, as most of them ask for. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** One npm module of a bundle. */
export interface BundledModule {
  readonly name: string;
  readonly version: string;
  /** What its package.json says. */
  readonly licence: string;
  /** Text of its licence file; empty where it has none. */
  readonly licenceText: string;
}

/** Reads the map beside a bundle, `path` being relative to the repository. A bundle without map gives none. */
export function bundledModules(root: string, path: string): BundledModule[] {
  const map = join(root, `${path}.map`);
  if (!existsSync(map)) return [];
  const { sources } = JSON.parse(readFileSync(map, 'utf8')) as { sources: readonly string[] };
  return modulesOfFiles(sources.map((source) => resolve(join(root, path), '..', source)));
}

/** The npm modules to which files belong, by their absolute paths; our own are left out. */
export function modulesOfFiles(files: readonly string[]): BundledModule[] {
  const directories = new Set<string>();
  for (const file of files) {
    const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file);
    if (match?.[1] !== undefined) directories.add(match[1]);
  }
  return [...directories].sort().flatMap((directory) => readModule(directory));
}

/** All licences in one text. */
export function noticesText(modules: readonly BundledModule[]): string {
  const sections = modules.map(({ name, version, licence, licenceText }) => `${name} ${version} (${licence})\n\n${licenceText.trim()}\n`);
  return `The programs in this image contain these modules:\n\n${sections.join(`\n${'-'.repeat(80)}\n\n`)}`;
}

function readModule(directory: string): BundledModule[] {
  const file = join(directory, 'package.json');
  if (!existsSync(file)) return [];
  const { name, version, license } = JSON.parse(readFileSync(file, 'utf8')) as { name: string; version: string; license?: unknown };
  if (name.startsWith('@weft/')) return [];
  const licenceFile = readdirSync(directory)
    .sort()
    .find((entry) => /^(licen[cs]e|copying)(\.|$)/i.test(entry));
  return [
    {
      name,
      version,
      licence: typeof license === 'string' ? license : 'NOASSERTION',
      licenceText: licenceFile === undefined ? '' : readFileSync(join(directory, licenceFile), 'utf8'),
    },
  ];
}

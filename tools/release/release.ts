// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run release -- [--registry ghcr.io/weft-mesh] [--plain-http]`: puts the images of `npm run images` (both architectures) and the charts into a
 * registry, under the version of the product. What is there already stays. The digests go to dist/release.json, and to $GITHUB_OUTPUT where that
 * is, for provenance and SBOM attestations. Credentials: $REGISTRY_USER and $REGISTRY_PASSWORD.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { IMAGES as DESCRIPTIONS } from '../../images/src/images.ts';
import { buildGoTools, goTool } from '../go-tools.ts';
import { pushImage } from './push-image.ts';
import { Repository, type RegistryOptions } from './registry.ts';

const ROOT = join(import.meta.dirname, '../..');
const IMAGES = join(ROOT, 'dist/images');
const PACKAGES = join(ROOT, 'dist/charts');
const ARCHITECTURES = ['amd64', 'arm64'];

const { values: flags } = parseArgs({
  options: { registry: { type: 'string', default: 'ghcr.io/weft-mesh' }, 'plain-http': { type: 'boolean', default: false } },
});
const [host = '', ...path] = flags.registry.split('/');
const { REGISTRY_USER: user, REGISTRY_PASSWORD: password } = process.env;
const options: RegistryOptions = {
  origin: `${flags['plain-http'] ? 'http' : 'https'}://${host}`,
  ...(user === undefined || password === undefined ? {} : { credentials: { user, password } }),
};
const { version } = JSON.parse(readFileSync(join(ROOT, 'apps/proxy/package.json'), 'utf8')) as { readonly version: string };
interface Subject {
  readonly name: string;
  readonly digest: string;
}
const released: Record<string, Subject> = {};
/** The images of this very run, with the lists of what is in them. */
const sboms: (Subject & { readonly path: string })[] = [];

for (const { name } of DESCRIPTIONS) {
  const archives = ARCHITECTURES.map((architecture) => join(IMAGES, `${name}-${version}-${architecture}.tar`));
  const missing = archives.find((archive) => !existsSync(archive));
  if (missing !== undefined) throw new Error(`there is no ${missing}: npm run images`);
  const repository = new Repository([...path, name].join('/'), options);
  const { digest, manifests, isOld } = await pushImage(
    repository,
    version,
    archives.map((archive) => readFileSync(archive)),
  );
  released[name] = { name: `${flags.registry}/${name}`, digest };
  for (const [at, manifest] of manifests.entries())
    sboms.push({
      name: `${flags.registry}/${name}`,
      digest: manifest,
      path: `dist/images/${name}-${version}-${ARCHITECTURES[at]}.spdx.json`,
    });
  console.log(`${flags.registry}/${name}:${version} ${digest}${isOld ? ' (released before)' : ''}`);
}

await buildGoTools(['helm'], (line) => console.error(line));
const helm = (...args: readonly string[]): void => {
  execFileSync(goTool('helm', 'helm'), args, { stdio: 'inherit' });
};
const plain = flags['plain-http'] ? ['--plain-http'] : [];
if (options.credentials !== undefined)
  execFileSync(goTool('helm', 'helm'), ['registry', 'login', host, '--username', options.credentials.user, '--password-stdin', ...plain], {
    input: options.credentials.password,
    stdio: ['pipe', 'inherit', 'inherit'],
  });
rmSync(PACKAGES, { recursive: true, force: true });
mkdirSync(PACKAGES, { recursive: true });
for (const name of readdirSync(join(ROOT, 'charts'))) {
  const repository = new Repository([...path, 'charts', name].join('/'), options);
  let digest = await repository.digestOfTag(version);
  if (digest === undefined) {
    helm('package', join(ROOT, 'charts', name), '--version', version, '--app-version', version, '--destination', PACKAGES);
    helm('push', join(PACKAGES, `${name}-${version}.tgz`), `oci://${[host, ...path, 'charts'].join('/')}`, ...plain);
    digest = await repository.digestOfTag(version);
  }
  if (digest === undefined) throw new Error(`${name} was pushed, but the registry does not know it`);
  released[name] = { name: `${flags.registry}/charts/${name}`, digest };
  console.log(`${flags.registry}/charts/${name}:${version} ${digest}`);
}

writeFileSync(join(ROOT, 'dist/release.json'), `${JSON.stringify({ version, released, sboms }, undefined, 2)}\n`);
const output = process.env.GITHUB_OUTPUT;
if (output !== undefined) appendFileSync(output, `subjects=${JSON.stringify(Object.values(released))}\nsboms=${JSON.stringify(sboms)}\n`);

// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createInstallationReader, MAX_INSTALLATION_FILE_BYTES } from './installation-files.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

function files(values: string, trustAnchors: string): { valuesFile: string; trustAnchorsFile: string } {
  const directory = mkdtempSync(join(tmpdir(), 'weft-installation-'));
  directories.push(directory);
  const paths = { valuesFile: join(directory, 'values'), trustAnchorsFile: join(directory, 'ca-bundle.crt') };
  writeFileSync(paths.valuesFile, values);
  writeFileSync(paths.trustAnchorsFile, trustAnchors);
  return paths;
}

describe('createInstallationReader', () => {
  it('parses values again only when their text changed', async () => {
    const paths = files('linkerdVersion: a', 'anchors');
    const read = createInstallationReader(paths);
    const first = await read();
    writeFileSync(paths.trustAnchorsFile, 'others');
    const second = await read();
    expect([second.values === first.values, second.trustAnchors]).toEqual([true, 'others']);
    writeFileSync(paths.valuesFile, 'linkerdVersion: b');
    expect((await read()).values.linkerdVersion).toBe('b');
  });

  it.each([
    ['no YAML', '{', 'anchors', /values is not YAML/],
    ['aliases that grow', 'a: &a [x]\nb: [*a, *a]', 'anchors', /values is not YAML/],
    ['too much', `a: ${'x'.repeat(MAX_INSTALLATION_FILE_BYTES)}`, 'anchors', /larger than/],
    ['values of a wrong type', 'proxy: { uid: nobody }', 'anchors', /values: proxy\.uid is not a number/],
    ['no trust anchors', '{}', ' ', /ca-bundle\.crt holds no trust anchors/],
  ])('names the file that holds %s', async (_what, values, anchors, message) => {
    await expect(createInstallationReader(files(values, anchors))()).rejects.toThrow(message);
  });

  it('names a file that is not there', async () => {
    const paths = files('', 'anchors');
    await expect(createInstallationReader({ ...paths, valuesFile: '/nowhere/values' })()).rejects.toThrow('cannot read /nowhere/values');
  });
});

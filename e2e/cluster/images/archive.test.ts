// SPDX-License-Identifier: Apache-2.0
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readArchive, readTar } from '@weft/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeImage } from './archive.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'archive-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function layer(name: string, mtimeS: number): string {
  const directory = join(home, name);
  mkdirSync(join(directory, 'bin'), { recursive: true });
  writeFileSync(join(directory, 'bin/run'), 'run');
  chmodSync(join(directory, 'bin/run'), 0o755);
  utimesSync(join(directory, 'bin/run'), mtimeS, mtimeS);
  return directory;
}

describe('a test image', () => {
  it('has its reference, configuration, and a layer per directory', () => {
    const archive = join(home, 'a.tar');
    writeImage({ reference: 'localhost/a:e2e', layers: [layer('one', 1), layer('two', 1)], config: { Entrypoint: ['/bin/run'] }, archive });
    const [image] = readArchive(readFileSync(archive)).images;
    expect(image).toMatchObject({ reference: 'localhost/a:e2e', config: { os: 'linux', config: { Entrypoint: ['/bin/run'] } } });
    const files = readTar(image?.layers[0] ?? Buffer.of()).filter(({ type }) => type === 'file');
    expect(files).toMatchObject([{ path: 'bin/run', mode: 0o755 }]);
    expect(image?.layers).toHaveLength(2);
  });

  it('is the same file for the same contents, whatever their times', () => {
    const made = [1, 1_000_000].map((mtimeS, at) => {
      const archive = join(home, `${at}.tar`);
      writeImage({ reference: 'localhost/a:e2e', layers: [layer(`layer${at}`, mtimeS)], config: {}, archive });
      return readFileSync(archive);
    });
    expect(made[0]?.equals(made[1] as Buffer)).toBe(true);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DEMO_IMAGE } from './demo-image.ts';
import { bundleScript } from './script-bundle.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A repository with one script, which imports a module of ours and one of npm. */
function withRepository<T>(use: (root: string) => T): T {
  const root = mkdtempSync(join(tmpdir(), 'weft-script-'));
  try {
    mkdirSync(join(root, 'node_modules/plain'), { recursive: true });
    writeFileSync(join(root, 'node_modules/plain/package.json'), '{"name":"plain","version":"1.2.3","license":"MIT","main":"x.cjs"}');
    writeFileSync(join(root, 'node_modules/plain/x.cjs'), "exports.path = require('node:path').sep;\n");
    writeFileSync(join(root, 'own.mjs'), 'export const own = 1;\n');
    writeFileSync(join(root, 'script.mjs'), "import { path } from 'plain';\nimport { own } from './own.mjs';\nconsole.log(path, own);\n");
    return use(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

describe('bundling a script', () => {
  it('gives one file with all that it imports, and names the npm modules in it', () => {
    const { contents, modules } = withRepository((root) => bundleScript(root, 'script.mjs'));
    expect(contents.toString()).not.toMatch(/^import .*(plain|own)/m);
    expect(modules.map(({ name, version }) => `${name}@${version}`)).toEqual(['plain@1.2.3']);
  });

  it('gives the same bytes wherever the repository is', () => {
    const [first, second] = [0, 1].map(() => withRepository((root) => bundleScript(root, 'script.mjs').contents.toString()));
    expect(first).toBe(second);
  });

  it('says what cannot be found', () => {
    withRepository((root) => {
      writeFileSync(join(root, 'bad.mjs'), "import 'nowhere';\n");
      expect(() => bundleScript(root, 'bad.mjs')).toThrow(/nowhere/);
    });
  });
});

describe('the scripts of the demonstration', () => {
  it('are all that its manifests start', () => {
    const directory = join(ROOT, 'examples/demo');
    const manifests = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
    const started = manifests.flatMap((name) => [...readFileSync(join(directory, name), 'utf8').matchAll(/\bnode, (apps\/[\w.-]+)/g)]);
    const paths = new Set(started.map(([, path]) => `${DEMO_IMAGE.workingDirectory}/${path}`));
    expect([...paths].sort()).toEqual(DEMO_IMAGE.scripts?.map(({ path }) => path).sort());
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * Makes one file of a JavaScript file and all modules that it imports, for images whose programs are no apps of ours: those of the demonstration.
 * The same sources give the same bytes: nothing of the machine's paths is in the result.
 */
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { type BundledModule, modulesOfFiles } from './bundled-modules.ts';

/** A bundled file and the npm modules in it. */
export interface ScriptBundle {
  readonly contents: Buffer;
  readonly modules: readonly BundledModule[];
}

/** CommonJS modules ask for Node's own ones by `require`, which an ES module lacks. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

/** Optional native parts of `ws`, which does without them. */
const ABSENT: readonly string[] = ['bufferutil', 'utf-8-validate'];

const bundles = new Map<string, ScriptBundle>();

/** Bundles `source`, a path relative to the repository, as an ES module. Throws where it imports what is not there. */
export function bundleScript(root: string, source: string): ScriptBundle {
  const entry = join(root, source);
  const known = bundles.get(entry);
  if (known !== undefined) return known;
  const { outputFiles, metafile } = buildSync({
    absWorkingDir: root,
    entryPoints: [source],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    banner: { js: REQUIRE },
    external: [...ABSENT],
    legalComments: 'none',
    logLevel: 'silent',
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error(`${source} gave no bundle`);
  const modules = modulesOfFiles(Object.keys(metafile.inputs).map((path) => join(root, path)));
  const bundle = { contents: Buffer.from(file.contents), modules };
  bundles.set(entry, bundle);
  return bundle;
}

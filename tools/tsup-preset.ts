// SPDX-License-Identifier: Apache-2.0
/*
 * How an app becomes one file: `dist/main.js`, or one for each of its mains, with every package in it, so that an image holds Node and that file (and, where asked,
 * lazily imported parts beside it). Only JavaScript: types come from `tsc -b`. Packages are bundled from their sources (condition
 * `weft-source`), so nothing has to be built before.
 */
import { defineConfig } from 'tsup';

/** What apps may differ in. */
export interface AppBundle {
  /** Drops whitespace and shortens names: less source text in memory. Stack traces then need the source map beside the file. */
  readonly isMinified?: boolean;
  /** Mains by the name of their file in `dist`. Default: `main`. */
  readonly entries?: Readonly<Record<string, string>>;
  /** Leaves what is imported lazily in files of its own (`dist/chunk-*.js`), so that it is read only when it is needed. */
  readonly isSplit?: boolean;
  /** Names in the sources that stand for these texts. */
  readonly constants?: Readonly<Record<string, string>>;
  /** Runs when the files are written. */
  readonly afterBuild?: () => Promise<void>;
}

/** The tsup configuration of one app. */
export function appBundle(options: AppBundle = {}): ReturnType<typeof defineConfig> {
  return defineConfig({
    entry: { ...(options.entries ?? { main: 'src/main.ts' }) },
    outDir: 'dist',
    format: 'esm',
    platform: 'node',
    target: 'node26',
    // Some dependencies are CommonJS and require Node's modules; an ES module has no `require` of its own.
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
    noExternal: [/.*/],
    splitting: options.isSplit ?? false,
    define: Object.fromEntries(Object.entries(options.constants ?? {}).map(([name, text]) => [name, JSON.stringify(text)])),
    sourcemap: true,
    minify: options.isMinified ?? false,
    // tsc's declarations are in the same directory.
    clean: false,
    dts: false,
    silent: true,
    ...(options.afterBuild === undefined ? {} : { onSuccess: options.afterBuild }),
    esbuildOptions(esbuild) {
      esbuild.conditions = ['weft-source'];
      esbuild.legalComments = 'none';
    },
  });
}

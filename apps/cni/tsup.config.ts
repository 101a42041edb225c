// SPDX-License-Identifier: Apache-2.0
import { defineConfig, type Options } from 'tsup';
import { appBundle } from '../../tools/tsup-preset.ts';

const bundle = (entries: Record<string, string>): Options[] => [appBundle({ entries, isMinified: true })].flat() as Options[];

export default defineConfig([
  ...bundle({ install: 'src/install.ts', 'repair-controller': 'src/repair-controller.ts' }),
  // The plugin becomes the main script of an executable, which takes CommonJS.
  ...bundle({ plugin: 'src/plugin.ts' }).map((options): Options => ({
    ...options,
    format: 'cjs',
    banner: {},
    outExtension: () => ({ js: '.cjs' }),
  })),
]);

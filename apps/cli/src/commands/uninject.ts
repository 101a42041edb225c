// SPDX-License-Identifier: Apache-2.0
/* `weft uninject` (features CLI-26): takes the proxy, and all that configures it, out of manifests. */
import { Option, type Command } from 'commander';
import { uninjectManifest } from '@weft/injector';
import type { CommandContext } from '../command-context.ts';
import { readSources, type Input } from '../manifests/read-sources.ts';
import { transformManifests, type ManifestFormat } from '../manifests/transform.ts';

/** Flags and action. */
export function define(command: Command, context: CommandContext, input: Input = process.stdin): void {
  command
    .argument('<manifest...>', 'files, directories, URLs; - for standard input')
    .addOption(new Option('-o, --output <format>', 'yaml or json').choices(['yaml', 'json']).default('yaml'))
    .action(async (sources: string[], options: { readonly output: ManifestFormat }) => {
      transformManifests(await readSources(sources, input), uninjectManifest, options.output, context);
    });
}

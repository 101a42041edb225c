// SPDX-License-Identifier: Apache-2.0
/* `weft install-cni` (features CLI-21): prints the CNI plugin's DaemonSet and what it needs. */
import { defaultValues, mergeValues } from '@weft/chart';
import type { RenderedObject } from '@weft/chart';
import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { addValuesFlags, readGivenValues } from '../install/given-values.ts';
import type { ValuesOptions } from '../install/given-values.ts';
import { addOutputFlag, printObjects } from '../install/manifest.ts';
import type { ManifestOutput } from '../install/manifest.ts';
import { CREATED_BY, loadOwnChart, misspelt, renderRelease } from '../install/release.ts';
import { addValueFlags, CNI_FLAGS, REGISTRY_VARIABLE, registryValues, valuesOfFlags } from '../install/value-flags.ts';

interface CniOptions extends ValuesOptions {
  readonly registry?: string;
  readonly output: ManifestOutput;
  readonly [flag: string]: unknown;
}

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  command.option('--registry <registry>', `registry of the image; default: $${REGISTRY_VARIABLE}, or the chart's own`);
  addValueFlags(command, CNI_FLAGS);
  addValuesFlags(command);
  addOutputFlag(command);
  command.addHelpText('after', '\nFor example: weft install-cni | kubectl apply -f -').action(async (options: CniOptions) => {
    const chart = loadOwnChart('weft-cni');
    const { cniNamespace: namespace } = context.globals();
    const { values, notes } = valuesOfFlags(options, CNI_FLAGS);
    for (const note of notes) context.err(`${note}\n`);
    const registry = options.registry ?? process.env[REGISTRY_VARIABLE] ?? '';
    const merged = mergeValues(
      registry === '' ? {} : registryValues(registry, defaultValues(chart), ['image.name']),
      values,
      await readGivenValues(options),
      { cliVersion: CREATED_BY },
    );
    for (const name of misspelt(chart, merged)) context.err(`warning: the chart knows no value ${name}\n`);
    const objects = renderRelease(chart, merged, { namespace, isInstall: true });
    context.out(printObjects([namespaceObject(namespace), ...objects], options.output));
  });
}

/** Privileged, as the plugin writes into directories of the node. */
function namespaceObject(name: string): RenderedObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      annotations: { 'linkerd.io/inject': 'disabled' },
      labels: {
        'linkerd.io/cni-resource': 'true',
        'config.linkerd.io/admission-webhooks': 'disabled',
        'pod-security.kubernetes.io/enforce': 'privileged',
      },
    },
  };
}

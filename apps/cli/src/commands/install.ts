// SPDX-License-Identifier: Apache-2.0
/* `weft install` (features CLI-07 to CLI-16): prints what kubectl is to apply; never changes the cluster itself. */
import { defaultValues, haValues, mergeValues } from '@weft/chart';
import type { Chart, Dictionary } from '@weft/chart';
import type { Command } from 'commander';
import { CommandFailure } from '../command-context.ts';
import type { CommandContext } from '../command-context.ts';
import { readClusterFacts } from '../install/cluster-facts.ts';
import type { ClusterFacts } from '../install/cluster-facts.ts';
import { addValuesFlags, readGivenValues } from '../install/given-values.ts';
import type { ValuesOptions } from '../install/given-values.ts';
import { guardGatewayApi, guardInstall, installsGatewayApi } from '../install/guards.ts';
import { addOutputFlag, printObjects } from '../install/manifest.ts';
import type { ManifestOutput } from '../install/manifest.ts';
import { CREATED_BY, loadOwnChart, misspelt, renderControlPlane, renderRelease } from '../install/release.ts';
import { createRoot, readAnchors, readTrustFiles, trustValues } from '../install/trust.ts';
import type { TrustFiles } from '../install/trust.ts';
import {
  addValueFlags,
  CONTROL_PLANE_FLAGS,
  INSTALL_ONLY_FLAGS,
  PROXY_FLAGS,
  REGISTRY_VARIABLE,
  registryValues,
  valuesOfFlags,
} from '../install/value-flags.ts';
import type { ValueFlag } from '../install/value-flags.ts';
import { connectCluster } from '../kube/connect-cluster.ts';
import { textAt, valueAt } from '../kube/mesh-config.ts';

const FLAGS: readonly ValueFlag[] = [...CONTROL_PLANE_FLAGS, ...INSTALL_ONLY_FLAGS, ...PROXY_FLAGS];

/** Flags as commander gives them; those of the tables are read by name. */
export interface InstallOptions extends ValuesOptions, TrustFiles {
  readonly crds?: boolean;
  readonly ha?: boolean;
  readonly ignoreCluster?: boolean;
  readonly registry?: string;
  readonly output: ManifestOutput;
  readonly identityExternalIssuer?: boolean;
  readonly [flag: string]: unknown;
}

/** Flags with files of trust anchors and issuer. */
export function addTrustFlags(command: Command): void {
  command
    .option('--identity-trust-anchors-file <file>', 'trust anchors in PEM')
    .option('--identity-issuer-certificate-file <file>', 'issuer certificate in PEM')
    .option('--identity-issuer-key-file <file>', 'issuer key in PEM');
}

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  command
    .option('--crds', 'only the custom resource definitions')
    .option('--ha', 'highly available: three replicas on different nodes, webhooks that must answer')
    .option('--ignore-cluster', 'ask nothing of the cluster')
    .option('--registry <registry>', `registry of the images; default: $${REGISTRY_VARIABLE}, or the charts' own`);
  addTrustFlags(command);
  addValueFlags(command, FLAGS);
  addValuesFlags(command);
  addOutputFlag(command);
  command
    .addHelpText('after', '\nFor example: weft install --crds | kubectl apply -f - && weft install | kubectl apply -f -')
    .action((options: InstallOptions) => (options.crds === true ? installDefinitions(options, context) : install(options, context)));
}

async function askCluster(options: InstallOptions, context: CommandContext): Promise<ClusterFacts | undefined> {
  if (options.ignoreCluster === true) return undefined;
  const globals = context.globals();
  const cluster = await connectCluster(globals, context.err);
  try {
    return await readClusterFacts(cluster, globals.linkerdNamespace);
  } catch (error) {
    throw new CommandFailure(`cannot ask the cluster: ${(error as Error).message}\nTo print without asking: --ignore-cluster`, 1, {
      cause: error,
    });
  } finally {
    cluster.close();
  }
}

/** Values of the flags, the ones given as a whole over them; `base` beneath. */
export async function collectValues(
  chart: Chart,
  options: InstallOptions,
  context: CommandContext,
  base: Dictionary,
  flags: readonly ValueFlag[],
): Promise<Dictionary> {
  const { values, notes } = valuesOfFlags(options, flags);
  for (const note of notes) context.err(`${note}\n`);
  const registry = options.registry ?? process.env[REGISTRY_VARIABLE] ?? '';
  const defaults = defaultValues(chart);
  const merged = mergeValues(
    base,
    options.ha === true ? haValues(chart) : {},
    registry === '' ? {} : registryValues(registry, defaults),
    values,
    await readGivenValues(options),
    { cliVersion: CREATED_BY },
  );
  for (const name of misspelt(chart, merged)) context.err(`warning: the chart knows no value ${name}\n`);
  return merged;
}

async function installDefinitions(options: InstallOptions, context: CommandContext): Promise<void> {
  const chart = loadOwnChart('weft-crds');
  const facts = await askCluster(options, context);
  const given = await readGivenValues(options);
  const values = mergeValues({ installGatewayAPI: facts !== undefined && installsGatewayApi(facts) }, given, { cliVersion: CREATED_BY });
  const isGatewayRendered = values['installGatewayAPI'] === true || values['enableHttpRoutes'] === true;
  if (facts !== undefined) guardGatewayApi(facts, isGatewayRendered);
  context.err('Rendering Linkerd CRDs...\nNext, run `weft install | kubectl apply -f -` to install the control plane.\n\n');
  const { linkerdNamespace: namespace } = context.globals();
  context.out(printObjects(renderRelease(chart, values, release(namespace, facts)), options.output));
}

async function install(options: InstallOptions, context: CommandContext): Promise<void> {
  const chart = loadOwnChart('weft-control-plane');
  const { linkerdNamespace: namespace } = context.globals();
  const facts = await askCluster(options, context);
  const ports =
    facts === undefined || facts.apiServerPorts.length === 0 ? {} : { proxyInit: { kubeAPIServerPorts: facts.apiServerPorts.join(',') } };
  const collected = await collectValues(chart, options, context, ports, FLAGS);
  const whole = mergeValues(defaultValues(chart), collected);
  if (facts !== undefined) guardInstall(facts, namespace, whole);
  const values = mergeValues(trustFor(options, namespace, whole), collected);
  context.err('Rendering Linkerd control plane...\nNext, run `weft check` to see when it is ready.\n\n');
  context.out(printObjects(renderControlPlane(chart, values, release(namespace, facts)), options.output));
}

function release(namespace: string, facts: ClusterFacts | undefined): { namespace: string; isInstall: true; kubeVersion?: string } {
  return { namespace, isInstall: true, ...(facts === undefined ? {} : { kubeVersion: facts.kubeVersion }) };
}

/** Files, or what the values say already, or a new root. */
function trustFor(options: InstallOptions, namespace: string, values: Dictionary): Dictionary {
  const isExternalCa = valueAt(values, 'identity.externalCA') === true;
  const isExternalIssuer = valueAt(values, 'identity.issuer.scheme') === 'kubernetes.io/tls';
  const { identityIssuerCertificateFile: certificate, identityIssuerKeyFile: key, identityTrustAnchorsFile: anchors } = options;
  if (isExternalIssuer || isExternalCa) {
    if (certificate !== undefined || key !== undefined) {
      throw new CommandFailure('--identity-issuer-certificate-file and --identity-issuer-key-file cannot be used with an external issuer');
    }
    if (isExternalCa || textAt(values, 'identityTrustAnchorsPEM') !== '') return {};
    if (anchors === undefined) throw new CommandFailure('an external issuer needs its trust anchors: --identity-trust-anchors-file');
    return { identityTrustAnchorsPEM: readAnchors(anchors) };
  }
  const given = readTrustFiles(options, Date.now());
  if (given !== undefined) return trustValues(given);
  if (textAt(values, 'identityTrustAnchorsPEM') !== '') return {};
  const trustDomain = textAt(values, 'identityTrustDomain') || textAt(values, 'clusterDomain');
  return trustValues(createRoot(namespace, trustDomain, Date.now()));
}

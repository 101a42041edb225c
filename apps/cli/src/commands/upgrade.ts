// SPDX-License-Identifier: Apache-2.0
/* `weft upgrade` (features CLI-17, CLI-18): prints the installation anew, with the values and certificates that it has. */
import { defaultValues, mergeValues } from '@weft/chart';
import type { Chart, Dictionary } from '@weft/chart';
import type { Command } from 'commander';
import { CommandFailure } from '../command-context.ts';
import type { CommandContext } from '../command-context.ts';
import { readClusterFacts } from '../install/cluster-facts.ts';
import { addValuesFlags, readFile, readGivenValues } from '../install/given-values.ts';
import { guardDefinitions, guardGatewayApi, installsGatewayApi } from '../install/guards.ts';
import { manifestReader, readInstalled } from '../install/installed.ts';
import type { Installed } from '../install/installed.ts';
import { distrustingPods } from '../install/issuer-change.ts';
import { addOutputFlag, printObjects } from '../install/manifest.ts';
import { CREATED_BY, loadOwnChart, renderControlPlane, renderRelease } from '../install/release.ts';
import { checkTrust, readAnchors, trustValues } from '../install/trust.ts';
import { addValueFlags, CONTROL_PLANE_FLAGS, PROXY_FLAGS, REGISTRY_VARIABLE } from '../install/value-flags.ts';
import type { ValueFlag } from '../install/value-flags.ts';
import type { Cluster } from '../kube/cluster.ts';
import { connectCluster } from '../kube/connect-cluster.ts';
import { meshedPods, valueAt } from '../kube/mesh-config.ts';
import { addTrustFlags, collectValues } from './install.ts';
import type { InstallOptions } from './install.ts';

const FLAGS: readonly ValueFlag[] = [...CONTROL_PLANE_FLAGS, ...PROXY_FLAGS];
/** Pods that are named; a cluster may have thousands. */
const MAX_NAMED = 20;

interface UpgradeOptions extends InstallOptions {
  readonly fromManifests?: string;
  readonly force?: boolean;
}

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  command
    .option('--crds', 'only the custom resource definitions')
    .option('--ha', 'highly available')
    .option('--from-manifests <file>', 'read the installation from saved manifests instead of the cluster')
    .option('--force', 'also where running proxies would not trust the new issuer')
    .option('--registry <registry>', `registry of the images; default: $${REGISTRY_VARIABLE}, or as installed`);
  addTrustFlags(command);
  addValueFlags(command, FLAGS);
  addValuesFlags(command);
  addOutputFlag(command);
  command
    .addHelpText(
      'after',
      '\nFor example: weft upgrade --crds | kubectl apply -f - && weft upgrade | kubectl apply -f - && weft prune | kubectl delete -f -',
    )
    .action(async (options: UpgradeOptions) => {
      if (options.fromManifests !== undefined) return upgrade(options, context, undefined);
      const cluster = await connectCluster(context.globals(), context.err);
      try {
        await (options.crds === true ? upgradeDefinitions(options, context, cluster) : upgrade(options, context, cluster));
      } finally {
        cluster.close();
      }
    });
}

async function upgradeDefinitions(options: UpgradeOptions, context: CommandContext, cluster: Cluster): Promise<void> {
  const { linkerdNamespace: namespace } = context.globals();
  const facts = await readClusterFacts(cluster, namespace);
  const values = mergeValues({ installGatewayAPI: installsGatewayApi(facts) }, await readGivenValues(options), { cliVersion: CREATED_BY });
  guardGatewayApi(facts, values['installGatewayAPI'] === true || values['enableHttpRoutes'] === true);
  const objects = renderRelease(loadOwnChart('weft-crds'), values, { namespace, isInstall: false, kubeVersion: facts.kubeVersion });
  context.out(printObjects(objects, options.output));
}

async function upgrade(options: UpgradeOptions, context: CommandContext, cluster: Cluster | undefined): Promise<void> {
  const { linkerdNamespace: namespace } = context.globals();
  const chart = loadOwnChart('weft-control-plane');
  const facts = cluster === undefined ? undefined : await readClusterFacts(cluster, namespace);
  if (facts !== undefined) guardDefinitions(facts);
  const reader = cluster ?? manifestReader(readFile(options.fromManifests as string), options.fromManifests as string);
  const installed = await readInstalled(reader, namespace);
  const collected = await collectValues(chart, options, context, installed.overrides, FLAGS);
  const trust = await newTrust(options, context, { chart, collected, installed, cluster });
  const objects = renderControlPlane(chart, mergeValues(collected, trust), {
    namespace,
    isInstall: false,
    ...(facts === undefined ? {} : { kubeVersion: facts.kubeVersion }),
  });
  context.out(printObjects(objects, options.output));
}

interface TrustChange {
  readonly chart: Chart;
  readonly collected: Dictionary;
  readonly installed: Installed;
  readonly cluster: Cluster | undefined;
}

/** Certificates of the upgraded control plane: those in use, or new ones that have been checked. */
async function newTrust(options: UpgradeOptions, context: CommandContext, change: TrustChange): Promise<Dictionary> {
  const whole = mergeValues(defaultValues(change.chart), change.collected);
  const { identityIssuerCertificateFile: certificate, identityIssuerKeyFile: key, identityTrustAnchorsFile: anchors } = options;
  const isExternal = valueAt(whole, 'identity.issuer.scheme') === 'kubernetes.io/tls' || valueAt(whole, 'identity.externalCA') === true;
  const anchorsPem = anchors === undefined ? change.installed.anchorsPem : readAnchors(anchors);
  if (anchors !== undefined && anchorsPem?.trim() !== change.installed.anchorsPem?.trim()) {
    context.err(
      'warning: the trust anchors change. Proxies that were started before keep the old ones until their pods are restarted; keep the old anchors in the bundle until then.\n',
    );
  }
  if (isExternal) {
    if (certificate !== undefined || key !== undefined) {
      throw new CommandFailure(
        'the issuer of this installation is external: replace its Secret linkerd-identity-issuer instead of giving files',
      );
    }
    return anchorsPem === undefined ? {} : { identityTrustAnchorsPEM: anchorsPem };
  }
  if ((certificate === undefined) !== (key === undefined)) {
    throw new CommandFailure('--identity-issuer-certificate-file and --identity-issuer-key-file are needed together');
  }
  const issuerPem = certificate === undefined ? change.installed.issuerPem : readFile(certificate);
  const keyPem = key === undefined ? change.installed.keyPem : readFile(key);
  if (anchorsPem === undefined || issuerPem === undefined || keyPem === undefined) {
    throw new CommandFailure(
      'the installation has no complete set of trust anchors, issuer certificate and issuer key: give --identity-trust-anchors-file, --identity-issuer-certificate-file and --identity-issuer-key-file',
    );
  }
  const trust = { anchorsPem, issuerPem, keyPem };
  if (certificate !== undefined || anchors !== undefined) checkTrust(trust, Date.now());
  if (certificate !== undefined && options.force !== true) await mustBeTrusted(issuerPem, context, change.cluster);
  return trustValues(trust);
}

async function mustBeTrusted(issuerPem: string, context: CommandContext, cluster: Cluster | undefined): Promise<void> {
  if (cluster === undefined) return;
  const distrusting = distrustingPods(await meshedPods(cluster, context.globals().linkerdNamespace), issuerPem, Date.now());
  if (distrusting.length === 0) return;
  const named = distrusting.slice(0, MAX_NAMED).map((line) => `  * ${line}`);
  if (distrusting.length > MAX_NAMED) named.push(`  and ${distrusting.length - MAX_NAMED} more`);
  throw new CommandFailure(
    `running proxies would not trust the new issuer:\n${named.join('\n')}\nFirst add its root to the trust anchors and restart these pods, or use --force`,
  );
}

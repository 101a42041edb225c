// SPDX-License-Identifier: Apache-2.0
/* `weft identity` (features CLI-27): the certificates that proxies of pods hold. */
import type { Command } from 'commander';
import { PodKind, type Pod } from '@weft/resources';
import { CommandFailure, type CommandContext } from '../command-context.ts';
import { namespaceName } from '../global-options.ts';
import { certificateText } from '../inspect/certificate-text.ts';
import { peerCertificate } from '../inspect/peer-certificate.ts';
import { ADMIN_PORT } from '../inspect/proxy-readings.ts';
import { withCluster } from '../inspect/with-cluster.ts';
import type { Cluster } from '../kube/cluster.ts';
import { proxyContainer, readMeshConfig, textAt } from '../kube/mesh-config.ts';

export interface IdentityOptions {
  readonly namespace?: string;
  readonly selector?: string;
}

const DEFAULT_TRUST_DOMAIN = 'cluster.local';
const ADMIN_PORT_NAME = 'linkerd-admin';

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  command
    .argument('[pod...]', 'names of pods')
    .option('-n, --namespace <namespace>', "namespace; default: that of the kubeconfig's context", namespaceName)
    .option('-l, --selector <labels>', 'pods with these labels, instead of names')
    .action(async (names: string[], options: IdentityOptions) => {
      await withCluster(context, (cluster, { linkerdNamespace }) => identity(cluster, linkerdNamespace, names, options, context));
    });
}

/** Looks and writes. */
export async function identity(
  cluster: Cluster,
  controlPlane: string,
  names: readonly string[],
  options: IdentityOptions,
  { out, err }: Pick<CommandContext, 'out' | 'err'>,
): Promise<void> {
  if ((names.length === 0) === (options.selector === undefined)) throw new CommandFailure('name pods, or select them with --selector');
  const namespace = options.namespace ?? cluster.defaultNamespace;
  const pods =
    options.selector === undefined
      ? await Promise.all(names.map((name) => cluster.get(PodKind, namespace, name)))
      : await cluster.list(PodKind, { namespace, labelSelector: options.selector });
  if (pods.length === 0) throw new CommandFailure(`no pod of namespace ${namespace} has the labels ${options.selector}`);
  const domain = await identityDomain(cluster, controlPlane);
  let failures = 0;
  for (const [index, pod] of pods.entries()) {
    out(`\nPOD ${pod.metadata.name} (${index + 1} of ${pods.length})\n\n`);
    try {
      out(await certificateOf(cluster, pod, domain));
    } catch (error) {
      failures += 1;
      err(`cannot read the certificate of ${namespace}/${pod.metadata.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  if (failures > 0) throw new CommandFailure(`${failures} of ${pods.length} certificates could not be read`);
}

async function certificateOf(cluster: Cluster, pod: Pod, domain: string): Promise<string> {
  const { namespace, name } = pod.metadata;
  const container = proxyContainer(pod);
  if (container === undefined) throw new Error('the pod has no proxy');
  const port = container.ports?.find((candidate) => candidate.name === ADMIN_PORT_NAME)?.containerPort ?? ADMIN_PORT;
  const forward = await cluster.portForward(namespace, name, port);
  try {
    const serverName = `${pod.spec?.serviceAccountName ?? 'default'}.${namespace}.${domain}`;
    return certificateText(await peerCertificate(forward.host, forward.port, serverName));
  } finally {
    forward.close();
  }
}

/** `serviceaccount.identity.<control plane>.<trust domain>`. */
async function identityDomain(cluster: Cluster, controlPlane: string): Promise<string> {
  const config = await readMeshConfig(cluster, controlPlane).catch(() => undefined);
  const trustDomain = config === undefined ? '' : textAt(config.values, 'identityTrustDomain') || textAt(config.values, 'clusterDomain');
  return `serviceaccount.identity.${controlPlane}.${trustDomain || DEFAULT_TRUST_DOMAIN}`;
}

// SPDX-License-Identifier: Apache-2.0
/* `weft diagnostics controller-metrics` (features CLI-30): the admin port of every container of the control plane. */
import type { Command } from 'commander';
import type { Pod } from '@weft/resources';
import { CommandFailure, type CommandContext } from '../../command-context.ts';
import { readAdmin } from '../../inspect/admin-http.ts';
import { controlPlanePods } from '../../inspect/control-plane.ts';
import { inParallel, MAX_READERS } from '../../inspect/proxy-readings.ts';
import { withCluster } from '../../inspect/with-cluster.ts';
import type { Cluster } from '../../kube/cluster.ts';
import { durationOption } from '../traffic-options.ts';

/** Names of admin ports: `dest-admin`, `linkerd-admin`, the reference's `admin-http`. */
const ADMIN_PORT_NAME = /(?:^|-)admin(?:-http)?$/;

export interface ControllerMetricsOptions {
  readonly wait: number;
}

/** Flags and action. */
export function defineControllerMetrics(command: Command, context: CommandContext): void {
  command
    .addOption(durationOption('-w, --wait <duration>', 'longest time for all of it', '30s'))
    .action(async (options: ControllerMetricsOptions) => {
      await withCluster(context, (cluster, { linkerdNamespace }) => controllerMetrics(cluster, linkerdNamespace, options, context));
    });
}

interface AdminContainer {
  readonly pod: string;
  readonly container: string;
  readonly port: number;
}

/** Reads and writes. */
export async function controllerMetrics(
  cluster: Cluster,
  namespace: string,
  { wait }: ControllerMetricsOptions,
  { out, err }: Pick<CommandContext, 'out' | 'err'>,
): Promise<void> {
  const deadline = performance.now() + wait;
  const pods = await controlPlanePods(cluster, namespace);
  if (pods.length === 0) throw new CommandFailure(`no pod of the control plane runs in namespace ${namespace}`);
  const containers = pods.flatMap(adminContainers);
  const names = [...new Set(containers.map(({ pod }) => pod))];
  const texts = await inParallel(containers, MAX_READERS, async ({ pod, container, port }) => {
    if (performance.now() > deadline) return `# ERROR not read within ${wait} ms\n`;
    const forward = await cluster.portForward(namespace, pod, port);
    try {
      return await readAdmin(forward, '/metrics');
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      err(`cannot read ${pod}/${container}: ${message}\n`);
      return `# ERROR ${message}\n`;
    } finally {
      forward.close();
    }
  });
  for (const [index, { pod, container }] of containers.entries()) {
    out(`#\n# POD ${pod} (${names.indexOf(pod) + 1} of ${names.length})\n# CONTAINER ${container}\n#\n${endLine(texts[index] ?? '')}`);
  }
}

/** Containers with an admin port, sidecars that start first included. */
export function adminContainers(pod: Pod): AdminContainer[] {
  return [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].flatMap(({ name, ports }) => {
    const port = ports?.find((candidate) => ADMIN_PORT_NAME.test(candidate.name ?? ''))?.containerPort;
    return port === undefined ? [] : [{ pod: pod.metadata.name, container: name, port }];
  });
}

function endLine(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

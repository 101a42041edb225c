// SPDX-License-Identifier: Apache-2.0
/* `weft version` (features CLI-05): this program's version, the control plane's, and with --proxy how many pods run which proxy. */
import type { Command } from 'commander';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { namespaceName } from '../global-options.ts';
import { VERSION } from '../version.ts';

/** Said where nothing can be asked. */
const UNAVAILABLE = 'unavailable';

interface VersionOptions {
  readonly short?: boolean;
  readonly client?: boolean;
  readonly proxy?: boolean;
  readonly namespace?: string;
}

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  command
    .option('--short', 'only the numbers')
    .option('--client', 'only the version of this program')
    .option('--proxy', 'also how many pods run which version of the proxy')
    .option('-n, --namespace <namespace>', 'with --proxy: pods of this namespace; default: all', namespaceName)
    .action(async (options: VersionOptions) => {
      const isShort = options.short === true;
      context.out(isShort ? `${VERSION}\n` : `Client version: ${VERSION}\n`);
      if (options.client === true) return;
      const { server, proxies } = await askCluster(context.globals(), options);
      context.out(isShort ? `${server}\n` : `Server version: ${server}\n`);
      if (options.proxy === true) context.out(proxyLines(proxies));
    });
}

/** Lines on proxies: `\t<version> (<n> pods)`, by version; '' as version stands for a pod whose image has no tag. */
export function proxyLines(proxies: ReadonlyMap<string, number> | undefined): string {
  if (proxies === undefined) return `Proxy versions: ${UNAVAILABLE}\n`;
  const lines = [...proxies].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `Proxy versions:\n${lines.map(([version, count]) => `\t${version} (${count} ${count === 1 ? 'pod' : 'pods'})\n`).join('')}`;
}

interface ClusterVersions {
  readonly server: string;
  readonly proxies?: ReadonlyMap<string, number>;
}

/** Never rejects: what cannot be asked is unavailable. */
async function askCluster(globals: GlobalOptions, options: VersionOptions): Promise<ClusterVersions> {
  const [{ connectCluster }, { meshedPods, proxyVersion, readMeshConfig, textAt }] = await Promise.all([
    import('../kube/connect-cluster.ts'),
    import('../kube/mesh-config.ts'),
  ]);
  try {
    const cluster = await connectCluster(globals);
    try {
      const server = await readMeshConfig(cluster, globals.linkerdNamespace)
        .then(({ values }) => textAt(values, 'linkerdVersion'))
        .catch(() => '');
      if (options.proxy !== true) return { server: server === '' ? UNAVAILABLE : server };
      const proxies = new Map<string, number>();
      for (const pod of await meshedPods(cluster, globals.linkerdNamespace, options.namespace)) {
        const version = proxyVersion(pod) ?? '';
        proxies.set(version, (proxies.get(version) ?? 0) + 1);
      }
      return { server: server === '' ? UNAVAILABLE : server, proxies };
    } finally {
      cluster.close();
    }
  } catch {
    return { server: UNAVAILABLE };
  }
}

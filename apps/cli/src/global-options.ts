// SPDX-License-Identifier: Apache-2.0
/* The global flags of `weft` (features CLI-01): their declaration, and their values with the environment's defaults filled in. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { GlobalOptions } from './command-context.ts';

/** Where the control plane is unless told. */
export const DEFAULT_NAMESPACE = 'linkerd';
/** Where the CNI plugin is unless told. */
export const DEFAULT_CNI_NAMESPACE = 'linkerd-cni';

interface RawGlobals {
  readonly linkerdNamespace: string;
  readonly cniNamespace: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly as?: string;
  readonly asGroup?: readonly string[];
  readonly apiAddr?: string;
  readonly verbose?: boolean;
}

/** Adds the global flags. */
export function addGlobalOptions(program: Command): Command {
  return program
    .addOption(
      new Option('-L, --linkerd-namespace <namespace>', 'namespace of the control plane')
        .env('LINKERD_NAMESPACE')
        .default(DEFAULT_NAMESPACE)
        .argParser(namespaceName),
    )
    .addOption(
      new Option('--cni-namespace <namespace>', 'namespace of the CNI plugin').default(DEFAULT_CNI_NAMESPACE).argParser(namespaceName),
    )
    .option('--kubeconfig <path>', 'kubeconfig; default: $KUBECONFIG or ~/.kube/config')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--as <user>', 'user to impersonate')
    .addOption(
      new Option('--as-group <group>', 'group to impersonate; may be repeated').argParser(
        (group, groups: readonly string[] | undefined) => [...(groups ?? []), group],
      ),
    )
    .addOption(
      new Option('--api-addr <host:port>', "address of the control plane's API, instead of forwarding a port").argParser(hostAndPort),
    )
    .option('--verbose', 'tell on standard error what is asked of the cluster');
}

/** The global flags of a parsed program. */
export function readGlobalOptions(program: Command): GlobalOptions {
  const raw = program.opts<RawGlobals>();
  return {
    linkerdNamespace: raw.linkerdNamespace,
    cniNamespace: raw.cniNamespace,
    ...(raw.kubeconfig === undefined ? {} : { kubeconfig: raw.kubeconfig }),
    ...(raw.context === undefined ? {} : { context: raw.context }),
    ...(raw.as === undefined ? {} : { as: raw.as }),
    ...(raw.apiAddr === undefined ? {} : { apiAddr: raw.apiAddr }),
    asGroup: raw.asGroup ?? [],
    isVerbose: raw.verbose ?? false,
  };
}

/** A namespace's name (RFC 1123 label). Throws InvalidArgumentError. */
export function namespaceName(text: string): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) throw new InvalidArgumentError(`${text} is no name of a namespace.`);
  return text;
}

function hostAndPort(text: string): string {
  const port = Number(/^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text)?.[1] ?? '0');
  if (port < 1 || port > 65_535) throw new InvalidArgumentError(`${text} is not host:port.`);
  return text;
}

// SPDX-License-Identifier: Apache-2.0
/* Flags that `stat`, `top` and `edges` share, and the question that they ask. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { CommandFailure } from '../command-context.ts';
import { parseDurationMs } from '../duration.ts';
import { namespaceName } from '../global-options.ts';
import { parseResource } from '../inspect/resource-argument.ts';
import type { ScopedResource, TrafficQuery } from '../inspect/traffic-query.ts';

/** Values of the flags. */
export interface TrafficOptions {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly to?: string;
  readonly toNamespace?: string;
  readonly from?: string;
  readonly fromNamespace?: string;
}

/** Adds `-n` and `-A`. */
export function addScopeOptions(command: Command): Command {
  return command
    .option('-n, --namespace <namespace>', "namespace; default: that of the kubeconfig's context", namespaceName)
    .option('-A, --all-namespaces', 'all namespaces');
}

/** Adds the flags of a question about traffic. */
export function addTrafficOptions(command: Command): Command {
  return addScopeOptions(command)
    .option('--to <resource>', 'only requests to this, such as svc/web, as the clients saw them')
    .option('--to-namespace <namespace>', 'namespace of --to; default: that of the resource', namespaceName)
    .option('--from <resource>', 'only requests from this, such as deploy/web')
    .option('--from-namespace <namespace>', 'namespace of --from; default: that of the resource', namespaceName);
}

/** A length of time that is more than nothing. */
export function durationOption(flags: string, description: string, byDefault: string): Option {
  return new Option(flags, description)
    .argParser((text) => {
      const ms = parseDurationMs(text);
      if (ms === undefined || ms <= 0) throw new InvalidArgumentError('expected a duration such as 5s.');
      return ms;
    })
    .default(parseDurationMs(byDefault), byDefault);
}

/** The question that words and flags ask. Throws CommandFailure. */
export function trafficQuery(words: readonly string[], options: TrafficOptions, defaultNamespace: string): TrafficQuery {
  if (options.to !== undefined && options.from !== undefined) throw new CommandFailure('--to and --from exclude each other');
  const namespace = scopeOf(options, defaultNamespace);
  const scoped = (text: string, own: string | undefined): ScopedResource => ({ ...parseResource([text]), namespace: own ?? namespace });
  return {
    subject: { ...parseResource(words), namespace },
    ...(options.to === undefined ? {} : { to: scoped(options.to, options.toNamespace) }),
    ...(options.from === undefined ? {} : { from: scoped(options.from, options.fromNamespace) }),
  };
}

/** The namespace that is asked for; undefined for all. */
export function scopeOf({ namespace, allNamespaces }: TrafficOptions, defaultNamespace: string): string | undefined {
  if (allNamespaces === true && namespace !== undefined) throw new CommandFailure('--namespace and --all-namespaces exclude each other');
  return allNamespaces === true ? undefined : (namespace ?? defaultNamespace);
}

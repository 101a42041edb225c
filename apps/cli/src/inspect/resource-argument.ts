// SPDX-License-Identifier: Apache-2.0
/* Resources as arguments name them: `deploy`, `deploy/web`, `po/web-1`, with kubectl's short names (features CLI-31, CLI-46). */
import { CommandFailure } from '../command-context.ts';

/** Kinds that traffic is shown by. */
export type TrafficKind =
  | 'namespace'
  | 'pod'
  | 'deployment'
  | 'replicaset'
  | 'replicationcontroller'
  | 'daemonset'
  | 'statefulset'
  | 'job'
  | 'cronjob'
  | 'service';

/** A kind and perhaps one object of it. */
export interface ResourceArgument {
  readonly kind: TrafficKind;
  readonly name: string | undefined;
}

const ALIASES: Readonly<Record<TrafficKind, readonly string[]>> = {
  namespace: ['ns', 'namespaces'],
  pod: ['po', 'pods'],
  deployment: ['deploy', 'deployments'],
  replicaset: ['rs', 'replicasets'],
  replicationcontroller: ['rc', 'replicationcontrollers'],
  daemonset: ['ds', 'daemonsets'],
  statefulset: ['sts', 'statefulsets'],
  job: ['jobs'],
  cronjob: ['cj', 'cronjobs'],
  service: ['svc', 'services'],
};

const KINDS: ReadonlyMap<string, TrafficKind> = new Map(
  Object.entries(ALIASES).flatMap(([kind, aliases]) => [kind, ...aliases].map((alias) => [alias, kind as TrafficKind] as const)),
);

/** Reads `kind`, `kind/name` or `kind name`. Throws CommandFailure. */
export function parseResource(words: readonly string[]): ResourceArgument {
  const [first = '', second, ...rest] = words;
  const slash = first.indexOf('/');
  const name = slash < 0 ? second : first.slice(slash + 1);
  if (rest.length > 0 || (slash >= 0 && second !== undefined) || name === '') {
    throw new CommandFailure(`${words.join(' ')} is no resource; write a kind or kind/name, such as deploy/web`);
  }
  return { kind: trafficKind(slash < 0 ? first : first.slice(0, slash)), name };
}

function trafficKind(text: string): TrafficKind {
  const kind = KINDS.get(text.toLowerCase());
  if (kind === undefined) throw new CommandFailure(`unknown kind ${text}; known are ${Object.keys(ALIASES).join(', ')}`);
  return kind;
}

/** The short name that tables write before a name where kinds mix: `deploy`, `po`. */
export function shortKind(kind: TrafficKind): string {
  return ALIASES[kind][0] ?? kind;
}

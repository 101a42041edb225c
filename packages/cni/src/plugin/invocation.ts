// SPDX-License-Identifier: Apache-2.0
/*
 * What a container runtime says in the environment (CNI specification, "Parameters"): the operation, the network namespace, and the
 * pod's name, which Kubernetes runtimes put into CNI_ARGS.
 */
import { CNI_CODES, CniError } from './cni-error.ts';

/** Operations of the specification up to 1.1.0. */
export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'VERSION' | 'GC' | 'STATUS';

/** The pod that a sandbox is for. */
export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  /** The pod's uid, where the runtime says it. */
  readonly uid: string | undefined;
}

/** One call of the plugin. */
export interface Invocation {
  readonly command: CniCommand;
  /** '' where the operation has none. */
  readonly containerId: string;
  /** A path; '' where there is none. */
  readonly netns: string;
  /** Absent when the container is no pod of Kubernetes. */
  readonly pod: PodIdentity | undefined;
}

const COMMANDS: readonly string[] = ['ADD', 'DEL', 'CHECK', 'VERSION', 'GC', 'STATUS'] satisfies CniCommand[];

/** Reads the environment. Throws CniError. */
export function readInvocation(env: Readonly<Record<string, string | undefined>>): Invocation {
  const { CNI_COMMAND: command = '', CNI_CONTAINERID: containerId = '', CNI_NETNS: netns = '', CNI_ARGS: args = '' } = env;
  if (!COMMANDS.includes(command)) {
    throw new CniError(CNI_CODES.invalidEnvironment, `CNI_COMMAND ${JSON.stringify(command)} is not one of ${COMMANDS.join(', ')}`);
  }
  return { command: command as CniCommand, containerId, netns, pod: podOf(args) };
}

/** `K8S_POD_NAMESPACE=…;K8S_POD_NAME=…;…`; other keys are other people's. */
function podOf(args: string): PodIdentity | undefined {
  const given = new Map<string, string>();
  for (const pair of args.split(';')) {
    const split = pair.indexOf('=');
    if (split > 0) given.set(pair.slice(0, split).trim(), pair.slice(split + 1).trim());
  }
  const namespace = given.get('K8S_POD_NAMESPACE') ?? '';
  const name = given.get('K8S_POD_NAME') ?? '';
  if (namespace === '' || name === '') return undefined;
  const uid = given.get('K8S_POD_UID');
  return { namespace, name, uid: uid === undefined || uid === '' ? undefined : uid };
}

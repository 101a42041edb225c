// SPDX-License-Identifier: Apache-2.0
/*
 * Where a run keeps things, and what its parts are called. What belongs to the moment (sockets, pod files, who runs) is under /run; what is worth
 * keeping (keys of the mesh, copies of the programs) under /var/lib.
 */
import { createHash } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import { HostRunError } from '../errors.ts';

/** Base directories; others only in tests. */
export interface RunBases {
  readonly runtime: string;
  readonly state: string;
  /** Where `ip netns exec` looks for files to put over /etc. */
  readonly netnsEtc: string;
}

export const RUN_BASES: RunBases = { runtime: '/run/weft', state: '/var/lib/weft', netnsEtc: '/etc/netns' };

/** Paths and names of one run. */
export interface RunPaths {
  readonly name: string;
  readonly bases: RunBases;
  readonly runtime: string;
  readonly state: string;
  readonly owner: string;
  readonly processes: string;
  readonly apiSocket: string;
  readonly pods: string;
  readonly logs: string;
  readonly bin: string;
  readonly pki: string;
  readonly bridge: string;
  /** Every network namespace of the run begins with it. */
  readonly netnsPrefix: string;
  /** Every veth of the run begins with it. */
  readonly linkPrefix: string;
}

const NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;

/** A name for the run of a directory: its own name and a hash of where it is. */
export function runNameFor(directory: string): string {
  const path = resolve(directory);
  const stem = basename(path)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 20);
  return `${stem === '' ? 'run' : stem}-${tagOf(path)}`.replaceAll('--', '-');
}

/** Throws HostRunError `ERR_RUN_ARGUMENT` for a name that cannot be part of a link's or a file's. */
export function runPaths(name: string, bases: RunBases = RUN_BASES): RunPaths {
  if (!NAME.test(name)) throw new HostRunError('ERR_RUN_ARGUMENT', `--name: ${name} is not a name of small letters, digits and dashes`);
  const runtime = join(bases.runtime, name);
  const state = join(bases.state, name);
  const tag = tagOf(name);
  return {
    name,
    bases,
    runtime,
    state,
    owner: join(runtime, 'run.json'),
    processes: join(runtime, 'processes.jsonl'),
    apiSocket: join(runtime, 'api.sock'),
    pods: join(runtime, 'pods'),
    logs: join(state, 'logs'),
    bin: join(state, 'bin'),
    pki: join(state, 'pki'),
    bridge: `weft${tag}`,
    netnsPrefix: `weft.${name}.`,
    linkPrefix: `wv${tag}-`,
  };
}

/** Five hexadecimal digits: names of links are at most 15 characters long. */
function tagOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 5);
}

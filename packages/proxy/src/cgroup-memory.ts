// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel counts against this process (cgroups(7)): the lowest memory limit of its cgroup and those above, and what is used of it that
 * cannot be given back by dropping file pages. In a container the own cgroup is the root of what is seen; on a host it is named in
 * /proc/self/cgroup.
 */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Limits of cgroup v1 that mean none. */
const UNLIMITED_BYTES = 2 ** 60;
const PAGE_BYTES = 4096;

interface Version {
  readonly root: string;
  readonly limitFile: string;
  readonly usageFile: string;
  /** Line of memory.stat with the bytes of file pages. */
  readonly fileStat: RegExp;
  /** Line of /proc/self/cgroup with the path. */
  readonly own: RegExp;
}

const VERSIONS: readonly Version[] = [
  {
    root: '/sys/fs/cgroup',
    limitFile: 'memory.max',
    usageFile: 'memory.current',
    fileStat: /^file (\d+)$/m,
    own: /^0::(\/.*)$/m,
  },
  {
    root: '/sys/fs/cgroup/memory',
    limitFile: 'memory.limit_in_bytes',
    usageFile: 'memory.usage_in_bytes',
    fileStat: /^total_cache (\d+)$/m,
    own: /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m,
  },
];

export type ReadText = (path: string) => string;

/** The limit in force and where its usage is counted. */
export class CgroupMemory {
  /** Infinity where there is none or it cannot be read. */
  readonly limitBytes: number;
  private readonly read: ReadText;
  private readonly usagePath: string;
  private readonly statPath: string;
  private readonly fileStat: RegExp;

  private constructor(limitBytes: number, directory: string, version: Version, read: ReadText) {
    this.limitBytes = limitBytes;
    this.read = read;
    this.usagePath = `${directory}/${version.usageFile}`;
    this.statPath = `${directory}/memory.stat`;
    this.fileStat = version.fileStat;
  }

  /** Finds the lowest limit from the own cgroup to the root; undefined where there is none. */
  static find(read: ReadText = readLatin1): CgroupMemory | undefined {
    let lowest: CgroupMemory | undefined;
    for (const version of VERSIONS) {
      for (const directory of directories(version, read)) {
        const limitBytes = Number(tryRead(read, `${directory}/${version.limitFile}`)?.trim());
        if (!(limitBytes > 0) || limitBytes >= (lowest?.limitBytes ?? UNLIMITED_BYTES)) continue;
        lowest = new CgroupMemory(limitBytes, directory, version, read);
      }
    }
    return lowest;
  }

  /** Bytes in use but for file pages, socket buffers of the kernel included where it counts them. 0 where it cannot be read. */
  usedBytes(): number {
    const usage = Number(tryRead(this.read, this.usagePath));
    const file = Number(this.fileStat.exec(tryRead(this.read, this.statPath) ?? '')?.[1] ?? 0);
    return Number.isFinite(usage) ? Math.max(0, usage - file) : 0;
  }
}

/** Own directory and those above it, as far as they are seen from here. */
function directories(version: Version, read: ReadText): string[] {
  const found = [version.root];
  let path = version.own.exec(tryRead(read, '/proc/self/cgroup') ?? '')?.[1] ?? '/';
  for (; path !== '/' && path !== '.'; path = dirname(path)) found.push(`${version.root}${path}`);
  return found;
}

/** Resident pages that no file backs, from /proc/self/statm. 0 where it cannot be read. */
export function readPrivateBytes(read: ReadText = readLatin1): number {
  const [, resident, shared] = (tryRead(read, '/proc/self/statm') ?? '').split(' ');
  return resident === undefined || shared === undefined ? 0 : (Number(resident) - Number(shared)) * PAGE_BYTES;
}

function readLatin1(path: string): string {
  return readFileSync(path, 'latin1');
}

function tryRead(read: ReadText, path: string): string | undefined {
  try {
    return read(path);
  } catch {
    // Another cgroup version, or not seen from here.
    return undefined;
  }
}

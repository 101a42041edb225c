// SPDX-License-Identifier: Apache-2.0
/*
 * The foreign programs that tests and checks run (Kubernetes, etcd, CoreDNS, containerd, Helm, actionlint), built from Go modules. Each directory of
 * tools/go pins one module and all that it needs (go.mod, go.sum); its binaries are in the cache under the name and version of that module.
 * A build that is interrupted leaves nothing that could be taken for a binary. `node tools/go-tools.ts [NAME…]` builds and prints the directories.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './cache.ts';
import { goRoot } from './go-toolchain.ts';

/** The sets of binaries, by directory of tools/go. */
export type GoToolSet = 'kubernetes' | 'coredns' | 'containerd' | 'helm' | 'actionlint';

interface SetDefinition {
  /** The module whose version names the set. */
  readonly module: string;
  /** Binary → package, in the order in which they are built. */
  readonly packages: Readonly<Record<string, string>>;
  readonly tags?: string;
  /** Further linker flags, for the binaries that take their version from them. */
  readonly linkerFlags?: (version: string) => readonly string[];
}

const CONTAINERD = 'github.com/containerd/containerd/v2';

/** kubelet and API server compare versions with each other, and clients ask for it: a build without these says v0.0.0. */
function kubernetesVersionFlags(version: string): readonly string[] {
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
  const values = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: 'clean', buildDate: '1970-01-01T00:00:00Z' };
  return ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((target) =>
    Object.entries(values).map(([name, value]) => `-X ${target}.${name}=${value}`),
  );
}

const SETS: Readonly<Record<GoToolSet, SetDefinition>> = {
  kubernetes: {
    module: 'k8s.io/kubernetes',
    packages: {
      'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
      etcd: './etcd',
      kubectl: 'k8s.io/kubernetes/cmd/kubectl',
      'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
      'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
      kubelet: 'k8s.io/kubernetes/cmd/kubelet',
      'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
      pause: './pause',
    },
    tags: 'selinux,notest,grpcnotrace',
    linkerFlags: kubernetesVersionFlags,
  },
  coredns: { module: 'github.com/coredns/coredns', packages: { coredns: 'github.com/coredns/coredns' } },
  containerd: {
    module: CONTAINERD,
    packages: Object.fromEntries(['containerd', 'containerd-shim-runc-v2', 'ctr'].map((name) => [name, `${CONTAINERD}/cmd/${name}`])),
    linkerFlags: (version) => [`-X ${CONTAINERD}/version.Version=${version}`],
  },
  helm: { module: 'helm.sh/helm/v4', packages: { helm: 'helm.sh/helm/v4/cmd/helm' } },
  actionlint: { module: 'github.com/rhysd/actionlint', packages: { actionlint: 'github.com/rhysd/actionlint/cmd/actionlint' } },
};

export const GO_TOOL_SETS: readonly GoToolSet[] = Object.keys(SETS) as GoToolSet[];

const moduleDirectory = (set: GoToolSet): string => join(import.meta.dirname, 'go', set);

/** The version of a set, read from its go.mod. */
export function goToolVersion(set: GoToolSet): string {
  const manifest = readFileSync(join(moduleDirectory(set), 'go.mod'), 'utf8');
  const version = new RegExp(`^\\s*(?:require )?${SETS[set].module.replaceAll('.', '\\.')} (v\\S+)`, 'm').exec(manifest)?.[1];
  if (version === undefined) throw new Error(`tools/go/${set}/go.mod does not require ${SETS[set].module}`);
  return version.replace('+', '-');
}

/** The directory of a set's binaries in the cache, whether built or not. */
export function goToolDirectory(set: GoToolSet): string {
  return join(cacheDirectory(), `${set}-${goToolVersion(set)}`);
}

/** The path of one binary in the cache. Throws for a name that the set does not have. */
export function goTool(set: GoToolSet, name: string): string {
  if (SETS[set].packages[name] === undefined) throw new Error(`${set} has no binary ${name}`);
  return join(goToolDirectory(set), name);
}

/** The binaries of the sets that are not in the cache yet. */
export function missingGoTools(sets: readonly GoToolSet[]): readonly string[] {
  return sets.flatMap((set) => Object.keys(SETS[set].packages).map((name) => goTool(set, name))).filter((path) => !existsSync(path));
}

/** Builds what is missing of the sets; `jobs` packages at once. Throws where Go or a build fails. */
export async function buildGoTools(sets: readonly GoToolSet[], log: (line: string) => void, jobs = 2): Promise<void> {
  if (missingGoTools(sets).length === 0) return;
  const root = await goRoot(log);
  for (const set of sets) {
    const { packages, tags, linkerFlags } = SETS[set];
    const flags = ['-s', '-w', ...(linkerFlags?.(goToolVersion(set)) ?? [])].join(' ');
    mkdirSync(goToolDirectory(set), { recursive: true });
    for (const [name, target] of Object.entries(packages)) {
      const binary = goTool(set, name);
      if (existsSync(binary)) continue;
      // Two runs may build at once, and a run may be killed: what bears the name is always whole.
      const partial = join(goToolDirectory(set), `.${name}.${process.pid}`);
      const started = performance.now();
      const args = ['build', '-p', String(jobs), '-trimpath', '-mod=readonly', '-ldflags', flags, '-o', partial, target];
      if (tags !== undefined) args.splice(1, 0, '-tags', tags);
      try {
        execFileSync(join(root, 'bin/go'), args, {
          cwd: moduleDirectory(set),
          stdio: ['ignore', 'inherit', 'inherit'],
          env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'auto', GOFLAGS: '-buildvcs=false' },
        });
        renameSync(partial, binary);
      } finally {
        rmSync(partial, { force: true });
      }
      log(`built ${set} ${goToolVersion(set)}: ${name} (${((performance.now() - started) / 1000).toFixed(0)} s)`);
    }
  }
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1]) {
  const asked = process.argv.slice(2);
  const unknown = asked.find((name) => !GO_TOOL_SETS.includes(name as GoToolSet));
  if (unknown !== undefined) throw new Error(`no set of Go tools is named ${unknown}; there are ${GO_TOOL_SETS.join(', ')}`);
  const sets = asked.length === 0 ? GO_TOOL_SETS : (asked as GoToolSet[]);
  await buildGoTools(sets, (line) => console.error(line));
  for (const set of sets) console.log(goToolDirectory(set));
}

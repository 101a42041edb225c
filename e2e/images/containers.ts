// SPDX-License-Identifier: Apache-2.0
/*
 * Containers as a kubelet starts them, without one: a containerd of the test's own imports and unpacks the archives and gives the default
 * runtime specification with its default seccomp profile; runc runs it in a network namespace that the test made. What Kubernetes' security
 * context changes is changed in the specification: user, capabilities, no new privileges, read-only root.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_POLL_MS = 50;
const START_ATTEMPTS = 400;

/** What a pod's author and Kubernetes decide. */
export interface ContainerOptions {
  readonly image: string;
  /** Arguments after the entrypoint, or instead of everything. */
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  /** `securityContext.runAsUser` and `runAsGroup`; default: the image's. */
  readonly uid?: number;
  readonly gid?: number;
  /** The whole set, `CAP_NET_ADMIN` say; default: containerd's default set. */
  readonly capabilities?: readonly string[];
  /** `allowPrivilegeEscalation`; default true, as in Kubernetes. */
  readonly canGainPrivileges?: boolean;
  readonly isRootWritable?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  /** emptyDirs by mount path: directories that everybody may write to. */
  readonly emptyDirs?: readonly string[];
  /** Files of a projected volume, by path: read-only, for everybody to read. */
  readonly files?: Readonly<Record<string, string>>;
}

/** What a container left. */
export interface ContainerOutcome {
  readonly status: number | null;
  readonly output: string;
}

/** A container that runs. */
export interface RunningContainer {
  readonly pid: number;
  readonly process: ChildProcess;
  /** Everything written so far. */
  output(): string;
  stop(): Promise<void>;
}

interface RuntimeSpecification {
  process: {
    terminal?: boolean;
    user: { uid: number; gid: number; additionalGids?: number[] };
    args: string[];
    env: string[];
    capabilities: Record<string, string[]>;
    noNewPrivileges: boolean;
  };
  root: { path: string; readonly: boolean };
  mounts: { destination: string; type: string; source: string; options: string[] }[];
  linux: { cgroupsPath?: string; namespaces: { type: string; path?: string }[]; seccomp?: { defaultAction: string } };
}

/** A containerd with images, and a network namespace. */
export class ContainerHost {
  /** Name of the network namespace. */
  readonly namespace: string;
  private readonly directory: string;
  private readonly daemon: ChildProcess;
  private count = 0;
  private readonly mounts = new Map<string, string>();

  private constructor(directory: string, daemon: ChildProcess) {
    this.directory = directory;
    this.daemon = daemon;
    this.namespace = `weft-images-${process.pid}`;
  }

  /** Starts containerd, imports the archives, makes a network namespace with a way out. */
  static async start(archives: readonly string[]): Promise<ContainerHost> {
    const directory = mkdtempSync(join(tmpdir(), 'weft-images-'));
    const configuration = `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${directory}/containerd.sock"
`;
    writeFileSync(join(directory, 'containerd.toml'), configuration);
    const daemon = spawn('containerd', ['--config', join(directory, 'containerd.toml')], { stdio: 'ignore' });
    const host = new ContainerHost(directory, daemon);
    try {
      await host.untilUp();
      for (const archive of archives) host.ctr('images', 'import', archive);
      host.makeNamespace();
    } catch (error) {
      await host.close();
      throw error;
    }
    return host;
  }

  /** References of the imported images. */
  images(): string[] {
    return this.ctr('images', 'ls', '-q').trim().split('\n');
  }

  /** Imports an archive of another architecture without unpacking it, apart from the others; gives the reference. */
  importForeign(archive: string, platform: string): string {
    const apart = ['--namespace', 'foreign'];
    this.ctr(...apart, 'images', 'import', '--platform', platform, '--no-unpack', archive);
    const reference = this.ctr(...apart, 'images', 'ls', '-q').trim();
    this.ctr(...apart, 'images', 'rm', reference);
    return reference;
  }

  /** A writable copy of the image's root directory, made by containerd; the same one for each call with the same `copy`. */
  rootDirectory(image: string, copy = 'first'): string {
    const key = `${image} ${copy}`;
    let path = this.mounts.get(key);
    if (path === undefined) {
      path = join(this.directory, `root-${this.mounts.size}`);
      mkdirSync(path);
      this.ctr('images', 'mount', '--rw', image, path);
      this.mounts.set(key, path);
    }
    return path;
  }

  /** Runs a container to its end. */
  run(options: ContainerOptions, copy?: string): ContainerOutcome {
    const { bundle, id } = this.prepare(options, copy);
    const { status, stdout, stderr } = spawnSync('runc', this.runcArgs('run', '--bundle', bundle, id), {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 45_000,
    });
    this.remove(id);
    return { status, output: stdout + stderr };
  }

  /** Starts a container that is to keep running. */
  async start(options: ContainerOptions): Promise<RunningContainer> {
    const { bundle, id } = this.prepare(options);
    const child = spawn('runc', this.runcArgs('run', '--bundle', bundle, id), { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    let pid: number | undefined;
    for (let attempt = 0; attempt < START_ATTEMPTS && pid === undefined && child.exitCode === null; attempt += 1) {
      const state = spawnSync('runc', this.runcArgs('state', id), { encoding: 'utf8' });
      if (state.status === 0) {
        const parsed = JSON.parse(state.stdout) as { status: string; pid: number };
        if (parsed.status === 'running') pid = parsed.pid;
      }
      if (pid === undefined) await sleep(START_POLL_MS);
    }
    if (pid === undefined) throw new Error(`the container did not start: ${output}`);
    return {
      pid,
      process: child,
      output: () => output,
      stop: async () => {
        const ended = child.exitCode === null ? new Promise((resolve) => child.once('exit', resolve)) : undefined;
        spawnSync('runc', this.runcArgs('kill', id, 'KILL'));
        await ended;
        this.remove(id);
      },
    };
  }

  /** Runs one of the machine's commands in the network namespace. */
  inNamespace(...command: readonly string[]): ContainerOutcome {
    const { status, stdout, stderr } = spawnSync('nsenter', [`--net=/run/netns/${this.namespace}`, '--', ...command], { encoding: 'utf8' });
    return { status, output: stdout + stderr };
  }

  /** Makes the network namespace anew, without any rule. */
  makeNamespace(): void {
    spawnSync('ip', ['netns', 'delete', this.namespace], { stdio: 'ignore' });
    const ip = (...args: string[]): void => void execFileSync('ip', args);
    ip('netns', 'add', this.namespace);
    ip('-n', this.namespace, 'link', 'set', 'lo', 'up');
    // Connections need a way out before they can be redirected.
    ip('-n', this.namespace, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1');
    ip('-n', this.namespace, 'link', 'set', 'eth1', 'up');
    ip('-n', this.namespace, 'addr', 'add', '10.98.0.2/24', 'dev', 'eth0');
    ip('-n', this.namespace, 'link', 'set', 'eth0', 'up');
    ip('-n', this.namespace, 'route', 'add', 'default', 'via', '10.98.0.1');
  }

  /** Removes everything. */
  async close(): Promise<void> {
    for (const path of this.mounts.values()) spawnSync('umount', [path]);
    spawnSync('ip', ['netns', 'delete', this.namespace], { stdio: 'ignore' });
    if (this.daemon.exitCode === null) {
      const ended = new Promise((resolve) => this.daemon.once('exit', resolve));
      this.daemon.kill();
      await ended;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  private prepare(options: ContainerOptions, copy?: string): { bundle: string; id: string } {
    this.count += 1;
    const id = `${this.namespace}-${this.count}`;
    const bundle = join(this.directory, id);
    mkdirSync(bundle);
    const args = [...(options.command ?? []), ...(options.args ?? [])];
    this.ctr('containers', 'create', '--seccomp', options.image, id);
    const specification = JSON.parse(this.ctr('containers', 'info', '--spec', id)) as RuntimeSpecification;
    this.ctr('containers', 'delete', id);
    const { process: started } = specification;
    started.terminal = false;
    started.user = { uid: options.uid ?? started.user.uid, gid: options.gid ?? started.user.gid };
    if (options.command !== undefined) started.args = args;
    else started.args.push(...args);
    started.env.push(...Object.entries(options.environment ?? {}).map(([name, value]) => `${name}=${value}`));
    started.noNewPrivileges = options.canGainPrivileges === false;
    // containerd's CRI gives other users than root these three sets, and neither inheritable nor ambient ones.
    if (options.capabilities !== undefined)
      for (const set of ['bounding', 'effective', 'permitted']) started.capabilities[set] = [...options.capabilities];
    specification.root = { path: this.rootDirectory(options.image, copy), readonly: options.isRootWritable !== true };
    specification.linux.cgroupsPath = `/${id}`;
    specification.linux.namespaces = specification.linux.namespaces.map((namespace) =>
      namespace.type === 'network' ? { type: 'network', path: `/run/netns/${this.namespace}` } : namespace,
    );
    if (specification.linux.seccomp === undefined) throw new Error('containerd gave no seccomp profile');
    specification.mounts = specification.mounts.filter(({ destination }) => destination !== '/run');
    for (const [index, destination] of (options.emptyDirs ?? []).entries()) {
      const source = join(bundle, `empty-${index}`);
      mkdirSync(source);
      chmodSync(source, 0o777);
      specification.mounts.push({ destination, type: 'bind', source, options: ['rbind', 'rw'] });
    }
    for (const [index, [destination, text]] of Object.entries(options.files ?? {}).entries()) {
      const source = join(bundle, `file-${index}`);
      writeFileSync(source, text, { mode: 0o644 });
      specification.mounts.push({ destination, type: 'bind', source, options: ['rbind', 'ro'] });
    }
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(specification));
    return { bundle, id };
  }

  private remove(id: string): void {
    spawnSync('runc', this.runcArgs('delete', '--force', id));
  }

  private runcArgs(...args: readonly string[]): string[] {
    return ['--root', join(this.directory, 'runc'), ...args];
  }

  private ctr(...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync(
      'ctr',
      ['--address', join(this.directory, 'containerd.sock'), '--namespace', 'k8s.io', ...args],
      {
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      },
    );
    if (status !== 0) throw new Error(`ctr ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  private async untilUp(): Promise<void> {
    for (let attempt = 0; attempt < START_ATTEMPTS; attempt += 1) {
      if (spawnSync('ctr', ['--address', join(this.directory, 'containerd.sock'), 'version'], { stdio: 'ignore' }).status === 0) return;
      if (this.daemon.exitCode !== null) throw new Error(`containerd ended with ${this.daemon.exitCode}`);
      await sleep(START_POLL_MS);
    }
    throw new Error('containerd did not come up');
  }
}

/** A process's capability sets, as hexadecimal masks, and whether it may gain privileges. */
export function capabilitySets(pid: number): Record<string, string> {
  const lines = readFileSync(`/proc/${pid}/status`, 'utf8').matchAll(/^(Cap\w+|NoNewPrivs|Uid):\s+(\S+)/gm);
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]));
}

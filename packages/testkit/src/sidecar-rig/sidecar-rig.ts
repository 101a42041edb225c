// SPDX-License-Identifier: Apache-2.0
/*
 * Two real sidecars for black-box tests: a pod with an application's client and one with its server, each with a proxy process redirected as
 * in a cluster, a control stub on its own loopback that gives certificates, policies and endpoints, and a third, unmeshed host beside them.
 * Everything that the proxies meet is real but the control plane, which is described by a plain value per side.
 */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTestMesh, type TestMesh } from '@weft/pki/testing';
import type { ControlStubConfig } from '../control-stub/index.ts';
import { NamespaceWorker } from './namespace-worker.ts';
import { DEFAULT_ADDRESSES, type RigAddresses, RigNamespaces, type Side } from './namespaces.ts';
import { type Finished, ProcessGroup, run, runToEnd, until } from './processes.ts';
import type * as Probe from './probe.ts';
import { proxyEnvironment } from './proxy-environment.ts';

/** A side that has a proxy. */
export type MeshedSide = Exclude<Side, 'peer'>;

/** What the control plane tells the proxy of one side. */
export type SideControl = Omit<ControlStubConfig, 'address' | 'issuerCertificatePem' | 'issuerKeyPem'>;

export interface SidecarRigOptions {
  /** The proxy's bundle, absolute: `apps/proxy/dist/main.js`. */
  readonly proxyMain: string;
  /** Flags of Node for the proxy. */
  readonly nodeFlags?: readonly string[];
  /** Default: a mesh of its own. */
  readonly mesh?: TestMesh;
  /** Default: `10.231.0.1` to `10.231.0.3`. */
  readonly addresses?: RigAddresses;
  /** Kubernetes namespace of the workloads. Default: `RIG_NAMESPACE`. */
  readonly namespace?: string;
  readonly control: Readonly<Record<MeshedSide, SideControl>>;
  /** Added to the proxy's environment, or replacing what is there. */
  readonly env?: Readonly<Partial<Record<MeshedSide, Readonly<Record<string, string>>>>>;
  /** A command, run as root, that ends by executing its further arguments: put before a side's proxy to bound it (`prlimit`, a cgroup). */
  readonly confine?: Readonly<Partial<Record<MeshedSide, readonly string[]>>>;
}

/** Namespace of the workloads; their service accounts are the sides' names. */
export const RIG_NAMESPACE = 'rig';

const PROXY_UID = 2102;
const READY_TIMEOUT_MS = 30_000;
const PROBE_TIMEOUT_MS = 5000;
const SOURCES = import.meta.url.endsWith('.ts');

export class SidecarRig {
  readonly mesh: TestMesh;
  readonly namespaces: RigNamespaces;
  /** Logs and files of this rig. */
  readonly directory: string;
  private readonly options: SidecarRigOptions;
  private readonly group = new ProcessGroup();
  private readonly probes = new Map<MeshedSide, NamespaceWorker<typeof Probe>>();
  private readonly proxies = new Map<MeshedSide, ChildProcess>();

  private constructor(options: SidecarRigOptions) {
    this.options = options;
    this.namespaces = new RigNamespaces(options.addresses ?? DEFAULT_ADDRESSES);
    this.mesh = options.mesh ?? createTestMesh({});
    this.directory = mkdtempSync(join(tmpdir(), 'weft-rig-'));
    chmodSync(this.directory, 0o755);
  }

  /** Starts both sidecars; resolves when both are ready. Throws with the proxy's log where one is not. */
  static async start(options: SidecarRigOptions): Promise<SidecarRig> {
    const rig = new SidecarRig(options);
    try {
      rig.namespaces.create();
      await Promise.all([rig.startSide('server'), rig.startSide('client')]);
    } catch (error) {
      rig.stop();
      throw error;
    }
    return rig;
  }

  /** Identity of a side's workload. */
  identityOf(side: Side): string {
    return this.mesh.identityOf(side, this.options.namespace ?? RIG_NAMESPACE);
  }

  /** Starts a process in a side's namespace until the rig stops; its output goes to `<log>.log`. */
  start(side: Side, log: string, command: string, ...args: readonly string[]): ChildProcess {
    return this.group.start(join(this.directory, `${log}.log`), {}, 'ip', ...this.namespaces.exec(side, command, ...args));
  }

  /** Runs a command in a side's namespace to its end. */
  async run(side: Side, timeoutMs: number, command: string, ...args: readonly string[]): Promise<Finished> {
    return runToEnd(timeoutMs, 'ip', ...this.namespaces.exec(side, command, ...args));
  }

  /** The functions of a module, to be called in a side's namespace. */
  worker<M extends Readonly<Record<string, (...args: never[]) => unknown>>>(side: Side, modulePath: string): NamespaceWorker<M> {
    return new NamespaceWorker<M>(
      this.group,
      ['ip', ...this.namespaces.exec(side)],
      modulePath,
      join(this.directory, `worker-${side}.log`),
    );
  }

  /** `/metrics` of a side's proxy. */
  async metrics(side: MeshedSide): Promise<string> {
    const { status, body } = await this.probe(side).call('httpGet', 'http://127.0.0.1:4191/metrics', PROBE_TIMEOUT_MS);
    if (status !== 200) throw new Error(`/metrics of ${side} answered ${status}`);
    return body;
  }

  /** What a side's proxy has logged so far. */
  log(side: MeshedSide): string {
    return readFileSync(join(this.directory, `${side}-proxy.log`), 'utf8');
  }

  /** Whether a side's proxy still runs. */
  isAlive(side: MeshedSide): boolean {
    const child = this.proxies.get(side);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Process id of a side's proxy: `ip netns exec` and what follows it execute it in their own place. */
  pid(side: MeshedSide): number {
    const pid = this.proxies.get(side)?.pid;
    if (pid === undefined) throw new Error(`the ${side}'s proxy was not started`);
    return pid;
  }

  /** Private memory of a side's proxy in bytes (RssAnon). */
  privateBytes(side: MeshedSide): number {
    const status = readFileSync(`/proc/${this.pid(side)}/status`, 'latin1');
    return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  /** Ends every process and removes the namespaces and files; `WEFT_RIG_KEEP` in the environment keeps the files. */
  stop(): void {
    this.group.killAll();
    this.namespaces.remove();
    if (process.env.WEFT_RIG_KEEP === undefined) rmSync(this.directory, { recursive: true, force: true });
  }

  private probe(side: MeshedSide): NamespaceWorker<typeof Probe> {
    let probe = this.probes.get(side);
    if (probe === undefined) {
      probe = this.worker(side, sibling('./probe'));
      this.probes.set(side, probe);
    }
    return probe;
  }

  private async startSide(side: MeshedSide): Promise<void> {
    const { control, proxyMain, nodeFlags = [], env, confine } = this.options;
    const dir = join(this.directory, side);
    const identityDir = join(dir, 'identity');
    const tokenFile = join(dir, 'token');
    mkdirSync(identityDir, { recursive: true });
    chownSync(identityDir, PROXY_UID, PROXY_UID);
    writeFileSync(tokenFile, side);
    const stubConfig = join(dir, 'stub.json');
    const { issuer } = this.mesh;
    writeFileSync(
      stubConfig,
      JSON.stringify({
        ...control[side],
        address: '127.0.0.1:8086',
        issuerCertificatePem: issuer.certificatePem,
        issuerKeyPem: issuer.privateKeyPem,
      } satisfies ControlStubConfig),
    );
    this.start(side, `${side}-stub`, process.execPath, '--conditions=weft-source', sibling('../control-stub/main'), stubConfig);
    const environment = proxyEnvironment({
      ip: this.namespaces.addresses[side],
      namespace: this.options.namespace ?? RIG_NAMESPACE,
      pod: side,
      identity: this.identityOf(side),
      trustAnchorsPem: this.mesh.trustAnchorsPem.join(''),
      identityDir,
      tokenFile,
    });
    const proxy = this.group.start(
      join(this.directory, `${side}-proxy.log`),
      { ...environment, ...env?.[side] },
      'ip',
      ...this.namespaces.exec(
        side,
        ...(confine?.[side] ?? []),
        'setpriv',
        `--reuid=${PROXY_UID}`,
        `--regid=${PROXY_UID}`,
        '--clear-groups',
      ),
      process.execPath,
      ...nodeFlags,
      proxyMain,
    );
    this.proxies.set(side, proxy);
    await until(`the ${side}'s proxy is ready`, READY_TIMEOUT_MS, async () => {
      if (!this.isAlive(side)) throw new Error(`the ${side}'s proxy ended:\n${this.log(side)}`);
      return (await this.probe(side).call('httpGet', 'http://127.0.0.1:4191/ready', PROBE_TIMEOUT_MS)).status === 200;
    });
  }
}

/** Why rigs cannot be made on this machine; undefined where they can. */
export function rigProblem(): string | undefined {
  if (process.platform !== 'linux') return 'sidecars need Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const tool of ['ip', 'iptables-nft', 'setpriv']) {
    try {
      run('sh', '-c', `command -v ${tool}`);
    } catch {
      return `${tool} is not installed`;
    }
  }
  return undefined;
}

function sibling(path: string): string {
  const file = fileURLToPath(new URL(`${path}${SOURCES ? '.ts' : '.js'}`, import.meta.url));
  if (!existsSync(file)) throw new Error(`${file} is missing`);
  return file;
}

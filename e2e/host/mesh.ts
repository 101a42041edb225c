// SPDX-License-Identifier: Apache-2.0
/*
 * A mesh under test: `weft run` as a user starts it, on a copy of a fixture's manifests in a directory of its own, and ways to look at it from outside:
 * the API of its world, the network namespaces of its pods, the metrics pages of its proxies, its own output. Whatever a test does, the mesh and
 * all that it has made are gone when the test file ends.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync, chmodSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Samples, parseSamples } from './samples.ts';

const ROOT: string = join(import.meta.dirname, '../..');
const CLI: string = join(ROOT, 'apps/cli/dist/main.js');
const FIXTURES: string = join(import.meta.dirname, 'fixtures');
/** Longest that anything is waited for, in milliseconds, unless a test says otherwise. */
const PATIENCE_MS = 40_000;
const POLL_MS = 50;

/** A pod as a test sees it. */
export interface PodView {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isReady: boolean;
  readonly isDeleted: boolean;
  readonly restartCounts: Readonly<Record<string, number>>;
}

/** What a command in a pod has left. */
export interface ExecResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that the run has noted. */
export interface RunProcess {
  readonly pid: number;
  readonly startTicks: number;
  /** `namespace/pod/container`. */
  readonly name: string;
}

export interface MeshOptions {
  /** Directory under fixtures/ with the manifests. */
  readonly fixture: string;
  /** Part of the run's name; unique among test files, at most 16 characters. */
  readonly name: string;
  readonly flags?: readonly string[];
  /** Placeholders `@NAME@` in manifests, replaced while copying. */
  readonly values?: Readonly<Record<string, string>>;
  /** Off: `start` resolves before anything is ready. */
  readonly waitsUntilReady?: boolean;
}

/** Meshes that are not stopped yet, for when the test process itself ends early. */
const running = new Set<HostMesh>();
process.on('exit', () => {
  for (const mesh of running) mesh.removeNow();
});

/** Resolves with the first value of `look` that is not undefined, null or false; rejects after `patienceMs`, saying what did not happen. */
export async function until<T>(
  what: string,
  look: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  patienceMs: number = PATIENCE_MS,
): Promise<T> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > deadlineMs) throw new Error(`in vain: ${what}`);
    await sleep(POLL_MS);
  }
}

/** Runs a command to its end. */
export function runCommand(command: readonly string[], cwd: string = ROOT, timeoutMs: number = PATIENCE_MS): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const [binary = '', ...args] = command;
    const child = spawn(binary, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}

/** The command line of `weft`. */
export function weftCommand(...args: readonly string[]): string[] {
  return [process.execPath, CLI, ...args];
}

/** One `weft run`. */
export class HostMesh {
  readonly name: string;
  readonly directory: string;
  /** Its process; another one after `restart`. */
  child: ChildProcess;
  private readonly flags: readonly string[];
  private output = '';
  private isRemoved = false;

  private constructor(options: MeshOptions) {
    // Two checkouts may be tested on one machine at a time.
    this.name = `e2e-${options.name}-${process.pid.toString(36)}`;
    this.flags = options.flags ?? [];
    this.directory = mkdtempSync(join(tmpdir(), `weft-${this.name}-`));
    chmodSync(this.directory, 0o755);
    running.add(this);
    const from = join(FIXTURES, options.fixture);
    cpSync(from, this.directory, { recursive: true });
    for (const file of readdirSync(this.directory)) {
      if (!file.endsWith('.yaml')) continue;
      for (const [key, value] of Object.entries(options.values ?? {})) this.edit(file, (text) => text.replaceAll(`@${key}@`, value));
    }
    symlinkSync(join(FIXTURES, 'apps'), join(this.directory, 'apps'));
    this.child = this.spawn();
  }

  /** Starts it; resolves when everything is ready. */
  static async start(options: MeshOptions): Promise<HostMesh> {
    const mesh = new HostMesh(options);
    if (options.waitsUntilReady === false) return mesh;
    try {
      await mesh.untilReady();
    } catch (error) {
      await mesh.stop();
      throw error;
    }
    return mesh;
  }

  /** Everything that `weft run` has printed. */
  get text(): string {
    return this.output;
  }

  async untilReady(): Promise<void> {
    await until(
      `everything is ready; the mesh says:\n${this.output.slice(-4000)}`,
      () => {
        if (this.child.exitCode !== null || this.child.signalCode !== null) throw new Error(`weft run has ended:\n${this.output}`);
        return this.output.includes('everything is ready');
      },
      90_000,
    ).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}\nIts output:\n${this.output.slice(-6000)}`, { cause: error });
    });
  }

  /** Starts `weft run` anew on the same directory, after the first has ended; resolves when everything is ready. */
  async restart(): Promise<void> {
    this.output = '';
    this.child = this.spawn();
    await this.untilReady();
  }

  /** Ends it with a signal and resolves with its exit code, or the signal that ended it. */
  async end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.child.kill(signal);
    return until('weft run ends', () => this.child.exitCode ?? this.child.signalCode ?? undefined);
  }

  /** Ends it and removes everything. For `afterAll`; never rejects. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGTERM').catch(() => undefined);
    this.removeNow();
  }

  /** Removes everything at once, without waiting. */
  removeNow(): void {
    if (this.isRemoved) return;
    this.isRemoved = true;
    running.delete(this);
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    spawnSync(process.execPath, [CLI, 'run', '--clean', '--name', this.name], { stdio: 'ignore' });
    rmSync(join('/var/lib/weft', this.name), { recursive: true, force: true });
    rmSync(this.directory, { recursive: true, force: true });
  }

  // --- the world ---

  /** A GET on the API of the world. */
  get(path: string): Promise<unknown> {
    return this.call('GET', path);
  }

  /** A merge patch through the API of the world, as `kubectl patch` sends it. */
  patch(path: string, change: unknown): Promise<unknown> {
    return this.call('PATCH', path, change);
  }

  async pods(namespace: string, labels: Readonly<Record<string, string>> = {}): Promise<readonly PodView[]> {
    const selector = Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(',');
    const list = (await this.get(`/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`)) as {
      readonly items: readonly RawPod[];
    };
    return list.items.map((pod) => viewOf(pod));
  }

  /** The one ready pod with the label `app`. */
  async pod(namespace: string, app: string): Promise<PodView> {
    return until(`a ready pod ${app}`, async () =>
      (await this.pods(namespace, { app })).find(({ isReady, isDeleted }) => isReady && !isDeleted),
    );
  }

  /** Resolves with the pods of an application when exactly `count` are ready and none is going. */
  async untilPods(namespace: string, app: string, count: number): Promise<readonly PodView[]> {
    return until(`${count} ready pods ${app}`, async () => {
      const pods = await this.pods(namespace, { app });
      return pods.length === count && pods.every(({ isReady, isDeleted }) => isReady && !isDeleted) && pods;
    });
  }

  /** Rolls a Deployment as `kubectl rollout restart` does; resolves with its new pods when the old ones are gone. */
  async rollout(namespace: string, deployment: string, labels: Readonly<Record<string, string>>): Promise<readonly PodView[]> {
    const before = new Set((await this.pods(namespace, labels)).map(({ uid }) => uid));
    await this.patch(`/apis/apps/v1/namespaces/${namespace}/deployments/${deployment}`, {
      spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': new Date().toISOString() } } } },
    });
    return until(
      `the rollout of ${deployment}`,
      async () => {
        const pods = await this.pods(namespace, labels);
        return pods.length >= before.size && pods.every(({ uid, isReady, isDeleted }) => !before.has(uid) && isReady && !isDeleted) && pods;
      },
      60_000,
    );
  }

  // --- manifests ---

  /** Edits a manifest in place. */
  edit(file: string, change: (text: string) => string): void {
    const path = join(this.directory, file);
    const before = readFileSync(path, 'utf8');
    const after = change(before);
    if (after !== before) writeFileSync(path, after);
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.directory, file), text);
  }

  remove(file: string): void {
    rmSync(join(this.directory, file));
  }

  // --- pods from inside and outside ---

  netnsOf(pod: PodView): string {
    return `weft.${this.name}.${pod.namespace}.${pod.name}`;
  }

  /** Runs a command in a pod's network namespace, with the pod's name service, as root. */
  exec(pod: PodView, command: readonly string[], timeoutMs?: number): Promise<ExecResult> {
    return runCommand(['ip', 'netns', 'exec', this.netnsOf(pod), ...command], this.directory, timeoutMs);
  }

  /** Runs the client application of the fixtures in a pod and resolves with what it has seen. */
  async client<T>(pod: PodView, kind: string, options: Readonly<Record<string, unknown>>): Promise<T> {
    const { code, stdout, stderr } = await this.exec(pod, [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      join(FIXTURES, 'apps/client.mjs'),
      kind,
      JSON.stringify(options),
    ]);
    if (code !== 0) throw new Error(`client ${kind} ended with ${code}: ${stderr}\n${stdout}`);
    return JSON.parse(stdout) as T;
  }

  /** The metrics page of a pod's proxy. */
  async metrics(pod: PodView): Promise<Samples> {
    const response = await fetch(`http://${pod.ip}:4191/metrics`, { headers: { connection: 'close' } });
    if (!response.ok) throw new Error(`metrics of ${pod.name}: ${response.status}`);
    return parseSamples(await response.text());
  }

  /** The same page by loopback inside the pod, where no policy stands before it. */
  async metricsInside(pod: PodView): Promise<Samples> {
    const [page] = await this.client<{ body: string }[]>(pod, 'http1', { host: '127.0.0.1', port: 4191, path: '/metrics' });
    return parseSamples(page?.body ?? '');
  }

  /** Lines that a container has logged so far. */
  log(pod: Pick<PodView, 'namespace' | 'name'>, container: string): string {
    try {
      return readFileSync(join('/var/lib/weft', this.name, 'logs', `${pod.namespace}_${pod.name}_${container}.log`), 'utf8');
    } catch {
      return '';
    }
  }

  /** Logs of a container over all pods of the run whose name begins so. */
  logs(namespace: string, podPrefix: string, container: string): ReadonlyMap<string, string> {
    const directory = join('/var/lib/weft', this.name, 'logs');
    const found = new Map<string, string>();
    for (const file of readdirSync(directory)) {
      if (!file.startsWith(`${namespace}_${podPrefix}`) || !file.endsWith(`_${container}.log`)) continue;
      found.set(file.split('_')[1] ?? file, readFileSync(join(directory, file), 'utf8'));
    }
    return found;
  }

  /** Processes of the run that live now; `prefix` selects by `namespace/pod/container`. */
  processes(prefix = ''): readonly RunProcess[] {
    return readFileSync(join('/run/weft', this.name, 'processes.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as RunProcess)
      .filter((one) => one.name.startsWith(prefix) && isSameProcess(one));
  }

  private spawn(): ChildProcess {
    const child = spawn(process.execPath, [CLI, 'run', this.directory, '--name', this.name, '--no-view', ...this.flags], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    return child;
  }

  private call(method: string, path: string, body?: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          socketPath: `/run/weft/${this.name}/api.sock`,
          method,
          path,
          agent: false,
          headers: body === undefined ? {} : { 'content-type': 'application/merge-patch+json' },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part));
          response.on('end', () => {
            if ((response.statusCode ?? 0) < 300) resolve(JSON.parse(text));
            else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

/** Whether exactly that process lives: a pid may be reused, a pid with its start time is not. */
export function isSameProcess({ pid, startTicks }: RunProcess): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] !== 'Z' && Number(fields[19]) === startTicks;
  } catch {
    return false;
  }
}

interface RawPod {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly status?: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly name: string; readonly restartCount: number }[];
    readonly initContainerStatuses?: readonly { readonly name: string; readonly restartCount: number }[];
  };
}

function viewOf({ metadata, status }: RawPod): PodView {
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    ip: status?.podIP ?? '',
    labels: metadata.labels ?? {},
    isReady: status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false,
    isDeleted: metadata.deletionTimestamp !== undefined,
    restartCounts: Object.fromEntries(statuses.map(({ name, restartCount }) => [name, restartCount])),
  };
}

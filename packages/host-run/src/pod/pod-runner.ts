// SPDX-License-Identifier: Apache-2.0
/*
 * One pod on this machine, from its network to its end, in a kubelet's order: sidecars (init containers that restart always) one after the
 * other, each started up before the next; init containers to their end; then the containers. At the end the containers first, the sidecars
 * last and in reverse, so that an application that finishes its work still has its proxy (proxy-contract §1.7, §9).
 */
import { chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, Pod, PodStatus } from '@weft/resources';
import { PodNetwork, type PodNetworkOptions } from '../network/pod-network.ts';
import { noteProcess } from '../state/run-owner.ts';
import { identifyProcess, RUN_MARKER } from '../system/processes.ts';
import { ContainerRunner, type RestartPolicy } from './container-runner.ts';
import { type EnvironmentSources, expand, resolveEnvironment } from './environment.ts';
import { hasProxy } from './mesh-pod.ts';
import { type ProcessUser, startInNamespace } from './namespace-process.ts';
import { podStatus } from './pod-status.ts';
import { PROXY_CONTAINER, PROXY_UID } from './proxy-settings.ts';

/** After the endpoints say that a pod is going, and before its processes hear of it, in milliseconds. */
export const DEFAULT_SETTLE_MS = 1000;

/** What every pod of a run shares. */
export interface PodRunnerDeps {
  readonly network: PodNetworkOptions;
  readonly runId: string;
  /** Where relative working directories begin. */
  readonly directory: string;
  readonly searchPath: string;
  /** Who runs what names no user. */
  readonly defaultUser: ProcessUser | undefined;
  readonly settleMs: number;
  readonly environment: EnvironmentSources;
  /** A projected token for the identity service. */
  issueToken(pod: Pod): string;
  /** Rules for cluster IPs, for pods without proxy. */
  serviceRules(): string;
  onStatus(pod: Pod, status: PodStatus): void;
  onLine(pod: Pod, container: string, line: string): void;
  onEvent(pod: Pod, message: string): void;
}

type SecurityContext =
  | { readonly runAsUser?: number; readonly runAsGroup?: number; readonly allowPrivilegeEscalation?: boolean }
  | undefined;

/** A running pod. */
export class PodRunner {
  readonly pod: Pod;
  readonly address: string;
  private readonly deps: PodRunnerDeps;
  private readonly network: PodNetwork;
  private readonly containers: readonly ContainerRunner[];
  private readonly initRunners: readonly ContainerRunner[];
  private readonly sidecars: readonly ContainerRunner[];
  private readonly directory: string;
  private isInitialized = false;
  private isStopping = false;
  private hasNetwork = false;
  private rulesPending = false;
  private isApplyingRules = false;
  private retryTimer: NodeJS.Timeout | undefined = undefined;
  private starting: Promise<void> = Promise.resolve();
  private statusTimer: NodeJS.Immediate | undefined = undefined;

  /** `index` is unique within the run. */
  constructor(pod: Pod, address: string, index: number, deps: PodRunnerDeps) {
    const { metadata, spec } = pod;
    this.pod = pod;
    this.address = address;
    this.deps = deps;
    this.network = new PodNetwork(deps.network, metadata.name, metadata.namespace, index);
    this.directory = join(deps.network.paths.pods, metadata.uid);
    const policy = (spec?.restartPolicy ?? 'Always') as RestartPolicy;
    this.initRunners = (spec?.initContainers ?? []).map((container) =>
      this.runner(container, container.restartPolicy === 'Always' ? 'Always' : policy === 'Always' ? 'OnFailure' : policy),
    );
    this.sidecars = this.initRunners.filter((_, index) => spec?.initContainers?.[index]?.restartPolicy === 'Always');
    this.containers = (spec?.containers ?? []).map((container) => this.runner(container, policy));
  }

  get isMeshed(): boolean {
    return this.pod.spec !== undefined && hasProxy(this.pod.spec);
  }

  /** Starts everything, in the background; a start that fails is tried again. */
  start(): void {
    if ([...this.containerSpecs()].some((container) => (container['volumeMounts'] as unknown[] | undefined)?.length)) {
      this.deps.onEvent(this.pod, 'its volumes are not mounted: on a host its containers see the files of this machine');
    }
    this.starting = this.startAll().catch(async (error: unknown) => {
      if (this.isStopping) return;
      this.deps.onEvent(this.pod, `cannot be started: ${(error as Error).message}`);
      this.hasNetwork = false;
      await this.network.remove();
      this.retryTimer = setTimeout(() => this.start(), START_RETRY_MS);
    });
    // What ran to its end needs its proxy no more.
    void Promise.all(this.containers.map((one) => one.whenEnded)).then(async () => {
      if (this.isStopping) return;
      for (const one of this.sidecars.toReversed()) await one.stop(MIN_SIDECAR_GRACE_MS);
    });
  }

  /** Ends it in order, then removes its network and files. The caller has marked it as terminating. */
  async stop(graceMs: number, settleMs: number = this.deps.settleMs): Promise<void> {
    this.isStopping = true;
    clearTimeout(this.retryTimer);
    const isServing = this.containers.some((one) => one.isReady);
    if (isServing && settleMs > 0) await sleep(settleMs);
    const deadlineMs = performance.now() + graceMs;
    const leftMs = (): number => Math.max(0, deadlineMs - performance.now());
    await Promise.all(this.containers.map((one) => one.stop(leftMs())));
    for (const one of this.initRunners.toReversed()) await one.stop(Math.max(MIN_SIDECAR_GRACE_MS, leftMs()));
    await this.dispose();
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.isStopping = true;
    clearTimeout(this.retryTimer);
    for (const one of [...this.containers, ...this.initRunners]) one.kill();
    await Promise.all([...this.containers, ...this.initRunners].map((one) => one.whenEnded));
    await this.dispose();
  }

  /** New endpoints: a pod without proxy gets new rules, one set after the other, the latest last. */
  updateServiceRules(): void {
    if (this.isMeshed || !this.hasNetwork) return;
    this.rulesPending = true;
    if (this.isApplyingRules) return;
    this.isApplyingRules = true;
    // It never rejects.
    void this.applyPendingRules();
  }

  private async applyPendingRules(): Promise<void> {
    while (this.rulesPending && !this.isStopping) {
      this.rulesPending = false;
      try {
        await this.network.applyServiceRules(this.deps.serviceRules());
      } catch (error) {
        // Its namespace may be going right now.
        if (!this.isStopping) this.deps.onEvent(this.pod, (error as Error).message);
      }
    }
    this.isApplyingRules = false;
  }

  /** Writes a fresh token. */
  renewToken(): void {
    if (!this.isMeshed || this.isStopping) return;
    const path = join(this.directory, 'token');
    const next = `${path}.next`;
    writeFileSync(next, this.deps.issueToken(this.pod), { mode: 0o400 });
    chownSync(next, PROXY_UID, PROXY_UID);
    renameSync(next, path);
  }

  private async startAll(): Promise<void> {
    const { pod, deps, network } = this;
    this.publish();
    await network.create(this.address, pod.metadata.namespace);
    if (this.isMeshed) {
      this.prepareProxyFiles();
      await network.redirect(pod.metadata.annotations);
    } else await network.applyServiceRules(deps.serviceRules());
    this.hasNetwork = true;
    for (const runner of this.initRunners) {
      if (this.isStopping) return;
      runner.start();
      await (this.sidecars.includes(runner) ? runner.whenStarted : runner.whenEnded);
      if (runner.hasFailed && !this.sidecars.includes(runner)) return;
    }
    if (this.isStopping) return;
    this.isInitialized = true;
    for (const runner of this.containers) runner.start();
  }

  private prepareProxyFiles(): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o711 });
    const identity = join(this.directory, 'identity');
    mkdirSync(identity, { recursive: true, mode: 0o700 });
    chownSync(identity, PROXY_UID, PROXY_UID);
    this.renewToken();
  }

  private async dispose(): Promise<void> {
    await this.starting;
    clearImmediate(this.statusTimer);
    await this.network.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private *containerSpecs(): Iterable<Container> {
    const { initContainers = [], containers = [] } = this.pod.spec ?? {};
    yield* initContainers;
    yield* containers;
  }

  private runner(container: Container, restartPolicy: RestartPolicy): ContainerRunner {
    const { pod, deps } = this;
    return new ContainerRunner({
      container,
      restartPolicy,
      target: {
        podIp: this.address,
        container,
        exec: (command, timeoutMs) => this.exec(container, command, timeoutMs),
      },
      spawn: () => this.spawn(container, undefined),
      onChange: () => this.publish(),
      onEvent: (message) => deps.onEvent(pod, `container ${container.name} ${message}`),
    });
  }

  private spawn(container: Container, command: readonly string[] | undefined) {
    const { pod, deps } = this;
    const values = resolveEnvironment(container, { ...pod, status: this.status() }, deps.environment);
    const words = command ?? [...(container.command ?? []), ...(container.args ?? [])].map((word) => expand(word, values));
    if (words.length === 0) throw new Error('it has no command: images are not run on a host, so name one');
    const user = this.userOf(container);
    const isOwn = container.name === PROXY_CONTAINER || pod.metadata.labels['linkerd.io/control-plane-component'] !== undefined;
    const { child, identity } = startInNamespace({
      netns: this.network.netns,
      hostname: pod.metadata.name,
      command: words,
      environment: {
        PATH: deps.searchPath,
        LANG: 'C.UTF-8',
        HOME: '/tmp',
        HOSTNAME: pod.metadata.name,
        ...Object.fromEntries(values),
        [RUN_MARKER]: deps.runId,
      },
      workingDirectory: workingDirectory(deps.directory, container.workingDir),
      ...(user === undefined ? {} : { user }),
      isConfined: isOwn,
    });
    if (identity !== undefined) {
      noteProcess(deps.network.paths, { ...identity, name: `${pod.metadata.namespace}/${pod.metadata.name}/${container.name}` });
    }
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) forwardLines(stream, (line) => deps.onLine(pod, container.name, line));
    }
    return child;
  }

  private async exec(container: Container, command: readonly string[], timeoutMs: number): Promise<boolean> {
    try {
      const child = this.spawn(container, command);
      const { promise, resolve } = Promise.withResolvers<boolean>();
      child.on('error', () => resolve(false));
      child.on('exit', (code) => resolve(code === 0));
      const timer = setTimeout(() => {
        if (child.pid !== undefined && identifyProcess(child.pid) !== undefined) process.kill(-child.pid, 'SIGKILL');
        resolve(false);
      }, timeoutMs);
      const isSuccess = await promise;
      clearTimeout(timer);
      return isSuccess;
    } catch {
      return false;
    }
  }

  private userOf(container: Container): ProcessUser | undefined {
    const own = container['securityContext'] as SecurityContext;
    const shared = this.pod.spec?.['securityContext'] as SecurityContext;
    const uid = own?.runAsUser ?? shared?.runAsUser;
    if (uid === undefined) return this.deps.defaultUser;
    return { uid, gid: own?.runAsGroup ?? shared?.runAsGroup ?? uid };
  }

  private status(): PodStatus {
    return podStatus({
      address: this.address,
      hostAddress: this.deps.network.gateway,
      isInitialized: this.isInitialized,
      containers: this.containers,
      initContainers: this.initRunners,
      sidecars: this.sidecars,
    });
  }

  /** Several changes of one turn are one write. */
  private publish(): void {
    this.statusTimer ??= setImmediate(() => {
      this.statusTimer = undefined;
      this.deps.onStatus(this.pod, this.status());
    });
  }
}

/** After a start that failed, in milliseconds. */
const START_RETRY_MS = 3000;
/** A proxy always gets this long to finish what its application has left it, in milliseconds. */
const MIN_SIDECAR_GRACE_MS = 2000;

function workingDirectory(base: string, path: string | undefined): string {
  return path === undefined ? base : path.startsWith('/') ? path : join(base, path);
}

/** Longest line that is kept together. */
const MAX_LINE_LENGTH = 16_384;

function forwardLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    if (rest.length > MAX_LINE_LENGTH) {
      onLine(rest);
      rest = '';
    }
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}

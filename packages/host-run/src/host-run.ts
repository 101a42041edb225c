// SPDX-License-Identifier: Apache-2.0
/*
 * A whole mesh on one Linux machine from a directory of manifests (design §2): the world, its API for the control plane, name service,
 * controllers, pods. Made in an order in which each part finds what it needs, taken away in reverse; what a crash leaves behind, the next
 * start removes.
 */
import { chmodSync, chownSync, copyFileSync, createWriteStream, existsSync, mkdirSync, rmSync, statSync, type WriteStream } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import { admissionRules } from '@weft/admission';
import { createLocalTokenIssuer, IDENTITY_AUDIENCE, importPrivateKey } from '@weft/pki';
import {
  type ApiServer,
  clusterIpsFrom,
  ConfigMapKind,
  createDirectorySource,
  type DirectorySource,
  type EndpointSlice,
  EndpointSliceKind,
  hasLabels,
  type ManifestProblem,
  NamespaceKind,
  NodeKind,
  type Pod,
  PodKind,
  SecretKind,
  serveKubernetesApi,
  type Service,
  ServiceKind,
} from '@weft/resources';
import { loadMaterial, type MeshMaterial } from './control-plane/material.ts';
import { controlPlaneManifests } from './control-plane/manifests.ts';
import { startDnsServer, type DnsServer } from './dns/server.ts';
import { ClusterZone } from './dns/zone.ts';
import { HostRunError } from './errors.ts';
import { AddressPool } from './network/address-pool.ts';
import { choosePodNetwork, createBridge } from './network/bridge.ts';
import { serviceRules } from './network/service-rules.ts';
import { Kubelet } from './pod/kubelet.ts';
import { DEFAULT_SETTLE_MS } from './pod/pod-runner.ts';
import { CONTROL_NAMESPACE, CONTROLLER_UID, type ProxySettings, tapIdentity } from './pod/proxy-settings.ts';
import { isRunning, readOwner, writeOwner } from './state/run-owner.ts';
import { removeRun } from './state/leftovers.ts';
import { RUN_BASES, runNameFor, runPaths, type RunBases, type RunPaths } from './state/run-paths.ts';
import { mustRun, type MustRun } from './system/commands.ts';
import { isPodFinished, isPodReady } from './world/endpoint-slices.ts';
import type { MonitoredPod } from './view/traffic-monitor.ts';
import { hasProxy } from './pod/mesh-pod.ts';
import { WorkloadControllers } from './world/workloads.ts';
import { RUN_MANAGER } from './world/world-writer.ts';

/** A program of the mesh: one file, and the flags that Node runs it with. */
export interface MeshProgram {
  readonly file: string;
  readonly nodeFlags: readonly string[];
}

export interface HostRunOptions {
  readonly directory: string;
  /** Default: made from the directory. */
  readonly name?: string;
  readonly proxy: MeshProgram;
  readonly controller: MeshProgram;
  /** Node's binary; default: the one that runs this. */
  readonly nodeBinary?: string;
  /** Definitions of the custom kinds. */
  readonly crdDirectory?: string;
  readonly podNetwork?: string;
  readonly serviceNetwork?: string;
  readonly trustDomain?: string;
  readonly clusterDomain?: string;
  readonly defaultInboundPolicy?: string;
  readonly settleMs?: number;
  readonly controlPlaneLogLevel?: string;
  /** Extra environment of every proxy, for tests. */
  readonly proxyEnv?: Readonly<Record<string, string>>;
  readonly bases?: RunBases;
  readonly run?: MustRun;
}

/** What a run tells its user. */
export interface HostRunListener {
  /** A step, or something that went wrong and is being dealt with. */
  onEvent(message: string): void;
  onProblem(problem: ManifestProblem): void;
  onHealed(file: string): void;
  onLine(pod: Pod, container: string, line: string): void;
}

export const DEFAULT_SERVICE_NETWORK = '10.96.0.0/16';
const DOMAIN = 'cluster.local';
const NODE_NAME = 'weft-host';
const TOKEN_LIFETIME_SECONDS = 86_400;
const DNS_PORT = 53;
/** Grace of pods when the run itself ends: whoever typed Ctrl-C waits. */
const STOP_GRACE_MS = 5000;

/** Kinds whose changes the controllers react to. */
const WATCHED: ReadonlySet<string> = new Set([
  'Namespace',
  'Service',
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'Pod',
  'EndpointSlice',
]);

/** A running mesh. */
export class HostRun {
  readonly paths: RunPaths;
  private readonly options: HostRunOptions;
  private readonly listener: HostRunListener;
  private readonly command: MustRun;
  private readonly runId = randomBytes(8).toString('hex');
  private readonly logs = new Map<string, WriteStream>();
  private source: DirectorySource | undefined = undefined;
  private api: ApiServer | undefined = undefined;
  private dns: DnsServer | undefined = undefined;
  private kubelet: Kubelet | undefined = undefined;
  private controllers: WorkloadControllers | undefined = undefined;
  private pass: NodeJS.Immediate | undefined = undefined;
  private lastRules = '';
  private isControlPlaneReady = false;
  private isStopping = false;

  constructor(options: HostRunOptions, listener: HostRunListener) {
    this.options = options;
    this.listener = listener;
    this.command = options.run ?? mustRun;
    this.paths = runPaths(options.name ?? runNameFor(options.directory), options.bases ?? RUN_BASES);
  }

  /** The world. Only while it runs. */
  get world(): DirectorySource {
    if (this.source === undefined) throw new Error('the run has not been started');
    return this.source;
  }

  /** Where the API of the world listens: `unix:/…`. */
  get apiUrl(): string {
    return `unix:${this.paths.apiSocket}`;
  }

  /** Makes everything; resolves when pods are being started. Rejects with HostRunError, with nothing left behind. */
  async start(): Promise<void> {
    const { paths, options, command } = this;
    if (isRunning(paths)) {
      throw new HostRunError(
        'ERR_RUN_BUSY',
        `the run ${paths.name} is already running (process ${readOwner(paths)?.pid}); end it, or choose another --name`,
      );
    }
    const left = await removeRun(paths, command);
    if (left.namespaces + left.processes + left.links > 0) {
      this.listener.onEvent(
        `removed what an earlier run had left: ${left.processes} processes, ${left.namespaces} namespaces, ${left.links} links`,
      );
    }
    writeOwner(paths, this.runId, resolve(options.directory), new Date().toISOString());
    try {
      await this.make();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Ends everything in order and removes it. Never rejects for what is gone already. */
  async stop(): Promise<void> {
    if (this.isStopping) return;
    this.isStopping = true;
    clearImmediate(this.pass);
    await this.kubelet?.stop(STOP_GRACE_MS, isControlPlanePod);
    await this.dismantle();
  }

  /** Ends everything at once and removes it. */
  async kill(): Promise<void> {
    this.isStopping = true;
    clearImmediate(this.pass);
    await this.kubelet?.kill();
    await this.dismantle();
  }

  /** Pods of the world now. */
  pods(): readonly Pod[] {
    return this.source === undefined ? [] : (this.source.store.list(PodKind) as Pod[]);
  }

  /** Whether every pod that should run is ready, none is going, and there is at least one besides the control plane (or no workload at all). */
  get isSettled(): boolean {
    if (!this.isControlPlaneReady || this.pass !== undefined) return false;
    return this.pods().every((pod) => isPodFinished(pod) || (isPodReady(pod) && pod.metadata.deletionTimestamp === undefined));
  }

  /** Proxies whose metrics tell of the applications' traffic. */
  monitoredPods(): readonly MonitoredPod[] {
    return this.pods()
      .filter((pod) => !isControlPlanePod(pod) && pod.status?.phase === 'Running' && pod.spec !== undefined && hasProxy(pod.spec))
      .map(({ metadata, status }) => ({
        uid: metadata.uid,
        ip: status?.podIP ?? '',
        workload: `${metadata.namespace}/${metadata.labels['linkerd.io/proxy-deployment'] ?? metadata.labels['linkerd.io/proxy-statefulset'] ?? metadata.name}`,
      }));
  }

  problems(): readonly ManifestProblem[] {
    return this.source?.problems() ?? [];
  }

  private async make(): Promise<void> {
    const { paths, options, command } = this;
    const trustDomain = options.trustDomain ?? DOMAIN;
    const clusterDomain = options.clusterDomain ?? DOMAIN;
    const network = await choosePodNetwork(options.podNetwork, command);
    const addresses = new AddressPool(network);
    mkdirSync(paths.state, { recursive: true, mode: 0o755 });
    rmSync(paths.logs, { recursive: true, force: true });
    mkdirSync(paths.logs, { recursive: true, mode: 0o755 });
    const programs = this.copyPrograms();
    const material = loadMaterial(paths.pki, trustDomain, Date.now());
    const proxy: ProxySettings = {
      command: programs.proxy,
      trustAnchorsPem: material.trustAnchorsPem,
      trustDomain,
      clusterDomain,
      podsDirectory: paths.pods,
      // Whoever may read this run's keys may tap its proxies; nobody else can have a token of this account.
      extraEnv: { LINKERD2_PROXY_TAP_SVC_NAME: tapIdentity(options.trustDomain ?? DOMAIN), ...options.proxyEnv },
    };

    this.source = await createDirectorySource({
      directory: options.directory,
      ...(options.crdDirectory === undefined ? {} : { crdDirectory: options.crdDirectory }),
      allocateClusterIp: clusterIpsFrom(options.serviceNetwork ?? DEFAULT_SERVICE_NETWORK),
      namespaces: [CONTROL_NAMESPACE],
      // What a cluster's webhooks refuse is refused here, too.
      admit: admissionRules(({ kind, metadata: { namespace, name } }, warning) =>
        this.listener.onEvent(`${kind} ${namespace}/${name}: ${warning}`),
      ),
      onProblem: (problem) => this.listener.onProblem(problem),
      onHealed: (file) => this.listener.onHealed(file),
    });
    const { store } = this.source;
    this.api = await serveKubernetesApi(this.source, { listen: { socketPath: paths.apiSocket } });
    chownSync(paths.apiSocket, CONTROLLER_UID, CONTROLLER_UID);
    await createBridge(paths, addresses.gateway, network, command);
    const zone = this.zone(clusterDomain);
    try {
      this.dns = await startDnsServer(addresses.gateway, DNS_PORT, (name, type) => zone.answer(name, type));
    } catch (error) {
      throw new HostRunError(
        'ERR_RUN_ADDRESSES',
        `cannot serve names on ${addresses.gateway}:${DNS_PORT}: ${(error as Error).message}`,
        error,
      );
    }

    store.create(NodeKind, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name: NODE_NAME,
        labels: { 'kubernetes.io/hostname': NODE_NAME, 'kubernetes.io/os': 'linux', 'topology.kubernetes.io/zone': 'host' },
      },
    });
    for (const manifest of controlPlaneManifests({
      command: programs.controller,
      resources: this.apiUrl,
      trustDomain,
      clusterDomain,
      material,
      defaultInboundPolicy: options.defaultInboundPolicy ?? 'all-unauthenticated',
      logLevel: options.controlPlaneLogLevel ?? 'info',
    })) {
      const [group = '', version = ''] = manifest.apiVersion.includes('/') ? manifest.apiVersion.split('/') : ['', manifest.apiVersion];
      store.apply({ group, version, kind: manifest.kind }, manifest, RUN_MANAGER);
    }

    this.controllers = new WorkloadControllers({
      store,
      nodeName: NODE_NAME,
      proxy,
      random: Math.random,
      onRefused: (message) => this.listener.onEvent(message),
    });
    this.kubelet = this.createKubelet(this.source, addresses, network.bits, clusterDomain, material);
    store.subscribe((change) => {
      if (WATCHED.has(change.type.kind)) this.requestPass();
    });
    this.kubelet.start();
    this.requestPass();
    this.listener.onEvent(
      `mesh ${paths.name}: pods in ${options.podNetwork ?? addresses.gateway.replace(/\.\d+$/, '.0')}/${network.bits}, API at ${this.apiUrl}`,
    );
  }

  private createKubelet(
    source: DirectorySource,
    addresses: AddressPool,
    prefixBits: number,
    clusterDomain: string,
    material: MeshMaterial,
  ): Kubelet {
    const { paths, options, command } = this;
    const { store } = source;
    const tokens = createLocalTokenIssuer({ privateKey: importPrivateKey(material.tokenKeyPem).privateKey });
    const sudoUid = Number(process.env['SUDO_UID'] ?? '0');
    const sudoGid = Number(process.env['SUDO_GID'] ?? '0');
    return new Kubelet({
      source,
      addresses,
      mayStart: (pod) => this.isControlPlaneReady || isControlPlanePod(pod),
      deps: {
        network: { paths, run: command, gateway: addresses.gateway, prefixBits, clusterDomain },
        runId: this.runId,
        directory: resolve(options.directory),
        searchPath: `${paths.bin}:${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`,
        defaultUser: sudoUid > 0 ? { uid: sudoUid, gid: sudoGid } : undefined,
        settleMs: options.settleMs ?? DEFAULT_SETTLE_MS,
        environment: {
          configMap: (namespace, name) =>
            store.has(ConfigMapKind, namespace, name) ? store.get(ConfigMapKind, namespace, name) : undefined,
          secret: (namespace, name) => (store.has(SecretKind, namespace, name) ? store.get(SecretKind, namespace, name) : undefined),
        },
        issueToken: ({ metadata, spec }) =>
          tokens.issue({
            namespace: metadata.namespace,
            serviceAccount: spec?.serviceAccountName ?? 'default',
            audiences: [IDENTITY_AUDIENCE],
            lifetimeSeconds: TOKEN_LIFETIME_SECONDS,
            pod: { name: metadata.name, uid: metadata.uid },
          }),
        serviceRules: () => this.rules(),
        onLine: (pod, container, line) => this.log(pod, container, line),
        onEvent: (pod, message) => {
          if (!this.isStopping) this.listener.onEvent(`pod ${pod.metadata.namespace}/${pod.metadata.name}: ${message}`);
        },
      },
    });
  }

  /** Root's own copies: what runs as another user must be readable for it, and must not change under it. */
  private copyPrograms(): { proxy: readonly string[]; controller: readonly string[] } {
    const { options, paths } = this;
    mkdirSync(paths.bin, { recursive: true, mode: 0o755 });
    const node = join(paths.bin, 'node');
    copyProgram(options.nodeBinary ?? process.execPath, node, true);
    const copy = (program: MeshProgram, name: string): readonly string[] => {
      const target = join(paths.bin, name);
      if (!existsSync(program.file)) {
        throw new HostRunError(
          'ERR_RUN_ARGUMENT',
          `${basename(program.file)} of the ${name.replace('.mjs', '')} is missing; type: npm run build`,
        );
      }
      copyProgram(program.file, target, false);
      return [node, ...program.nodeFlags, target];
    };
    return { proxy: copy(options.proxy, 'proxy.mjs'), controller: copy(options.controller, 'controller.mjs') };
  }

  private zone(clusterDomain: string): ClusterZone {
    const { store } = this.world;
    return new ClusterZone(clusterDomain, {
      service: (namespace, name) =>
        store.has(ServiceKind, namespace, name) ? (store.get(ServiceKind, namespace, name) as Service) : undefined,
      slices: (namespace, service) =>
        store.list(EndpointSliceKind, { namespace, labels: { 'kubernetes.io/service-name': service } }) as EndpointSlice[],
      hasNamespace: (name) => store.has(NamespaceKind, '', name),
    });
  }

  private requestPass(): void {
    if (this.isStopping) return;
    this.pass ??= setImmediate(() => {
      this.pass = undefined;
      if (this.isStopping) return;
      this.controllers?.reconcile();
      this.afterPass();
    });
  }

  private afterPass(): void {
    if (!this.isControlPlaneReady) {
      const own = this.pods().filter((pod) => isControlPlanePod(pod));
      if (own.length >= 2 && own.every((pod) => isPodReady(pod))) {
        this.isControlPlaneReady = true;
        this.listener.onEvent('control plane is ready');
        this.kubelet?.admit();
      }
    }
    const rules = this.rules();
    if (rules === this.lastRules) return;
    this.lastRules = rules;
    this.kubelet?.updateServiceRules();
  }

  private rules(): string {
    const { store } = this.world;
    return serviceRules(store.list(ServiceKind) as Service[], store.list(EndpointSliceKind) as EndpointSlice[]);
  }

  private log(pod: Pod, container: string, line: string): void {
    const { namespace, name } = pod.metadata;
    const file = `${namespace}_${name}_${container}.log`;
    let stream = this.logs.get(file);
    if (stream === undefined) this.logs.set(file, (stream = createWriteStream(join(this.paths.logs, file), { flags: 'a' })));
    stream.write(`${line}\n`);
    this.listener.onLine(pod, container, line);
  }

  private async dismantle(): Promise<void> {
    await this.dns?.close();
    await this.api?.close();
    await this.source?.close();
    for (const stream of this.logs.values()) stream.end();
    await removeRun(this.paths, this.command);
  }
}

/** Whether a pod belongs to the control plane. */
export function isControlPlanePod(pod: Pod): boolean {
  return (
    pod.metadata.namespace === CONTROL_NAMESPACE && hasLabels(pod.metadata.labels, { 'linkerd.io/control-plane-ns': CONTROL_NAMESPACE })
  );
}

function copyProgram(from: string, to: string, isExecutable: boolean): void {
  const source = statSync(from);
  const old = existsSync(to) ? statSync(to) : undefined;
  // Copies are made with the current time: one that is younger and as long is the same file.
  if (old !== undefined && old.size === source.size && old.mtimeMs > source.mtimeMs) return;
  // A running program cannot be written over, but it can be replaced.
  rmSync(to, { force: true });
  copyFileSync(from, to);
  chownSync(to, 0, 0);
  chmodSync(to, isExecutable ? 0o755 : 0o644);
}

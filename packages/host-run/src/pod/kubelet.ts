// SPDX-License-Identifier: Apache-2.0
/*
 * Pods of the world and processes of this machine brought together: a new pod is started, one marked for deletion is ended and then removed, one
 * whose container list was edited is replaced. Everything that a kubelet would report is written to the pod's status.
 */
import { isResourceError, type LocalSource, type Pod, PodKind, type PodStatus, type Watch } from '@weft/resources';
import type { AddressPool } from '../network/address-pool.ts';
import { POD_FINALIZER, RUN_MANAGER } from '../world/world-writer.ts';
import { canonicalJson } from '../world/template-hash.ts';
import { PodRunner, type PodRunnerDeps } from './pod-runner.ts';

/** A token is rewritten when this part of its life is over. */
export const TOKEN_RENEWAL_MS: number = 12 * 3_600_000;

export interface KubeletOptions {
  readonly source: LocalSource;
  readonly addresses: AddressPool;
  readonly deps: Omit<PodRunnerDeps, 'onStatus'>;
  /** Which pods may start now; asked again by `admit`. */
  mayStart(pod: Pod): boolean;
}

/** The pods of a run. */
export class Kubelet {
  private readonly options: KubeletOptions;
  private readonly deps: PodRunnerDeps;
  private readonly runners = new Map<string, PodRunner>();
  private readonly ending = new Map<string, Promise<void>>();
  private readonly held = new Map<string, Pod>();
  private readonly templates = new Map<string, string>();
  private watch: Watch | undefined = undefined;
  private tokenTimer: NodeJS.Timeout | undefined = undefined;
  private nextIndex = 0;

  constructor(options: KubeletOptions) {
    this.options = options;
    this.deps = { ...options.deps, onStatus: (pod, status) => this.writeStatus(pod, status) };
  }

  start(): void {
    this.watch = this.options.source.watch(PodKind, undefined, (event) => {
      if (event.type === 'synced') return;
      if (event.type === 'deleted') this.gone(event.object);
      else this.seen(event.object);
    });
    this.tokenTimer = setInterval(() => {
      for (const runner of this.runners.values()) runner.renewToken();
    }, TOKEN_RENEWAL_MS);
  }

  /** Starts pods that `mayStart` has held back. */
  admit(): void {
    for (const [uid, pod] of this.held) {
      if (!this.options.mayStart(pod)) continue;
      this.held.delete(uid);
      this.run(pod);
    }
  }

  /** Gives every pod without proxy new rules for cluster IPs. */
  updateServiceRules(): void {
    for (const runner of this.runners.values()) runner.updateServiceRules();
  }

  /** Ends all pods: applications first, then the control plane, each in order. */
  async stop(graceMs: number, isControlPlane: (pod: Pod) => boolean): Promise<void> {
    this.watch?.close();
    clearInterval(this.tokenTimer);
    this.held.clear();
    const all = [...this.runners.values()];
    const end = (runner: PodRunner): Promise<void> => this.ending.get(runner.pod.metadata.uid) ?? runner.stop(graceMs, 0);
    await Promise.all(all.filter(({ pod }) => !isControlPlane(pod)).map(end));
    await Promise.all(all.filter(({ pod }) => isControlPlane(pod)).map(end));
    await Promise.all(this.ending.values());
  }

  /** Ends all pods at once. */
  async kill(): Promise<void> {
    this.watch?.close();
    clearInterval(this.tokenTimer);
    await Promise.all([...this.runners.values()].map((runner) => runner.kill()));
  }

  private seen(pod: Pod): void {
    const { uid, deletionTimestamp } = pod.metadata;
    const finalizers = (pod.metadata as unknown as { readonly finalizers?: readonly string[] }).finalizers ?? [];
    // Not adopted yet: the controllers see to it first.
    if (!finalizers.includes(POD_FINALIZER)) return;
    if (deletionTimestamp !== undefined) {
      this.end(pod);
      return;
    }
    const containers = canonicalJson(pod.spec?.containers);
    const known = this.templates.get(uid);
    this.templates.set(uid, containers);
    if (known === undefined) {
      if (this.options.mayStart(pod)) this.run(pod);
      else this.held.set(uid, pod);
    } else if (known !== containers) this.replace(pod);
  }

  /** Removed without having been marked, as when its namespace goes. */
  private gone(pod: Pod): void {
    const { uid } = pod.metadata;
    this.held.delete(uid);
    this.templates.delete(uid);
    this.end(pod);
  }

  private run(pod: Pod): void {
    const { addresses } = this.options;
    const address = addresses.take(performance.now());
    const runner = new PodRunner(pod, address, this.nextIndex++, this.deps);
    this.runners.set(pod.metadata.uid, runner);
    runner.start();
  }

  private end(pod: Pod): void {
    const { uid } = pod.metadata;
    if (this.ending.has(uid)) return;
    this.held.delete(uid);
    const runner = this.runners.get(uid);
    const graceMs = (pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000;
    const done = (runner === undefined ? Promise.resolve() : runner.stop(graceMs))
      .catch((error: unknown) => this.deps.onEvent(pod, `cannot be ended cleanly: ${(error as Error).message}`))
      .then(() => {
        this.runners.delete(uid);
        this.ending.delete(uid);
        this.templates.delete(uid);
        if (runner !== undefined) this.options.addresses.release(runner.address, performance.now());
        this.release(pod);
      });
    this.ending.set(uid, done);
  }

  /** The processes have ended: the object may go. */
  private release(pod: Pod): void {
    const { namespace, name, uid } = pod.metadata;
    const { store } = this.options.source;
    if (!store.has(PodKind, namespace, name)) return;
    const live = store.get(PodKind, namespace, name);
    if (live.metadata.uid !== uid) return;
    const finalizers = (live.metadata as unknown as { readonly finalizers?: readonly string[] }).finalizers ?? [];
    store.patch(
      PodKind,
      namespace,
      name,
      { metadata: { finalizers: finalizers.filter((one) => one !== POD_FINALIZER) } },
      { fieldManager: RUN_MANAGER },
    );
  }

  /** Another container list under the same name: the old processes end, then the new ones start. */
  private replace(pod: Pod): void {
    const { uid } = pod.metadata;
    const runner = this.runners.get(uid);
    if (runner === undefined || this.ending.has(uid)) return;
    const done = runner.stop((pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000).then(() => {
      this.runners.delete(uid);
      this.ending.delete(uid);
      this.options.addresses.release(runner.address, performance.now());
      const { namespace, name } = pod.metadata;
      const { store } = this.options.source;
      if (store.has(PodKind, namespace, name)) this.run(store.get(PodKind, namespace, name) as Pod);
    });
    this.ending.set(uid, done);
  }

  private writeStatus(pod: Pod, status: PodStatus): void {
    const { namespace, name, uid } = pod.metadata;
    const { store } = this.options.source;
    if (!store.has(PodKind, namespace, name)) return;
    const live = store.get(PodKind, namespace, name) as Pod;
    if (live.metadata.uid !== uid) return;
    const now = `${new Date().toISOString().slice(0, 19)}Z`;
    const old = new Map((live.status?.conditions ?? []).map((condition) => [condition.type, condition]));
    const conditions = (status.conditions ?? []).map((condition) => {
      const before = old.get(condition.type);
      const lastTransitionTime = before?.status === condition.status ? (before.lastTransitionTime ?? now) : now;
      return { ...condition, lastTransitionTime };
    });
    try {
      store.patchStatus(PodKind, namespace, name, { status: { ...status, conditions } }, { fieldManager: RUN_MANAGER });
    } catch (error) {
      if (!isResourceError(error)) throw error;
      this.deps.onEvent(pod, `its status was refused: ${error.message}`);
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * One container of a pod: its process, its restarts, its probes, as a kubelet keeps them (core/v1 Container).
 *
 *   waiting ─start─► running ─exit─► (restart wanted: waiting, after a delay | else terminated)
 *                       └─stop: preStop, SIGTERM, grace period, SIGKILL─► terminated
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, ContainerStatus, Probe } from '@weft/resources';
import { signalProcess } from './namespace-process.ts';
import { attemptProbe, Prober, type ProbeTarget } from './prober.ts';
import { RestartBackoff } from './restart-backoff.ts';

/** When a container that ended is started again. */
export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

/** What a container needs from its pod. */
export interface ContainerHost {
  readonly container: Container;
  readonly restartPolicy: RestartPolicy;
  readonly target: ProbeTarget;
  /** Throws Error when the container cannot be started as written (a variable that leads nowhere). */
  spawn(): ChildProcess;
  /** Something in `status` has changed. */
  onChange(): void;
  onEvent(message: string): void;
}

type Phase = 'waiting' | 'running' | 'terminated';

/** One container over its restarts. */
export class ContainerRunner {
  readonly name: string;
  private readonly host: ContainerHost;
  private readonly backoff = new RestartBackoff();
  private readonly probers: Prober[] = [];
  private child: ChildProcess | undefined = undefined;
  private phase: Phase = 'waiting';
  private reason = 'ContainerCreating';
  private isStarted = false;
  private isReadyByProbe = false;
  private restartCount = 0;
  private exitCode = 0;
  private startedAt = '';
  private restartTimer: NodeJS.Timeout | undefined = undefined;
  private isStopping = false;
  private readonly ended = Promise.withResolvers<void>();
  private readonly startedUp = Promise.withResolvers<void>();

  constructor(host: ContainerHost) {
    this.host = host;
    this.name = host.container.name;
  }

  /** Resolves when the container has passed its startup probe (or runs, where it has none), or will never. */
  get whenStarted(): Promise<void> {
    return this.startedUp.promise;
  }

  /** Resolves when it has ended for good. */
  get whenEnded(): Promise<void> {
    return this.ended.promise;
  }

  get isEnded(): boolean {
    return this.phase === 'terminated';
  }

  get hasFailed(): boolean {
    return this.phase === 'terminated' && this.exitCode !== 0;
  }

  get isReady(): boolean {
    return this.phase === 'running' && this.isStarted && this.isReadyByProbe;
  }

  get hasStartedUp(): boolean {
    return this.isStarted;
  }

  get status(): ContainerStatus {
    const state =
      this.phase === 'running'
        ? { running: { startedAt: this.startedAt } }
        : this.phase === 'waiting'
          ? { waiting: { reason: this.reason } }
          : { terminated: { exitCode: this.exitCode, reason: this.exitCode === 0 ? 'Completed' : 'Error', startedAt: this.startedAt } };
    return {
      name: this.name,
      ready: this.isReady,
      started: this.isStarted && this.phase === 'running',
      restartCount: this.restartCount,
      image: this.host.container.image ?? '',
      imageID: '',
      state,
    } as ContainerStatus;
  }

  start(): void {
    if (this.isStopping) {
      this.finish();
      return;
    }
    let child: ChildProcess;
    try {
      child = this.host.spawn();
    } catch (error) {
      this.host.onEvent(`cannot be started: ${(error as Error).message}`);
      this.reason = 'CreateContainerConfigError';
      this.scheduleRestart(0);
      return;
    }
    const startedMs = performance.now();
    this.child = child;
    this.phase = 'running';
    this.startedAt = new Date().toISOString();
    // Without `error` listener a missing program would end us.
    child.on('error', (error) => this.host.onEvent(`cannot be started: ${error.message}`));
    child.on('exit', (code, signal) => this.exited(code, signal, performance.now() - startedMs));
    this.startProbes();
    this.host.onChange();
  }

  /** Ends it in order; resolves when it has ended. May be called again, with less patience. */
  async stop(graceMs: number): Promise<void> {
    this.isStopping = true;
    this.stopProbes();
    clearTimeout(this.restartTimer);
    if (this.phase !== 'running' || this.child === undefined) {
      this.finish();
      return;
    }
    const { child } = this;
    const deadline = AbortSignal.timeout(Math.max(0, Math.round(graceMs)));
    await this.preStop(deadline, graceMs);
    signalProcess(child, 'SIGTERM', false);
    await Promise.race([this.ended.promise, once(deadline, 'abort')]);
    if (!this.isEnded) {
      this.host.onEvent('did not end in its grace period and was killed');
      signalProcess(child, 'SIGKILL', true);
    }
    await this.ended.promise;
  }

  /** Ends it without asking. */
  kill(): void {
    this.isStopping = true;
    this.stopProbes();
    clearTimeout(this.restartTimer);
    if (this.child === undefined || this.phase !== 'running') this.finish();
    else signalProcess(this.child, 'SIGKILL', true);
  }

  /** A liveness probe has failed: ended, and started again as its policy says. */
  private async restartUnhealthy(what: string): Promise<void> {
    const { child } = this;
    if (child === undefined || this.phase !== 'running') return;
    this.host.onEvent(`${what} probe failed; restarting`);
    this.stopProbes();
    signalProcess(child, 'SIGTERM', false);
    await Promise.race([once(child, 'exit'), sleep(10_000, undefined, { ref: false })]);
    signalProcess(child, 'SIGKILL', true);
  }

  private async preStop(deadline: AbortSignal, graceMs: number): Promise<void> {
    const hook = (
      this.host.container['lifecycle'] as { readonly preStop?: Probe & { readonly sleep?: { readonly seconds?: number } } } | undefined
    )?.preStop;
    if (hook === undefined) return;
    // A hook that fails is no reason not to stop.
    const done =
      hook.sleep === undefined
        ? attemptProbe(hook, this.host.target, graceMs)
        : sleep((hook.sleep.seconds ?? 0) * 1000, undefined, { signal: deadline }).catch(() => undefined);
    await Promise.race([done, once(deadline, 'abort'), this.ended.promise]);
  }

  private startProbes(): void {
    const { startupProbe, readinessProbe } = this.host.container;
    this.isReadyByProbe = readinessProbe === undefined;
    if (startupProbe === undefined) {
      this.afterStartup();
      return;
    }
    const prober = new Prober(startupProbe, this.host.target, undefined, (isSuccess) => {
      prober.stop();
      if (isSuccess) this.afterStartup();
      // The exit that follows does the rest.
      else void this.restartUnhealthy('startup');
    });
    this.addProber(prober);
  }

  private afterStartup(): void {
    this.isStarted = true;
    this.startedUp.resolve();
    const { readinessProbe, livenessProbe } = this.host.container;
    if (readinessProbe !== undefined) {
      this.addProber(
        new Prober(readinessProbe, this.host.target, false, (isSuccess) => {
          this.isReadyByProbe = isSuccess;
          if (!isSuccess) this.host.onEvent('is not ready any more');
          this.host.onChange();
        }),
      );
    }
    if (livenessProbe !== undefined) {
      this.addProber(
        new Prober(livenessProbe, this.host.target, true, (isSuccess) => {
          // The exit that follows does the rest.
          if (!isSuccess) void this.restartUnhealthy('liveness');
        }),
      );
    }
    this.host.onChange();
  }

  private addProber(prober: Prober): void {
    this.probers.push(prober);
    prober.start();
  }

  private stopProbes(): void {
    for (const prober of this.probers.splice(0)) prober.stop();
  }

  private exited(code: number | null, signal: NodeJS.Signals | null, ranMs: number): void {
    this.stopProbes();
    const { child } = this;
    this.child = undefined;
    // What it has started must not outlive it, as in a container.
    if (child?.pid !== undefined) {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // Nothing was left.
      }
    }
    this.exitCode = code ?? 128 + (signal === 'SIGKILL' ? 9 : 15);
    this.isStarted = false;
    this.isReadyByProbe = false;
    const { restartPolicy } = this.host;
    const isRestarted = !this.isStopping && (restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && this.exitCode !== 0));
    if (!this.isStopping) this.host.onEvent(`ended with ${signal ?? `status ${code}`}${isRestarted ? '' : ', for good'}`);
    if (isRestarted) this.scheduleRestart(ranMs);
    else this.finish();
  }

  private scheduleRestart(ranMs: number): void {
    this.phase = 'waiting';
    if (ranMs > 0) this.reason = 'CrashLoopBackOff';
    this.restartCount += 1;
    this.restartTimer = setTimeout(() => this.start(), this.backoff.delayAfter(ranMs));
    this.host.onChange();
  }

  private finish(): void {
    if (this.phase === 'terminated') return;
    this.phase = 'terminated';
    this.startedUp.resolve();
    this.ended.resolve();
    this.host.onChange();
  }
}

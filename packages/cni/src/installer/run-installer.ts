// SPDX-License-Identifier: Apache-2.0
/*
 * The installer's life on a node (proxy-contract §10.3): install, watch for configurations that appear or are rewritten and for a new
 * token, and at the end undo everything; unless only this pod is replaced, as in an upgrade. Then the plugin stays, for a pod that started
 * meanwhile would be left out of the mesh.
 */
import { isResourceError, DaemonSetKind, NamespaceKind, type ResourceSource } from '@weft/resources';
import type { Logger } from '@weft/telemetry';
import { type DirectoryWatch, RECHECK_MS, watchDirectory } from './directory-watch.ts';
import type { EnsureOutcome, Installer } from './installer.ts';
import type { InstallerSettings } from './settings.ts';

/** What a run is given. */
export interface InstallerRun {
  readonly installer: Installer;
  readonly settings: Pick<InstallerSettings, 'serviceAccountDir' | 'keepsOnRestart'>;
  readonly logger: Logger;
  /** Ends the run. */
  readonly stop: AbortSignal;
  /** Whether whatever started this stays and will start it again. */
  readonly isOnlyRestart: () => Promise<boolean>;
  /** Between looks at what events cannot tell; milliseconds. */
  readonly recheckMs?: number;
}

/** Rewrites of one configuration within a slow look that look like somebody else is undoing our work. */
const QUARREL_COUNT = 20;

/** Installs and stays until `stop`. Rejects when the first installation fails, or the removal does. */
export async function runInstaller(run: InstallerRun): Promise<void> {
  const { installer, logger, settings, stop } = run;
  await installer.sweep();
  const first = await installer.ensure();
  logger.info('Plugin installed', { configurations: first.chainedCount });
  if (first.chainedCount === 0) logger.warn('No network configuration yet: waiting for one', { directory: installer.netDir });
  if (!stop.aborted) await keep(run);
  if (settings.keepsOnRestart && (await run.isOnlyRestart())) {
    logger.info('Only this pod ends: the plugin stays installed');
    return;
  }
  await installer.remove();
}

async function keep({ installer, logger, settings, stop, recheckMs = RECHECK_MS }: InstallerRun): Promise<void> {
  const rewrites = new Map<string, number>();
  const note = ({ written }: EnsureOutcome): void => {
    for (const name of written) {
      const count = (rewrites.get(name) ?? 0) + 1;
      rewrites.set(name, count);
      if (count === QUARREL_COUNT)
        logger.warn('Another program keeps removing the plugin from a network configuration (Cilium needs cni.exclusive=false)', {
          file: name,
        });
    }
  };
  const worker = new Worker(async (isWhole) => {
    if (isWhole) rewrites.clear();
    note(isWhole ? await installer.ensure() : await installer.ensureEntries());
  }, logger);
  const watches: DirectoryWatch[] = [
    watchDirectory(installer.netDir, (isRecheck) => worker.wake(isRecheck), recheckMs),
    // The kubelet replaces the token by swapping a link in its directory.
    watchDirectory(settings.serviceAccountDir, () => worker.wake(true), recheckMs),
    watchDirectory(installer.binDir, () => worker.wake(true), recheckMs),
  ];
  await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  for (const watch of watches) watch.close();
  await worker.idle();
}

/** One job at a time; what happens during a job is looked at in another after it. */
class Worker {
  private readonly job: (isWhole: boolean) => Promise<void>;
  private readonly logger: Logger;
  private running: Promise<void> | undefined;
  private isWoken = false;
  private isWhole = false;

  constructor(job: (isWhole: boolean) => Promise<void>, logger: Logger) {
    this.job = job;
    this.logger = logger;
  }

  wake(isWhole: boolean): void {
    this.isWoken = true;
    this.isWhole ||= isWhole;
    this.running ??= this.work();
  }

  async idle(): Promise<void> {
    await this.running;
  }

  private async work(): Promise<void> {
    while (this.isWoken) {
      const { isWhole } = this;
      this.isWoken = false;
      this.isWhole = false;
      try {
        await this.job(isWhole);
      } catch (error) {
        // The next slow look tries again.
        this.logger.error('Cannot keep the plugin installed', { error: (error as Error).message });
      }
    }
    this.running = undefined;
  }
}

/**
 * Whether the DaemonSet stays, hence will start this again. False when it or its namespace is going, and when nobody can say: then
 * everything is undone, as after an uninstall that took the service account first.
 */
export async function daemonSetStays(source: ResourceSource, namespace: string, name: string, logger: Logger): Promise<boolean> {
  try {
    const [daemonSet, space] = await Promise.all([source.get(DaemonSetKind, namespace, name), source.get(NamespaceKind, '', namespace)]);
    return daemonSet.metadata.deletionTimestamp === undefined && space.metadata.deletionTimestamp === undefined;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (!isResourceError(error) || code !== 'ERR_NOT_FOUND') logger.warn('Cannot tell whether this is a restart', { error: message });
    return false;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Asking the API server about a pod, patiently: the installer replaces the kubeconfig when its token changes, and an API server is away
 * for a moment when its own node is upgraded. Each attempt reads the kubeconfig anew. What will not change by waiting (no such pod, no
 * right to read) is not asked twice.
 */
import { createKubernetesSource, isResourceError, kubeconfigConnection, type ResourceSource } from '@weft/resources';
import { CniError } from './cni-error.ts';

/** Times of a lookup, in milliseconds. */
export interface LookupLimits {
  /** One request. */
  readonly requestTimeoutMs: number;
  /** All attempts together; a kubelet gives a sandbox two minutes. */
  readonly totalMs: number;
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
}

export const LOOKUP_LIMITS: LookupLimits = { requestTimeoutMs: 5000, totalMs: 40_000, minBackoffMs: 100, maxBackoffMs: 2000 };

/** What a lookup needs of the world around it. */
export interface LookupWorld {
  /** Opens the API server that a kubeconfig names. */
  readonly open: (kubeconfig: string, requestTimeoutMs: number) => Promise<ResourceSource>;
  /** Monotonic, in milliseconds. */
  readonly now: () => number;
  readonly sleep: (delayMs: number) => Promise<void>;
  /** In [0, 1). */
  readonly random: () => number;
}

/** The API server behind the installed kubeconfig. */
export async function openKubeconfig(kubeconfig: string, requestTimeoutMs: number): Promise<ResourceSource> {
  return createKubernetesSource({ ...(await kubeconfigConnection(kubeconfig)), requestTimeoutMs, userAgent: 'weft-cni' });
}

/** The answer of `ask`, asked until it comes or the time is over; rejects with the last error. */
export async function lookUp<Answer>(
  world: LookupWorld,
  kubeconfig: string,
  limits: LookupLimits,
  ask: (source: ResourceSource) => Promise<Answer>,
): Promise<Answer> {
  const deadlineMs = world.now() + limits.totalMs;
  for (let attempt = 0; ; attempt++) {
    try {
      const source = await world.open(kubeconfig, limits.requestTimeoutMs);
      try {
        return await ask(source);
      } finally {
        await source.close();
      }
    } catch (error) {
      const backoffMs = Math.min(limits.maxBackoffMs, limits.minBackoffMs * 2 ** attempt) * (1 + world.random()) * 0.5;
      if (!isWorthWaiting(error) || world.now() + backoffMs >= deadlineMs) throw error;
      await world.sleep(backoffMs);
    }
  }
}

/** A refused token counts: the one of an installer that has just ended is void, and the next one writes another. */
function isWorthWaiting(error: unknown): boolean {
  if (error instanceof CniError) return false;
  if (!isResourceError(error)) return true;
  return error.code === 'ERR_UNAVAILABLE' || error.status === 401;
}

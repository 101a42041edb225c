// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics of many proxies, read through port-forward: a few at a time, each connection kept for the next reading. A proxy that cannot be read
 * is told and left out; the others still show their traffic.
 */
import type { Agent } from 'node:http';
import type { Cluster, PortForward } from '../kube/cluster.ts';
import { createAdminAgent, readAdmin } from './admin-http.ts';

/** The proxy's admin port, unless its container says otherwise. */
export const ADMIN_PORT = 4191;
/** Proxies that are read at one time. */
export const MAX_READERS = 16;

/** A pod to read. */
export interface ReadablePod {
  readonly namespace: string;
  readonly name: string;
}

/** Calls `work` for each item, a bounded number at a time; results in the order of the items. */
export async function inParallel<In, Out>(items: readonly In[], maxAtOnce: number, work: (item: In) => Promise<Out>): Promise<Out[]> {
  const results: Out[] = [];
  let next = 0;
  const run = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index] as In);
  };
  await Promise.all(Array.from({ length: Math.min(maxAtOnce, items.length) }, run));
  return results;
}

interface Lead {
  readonly forward: PortForward;
  readonly agent: Agent;
}

/** Reads the metrics of proxies, again and again. */
export class ProxyReadings {
  private readonly cluster: Pick<Cluster, 'portForward'>;
  private readonly leads = new Map<string, Lead>();

  constructor(cluster: Pick<Cluster, 'portForward'>) {
    this.cluster = cluster;
  }

  /** The metrics of each pod by `namespace/name`. `onError` is told of those that are missing. */
  async read(pods: readonly ReadablePod[], onError: (pod: ReadablePod, message: string) => void): Promise<Map<string, string>> {
    const texts = new Map<string, string>();
    await inParallel(pods, MAX_READERS, async (pod) => {
      const key = `${pod.namespace}/${pod.name}`;
      try {
        const { forward, agent } = await this.leadTo(key, pod);
        texts.set(key, await readAdmin(forward, '/metrics', agent));
      } catch (error) {
        onError(pod, error instanceof Error ? error.message : String(error));
      }
    });
    return texts;
  }

  close(): void {
    for (const { forward, agent } of this.leads.values()) {
      agent.destroy();
      forward.close();
    }
    this.leads.clear();
  }

  private async leadTo(key: string, { namespace, name }: ReadablePod): Promise<Lead> {
    let lead = this.leads.get(key);
    if (lead === undefined) {
      lead = { forward: await this.cluster.portForward(namespace, name, ADMIN_PORT), agent: createAdminAgent() };
      this.leads.set(key, lead);
    }
    return lead;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Power of two choices (proxy-contract §6.1): of two ready endpoints drawn at random the one with the lower cost. Close to the least loaded of all,
 * for the price of two looks. The weights of endpoints are not used, as in the reference.
 */
import type { PeakEwma } from './peak-ewma.ts';

/** What the balancer reads of an endpoint, at every pick; it changes nothing. */
export interface BalancedEndpoint {
  readonly load: PeakEwma;
  /** Requests sent and not answered. */
  readonly pending: number;
  /** Whether a request could be sent now. */
  readonly isReady: boolean;
}

/**
 * Draws of an endpoint that is not ready before the ready ones are counted instead. While at least half are ready, about one draw in 250 counts;
 * both ways draw uniformly.
 */
const MAX_DRAWS = 8;

/** A set of endpoints to pick from. A pick allocates nothing and looks at a handful of endpoints, unless most are not ready. */
export class P2cBalancer<E extends BalancedEndpoint> {
  private readonly random: () => number;
  private readonly endpoints: E[];
  private readonly indexes: Map<E, number>;

  /** `random`: uniform in [0, 1). */
  constructor(random: () => number) {
    this.random = random;
    this.endpoints = [];
    this.indexes = new Map();
  }

  /** Number of endpoints, ready or not. */
  get size(): number {
    return this.endpoints.length;
  }

  /** Adds an endpoint; nothing if it is there. */
  add(endpoint: E): void {
    if (this.indexes.has(endpoint)) return;
    this.indexes.set(endpoint, this.endpoints.length);
    this.endpoints.push(endpoint);
  }

  /** Takes an endpoint out; nothing if it is not there. */
  remove(endpoint: E): void {
    const index = this.indexes.get(endpoint);
    if (index === undefined) return;
    this.indexes.delete(endpoint);
    const last = this.endpoints.pop() as E;
    if (last === endpoint) return;
    this.endpoints[index] = last;
    this.indexes.set(last, index);
  }

  /** How many endpoints are ready; looks at all of them. */
  readyCount(): number {
    let count = 0;
    for (const endpoint of this.endpoints) {
      if (endpoint.isReady) count += 1;
    }
    return count;
  }

  /** The endpoint for one request, or undefined if none is ready. */
  pick(nowMs: number): E | undefined {
    const first = this.drawReady(undefined);
    if (first === undefined || this.endpoints.length === 1) return first;
    const second = this.drawReady(first);
    if (second === undefined) return first;
    return second.load.cost(nowMs, second.pending) < first.load.cost(nowMs, first.pending) ? second : first;
  }

  /** A ready endpoint other than `except`, each with the same chance. */
  private drawReady(except: E | undefined): E | undefined {
    const { endpoints } = this;
    const { length } = endpoints;
    for (let draws = length === 0 ? MAX_DRAWS : 0; draws < MAX_DRAWS; draws++) {
      const endpoint = endpoints[Math.floor(this.random() * length)] as E;
      if (endpoint.isReady && endpoint !== except) return endpoint;
    }
    let count = 0;
    for (const endpoint of endpoints) {
      if (endpoint.isReady && endpoint !== except) count += 1;
    }
    let skip = Math.floor(this.random() * count);
    for (const endpoint of endpoints) {
      if (!endpoint.isReady || endpoint === except) continue;
      if (skip === 0) return endpoint;
      skip -= 1;
    }
    return undefined;
  }
}

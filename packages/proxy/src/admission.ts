// SPDX-License-Identifier: Apache-2.0
/*
 * Whether one more request may come in (proxy-contract §1.3 MAX_IN_FLIGHT, design §3 byte budget): counted from its arrival to the head of
 * its response, per direction, and refused while the process is close to its memory limit. A refused request gets 503.
 */
import type { MemoryBudget } from './memory-budget.ts';

export class Admission {
  /** Requests that wait for the head of their response. */
  inFlight = 0;
  private readonly maxInFlight: number;
  private readonly budget: MemoryBudget;

  constructor(maxInFlight: number, budget: MemoryBudget) {
    this.maxInFlight = maxInFlight;
    this.budget = budget;
  }

  /** Takes a place; false where there is none. */
  enter(): boolean {
    if (this.inFlight >= this.maxInFlight) return false;
    if (this.budget.isExhausted()) {
      this.budget.shedRequests += 1;
      return false;
    }
    this.inFlight += 1;
    return true;
  }

  /** Gives the place back. */
  leave(): void {
    this.inFlight -= 1;
  }
}

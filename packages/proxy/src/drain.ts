// SPDX-License-Identifier: Apache-2.0
/*
 * Graceful shutdown (proxy-contract §9): every served connection is in the set, is asked to finish when the drain begins, and the
 * drain is over when the set is empty.
 */

export interface Drainable {
  /** Finish what is in flight, then close. Called at most once. */
  drain(): void;
}

export class DrainSet {
  private readonly members = new Set<Drainable>();
  private isDraining = false;
  private onEmpty: (() => void) | undefined = undefined;

  get size(): number {
    return this.members.size;
  }

  /** Tracks a connection; returns what to call when it is closed. */
  add(member: Drainable): () => void {
    this.members.add(member);
    if (this.isDraining) member.drain();
    return () => {
      this.members.delete(member);
      if (this.isDraining && this.members.size === 0) this.onEmpty?.();
    };
  }

  /** Begins the drain; `onEmpty` comes once, perhaps at once. */
  begin(onEmpty: () => void): void {
    if (this.isDraining) return;
    this.isDraining = true;
    let isCalled = false;
    this.onEmpty = () => {
      if (isCalled) return;
      isCalled = true;
      onEmpty();
    };
    for (const member of [...this.members]) member.drain();
    if (this.members.size === 0) this.onEmpty();
  }
}

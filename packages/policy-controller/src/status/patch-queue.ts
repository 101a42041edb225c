// SPDX-License-Identifier: Apache-2.0
/*
 * Objects that wait for a status patch (control-contract §3.4): each once, and one namespace after the other, so that a namespace of ten
 * thousand routes makes the others wait for one patch of its own, not for all of them.
 */

/** A bounded queue of keys that takes turns between namespaces. */
export class PatchQueue {
  private readonly capacityPerNamespace: number;
  private readonly byNamespace = new Map<string, Set<string>>();
  private count = 0;

  /** `capacityPerNamespace`: keys of one namespace that may wait. */
  constructor(capacityPerNamespace: number) {
    this.capacityPerNamespace = capacityPerNamespace;
  }

  get size(): number {
    return this.count;
  }

  has(namespace: string, key: string): boolean {
    return this.byNamespace.get(namespace)?.has(key) ?? false;
  }

  /** Adds a key that is not there yet; false when its namespace's part of the queue is full. */
  add(namespace: string, key: string): boolean {
    const keys = this.byNamespace.get(namespace);
    if ((keys?.size ?? 0) >= this.capacityPerNamespace) return false;
    if (keys === undefined) this.byNamespace.set(namespace, new Set([key]));
    else keys.add(key);
    this.count += 1;
    return true;
  }

  delete(namespace: string, key: string): void {
    const keys = this.byNamespace.get(namespace);
    if (keys?.delete(key) !== true) return;
    this.count -= 1;
    if (keys.size === 0) this.byNamespace.delete(namespace);
  }

  /** Takes the oldest key of the namespace whose turn it is and that `isFree` lets go; undefined where there is none. */
  take(isFree: (key: string) => boolean): string | undefined {
    for (const [namespace, keys] of this.byNamespace) {
      for (const key of keys) {
        if (!isFree(key)) continue;
        this.delete(namespace, key);
        // To the end of the line.
        const rest = this.byNamespace.get(namespace);
        if (rest !== undefined) {
          this.byNamespace.delete(namespace);
          this.byNamespace.set(namespace, rest);
        }
        return key;
      }
    }
    return undefined;
  }

  clear(): void {
    this.byNamespace.clear();
    this.count = 0;
  }
}

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { PatchQueue } from './patch-queue.ts';

const anything = (): boolean => true;

describe('[RT-14] objects that wait for a status', () => {
  it('take turns by namespace, each in the order of arrival', () => {
    const queue = new PatchQueue(100);
    for (const key of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) expect(queue.add(key[0] ?? '', key)).toBe(true);
    const taken: (string | undefined)[] = [];
    while (queue.size > 0) taken.push(queue.take(anything));
    expect(taken).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
    expect(queue.take(anything)).toBeUndefined();
  });

  it('leave out those that may not go yet, whoever they belong to', () => {
    const queue = new PatchQueue(100);
    for (const key of ['a1', 'a2', 'b1']) queue.add(key[0] ?? '', key);
    expect(queue.take((key) => key !== 'a1')).toBe('a2');
    expect(queue.take((key) => key !== 'a1')).toBe('b1');
    expect(queue.take((key) => key !== 'a1')).toBeUndefined();
    expect([queue.size, queue.has('a', 'a1')]).toEqual([1, true]);
  });

  it('are bounded for each namespace, so that one cannot fill the places of another', () => {
    const queue = new PatchQueue(2);
    expect(['a1', 'a2', 'a3', 'b1'].map((key) => queue.add(key[0] ?? '', key))).toEqual([true, true, false, true]);
    queue.delete('a', 'a1');
    queue.delete('a', 'a1');
    expect([queue.size, queue.add('a', 'a3')]).toEqual([2, true]);
    queue.clear();
    expect(queue.size).toBe(0);
  });
});

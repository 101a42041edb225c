// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type * as Functions from '../testdata/worker-functions.ts';
import { NamespaceWorker } from './namespace-worker.ts';
import { ProcessGroup } from './processes.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-worker-'));
const group = new ProcessGroup();
afterAll(() => {
  group.killAll();
  rmSync(directory, { recursive: true });
});

/** A worker in the namespace of the test itself. */
function start(): NamespaceWorker<typeof Functions> {
  const module = join(import.meta.dirname, '../testdata/worker-functions.ts');
  return new NamespaceWorker<typeof Functions>(group, ['env'], module, join(directory, 'worker.log'));
}

describe('a worker', () => {
  it('answers calls, large ones and several at once', async () => {
    const worker = start();
    const [sum, text] = await Promise.all([worker.call('add', 1, 2), worker.call('later', 'ab')]);
    expect(sum).toBe(3);
    expect(text).toHaveLength(200_000);
  });

  it('hands an error on, and goes on', async () => {
    const worker = start();
    await expect(worker.call('fails')).rejects.toThrow('as asked');
    await expect(worker.call('add', 2, 2)).resolves.toBe(4);
  });

  it('fails what waits and what comes when it has ended', async () => {
    const worker = start();
    await expect(worker.call('exits')).rejects.toThrow('ended (3)');
    await expect(worker.call('add', 1, 1)).rejects.toThrow('ended (3)');
  });
});

// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planCluster, type NodePlan } from './plan.ts';
import { isAlive, nodeScriptFile, processesOfNode, processName, readRecord, writeRecord } from './record.ts';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(`${tmpdir()}/record-`);
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

describe('what a cluster leaves to be found', () => {
  it('is its shape and processes, or nothing', () => {
    const plan = planCluster(0, 1, 'ipv4', cache);
    expect(readRecord(plan)).toBeUndefined();
    mkdirSync(plan.directory, { recursive: true });
    const record = {
      nodeCount: 1,
      ipFamily: 'ipv4',
      isKept: true,
      maker: { pid: 1, startTicks: 2 },
      nodes: { node1: { pid: 3, startTicks: 4 } },
    } as const;
    writeRecord(plan.directory, record);
    expect(readRecord(plan)).toEqual(record);
  });

  it('knows a process from a later one of the same number, and from its remains', async () => {
    const child = spawn('sleep', ['100']);
    await once(child, 'spawn');
    const name = processName(child.pid as number);
    expect(name !== undefined && isAlive(name)).toBe(true);
    expect(isAlive({ pid: child.pid as number, startTicks: 1 })).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(name !== undefined && isAlive(name)).toBe(false);
  });

  it('takes for a node’s process only one that runs its very script', async () => {
    const plan = planCluster(0, 2, 'ipv4', cache);
    const [one, two] = plan.nodes as [NodePlan, NodePlan];
    const script = nodeScriptFile(plan, one);
    mkdirSync(dirname(script), { recursive: true });
    writeFileSync(script, 'sleep 100\n');
    const node = spawn('bash', [script]);
    const reader = spawn('tail', ['-f', script]);
    await Promise.all([once(node, 'spawn'), once(reader, 'spawn')]);
    expect(processesOfNode(plan, one)).toEqual([node.pid]);
    expect(processesOfNode(plan, two)).toEqual([]);
    for (const child of [node, reader]) child.kill('SIGKILL');
  });
});

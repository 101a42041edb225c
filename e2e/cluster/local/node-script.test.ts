// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { nodeScript, quote, SHADOWED_SYSCTLS } from './node-script.ts';
import { planCluster, type NodePlan } from './plan.ts';

const images = { system: ['/i/pause.tar'], others: ['/i/app.tar'] };
const scriptOf = (at: number, nodes = 2, cache = '/cache'): string => {
  const plan = planCluster(0, nodes, 'dual', cache);
  return nodeScript(plan, plan.nodes[at] as NodePlan, images);
};

describe('the script of a node', () => {
  it.each([0, 1])('is valid shell, also with a space in its paths (node %d)', (at) => {
    expect(spawnSync('bash', ['-n'], { input: scriptOf(at, 2, "/a 'cache") })).toMatchObject({ status: 0 });
  });

  it('runs the control plane on the first node only', () => {
    const started = (script: string): readonly string[] => [...script.matchAll(/^start (\S+)/gm)].map(([, name]) => name ?? '');
    const workers = ['containerd', 'kubelet', 'kube-proxy'];
    expect(started(scriptOf(0))).toEqual(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', ...workers]);
    expect(started(scriptOf(1))).toEqual(workers);
    expect(started(scriptOf(0, 0))).toEqual(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler']);
  });

  it('has the sandbox’s image before kubelet, and tells when all are there', () => {
    const lines = scriptOf(1).split('\n');
    const at = (start: string): number => lines.findIndex((line) => line.startsWith(start));
    expect(at('import /i/pause.tar')).toBeLessThan(at('start kubelet'));
    expect(lines.at(at('import /i/app.tar'))).toBe('import /i/app.tar && : >/cache/clusters/weft0/node2/images-ready');
  });

  it('writes nothing of the machine: sysctls are shadowed, directories copied, unless its own state is in one', () => {
    const script = scriptOf(0);
    for (const name of Object.keys(SHADOWED_SYSCTLS)) expect(script).toContain(` /proc/sys/${name}`);
    expect(script).toContain('lowerdir=/var/lib,');
    expect(scriptOf(0, 1, '/var/lib/weft')).not.toContain('lowerdir=/var/lib,');
  });

  it.each([
    ['plain', 'plain'],
    ['--a=b,c:/d', '--a=b,c:/d'],
    ['two words', "'two words'"],
    ["it's", String.raw`'it'\''s'`],
    ['$(id)', "'$(id)'"],
    ['*', "'*'"],
  ])('quotes %s as %s', (word, quoted) => {
    expect(quote(word)).toBe(quoted);
    expect(spawnSync('sh', ['-c', `printf %s ${quoted}`]).stdout.toString()).toBe(word);
  });
});

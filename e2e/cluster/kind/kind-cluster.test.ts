// SPDX-License-Identifier: Apache-2.0
/*
 * What the provider says to `kind`, `docker` and `kubectl`: stand-ins on the PATH write down how they were called and answer what the real ones
 * (kind 0.33, Docker 28) print.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCluster } from '../cluster.ts';
import { kindCreation, removeKindCluster } from './kind-cluster.ts';

let home: string;

/** The answers, by the first words of the call. A stand-in fails where no answer fits. */
const RECORDED: Readonly<Record<string, string>> = {
  'kind create cluster': '',
  'kind load image-archive': '',
  'kind delete cluster': '',
  'docker kill': 'weft3-worker\n',
  'docker network inspect kind': '[{"Subnet":"fc00:f853:ccd:e793::/64"},{"Subnet":"172.18.0.0/16","Gateway":"172.18.0.1"}]\n',
  kubectl: `${JSON.stringify({
    items: ['weft3-control-plane', 'weft3-worker'].map((name, at) => ({
      metadata: { name, labels: { 'topology.kubernetes.io/zone': `zone-${at + 1}` } },
      status: {
        addresses: [
          { type: 'InternalIP', address: `172.18.0.${at + 2}` },
          { type: 'Hostname', address: name },
        ],
      },
    })),
  })}\n`,
};

function standIns(clusters: string, failing?: string): void {
  const answers = { ...RECORDED, 'kind get clusters': clusters };
  for (const name of ['kind', 'docker', 'kubectl']) {
    const cases = Object.entries(answers)
      .filter(([call]) => call.split(' ')[0] === name)
      .map(([call, answer]) => `  '${call}'*) ${call === failing ? 'echo boom >&2; exit 1' : `cat <<'END'\n${answer}END\n`};;\n`);
    const script = `#!/bin/sh\necho "${name} $*" >> '${home}/calls'\ncase "${name} $*" in\n${cases.join('')}  *) exit 64;;\nesac\n`;
    writeFileSync(join(home, 'bin', name), script);
    chmodSync(join(home, 'bin', name), 0o755);
  }
}

const calls = (): readonly string[] =>
  readFileSync(join(home, 'calls'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.replaceAll(home, 'HOME'));

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'kind-'));
  mkdirSync(join(home, 'bin'));
  vi.stubEnv('PATH', `${join(home, 'bin')}:${process.env.PATH}`);
  vi.stubEnv('WEFT_CACHE', home);
  vi.stubEnv('WEFT_KIND_NODE_IMAGE', 'kindest/node:v1.37.0');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

describe('the kind provider', () => {
  it('creates a cluster, loads images, runs in nodes, kills one, removes it', async () => {
    standIns('No kind clusters found.\n');
    const cluster = await createCluster({ provider: 'kind', nodes: 2, ipFamily: 'dual', index: 3, images: ['test.tar'] });
    const directory = 'HOME/clusters/kind-weft3';
    expect(cluster).toMatchObject({ name: 'weft3', provider: 'kind', hostAddress: '172.18.0.1' });
    expect(cluster.nodes).toEqual([
      { name: 'weft3-control-plane', zone: 'zone-1', addresses: ['172.18.0.2'] },
      { name: 'weft3-worker', zone: 'zone-2', addresses: ['172.18.0.3'] },
    ]);
    expect(cluster.nodeCommand('weft3-worker', ['ip', 'address'])).toEqual(['docker', 'exec', '-i', 'weft3-worker', 'ip', 'address']);
    expect(() => cluster.nodeCommand('other', ['ip'])).toThrow('weft3 has no node other');
    await cluster.loadImages(['a.tar', 'b.tar']);
    await cluster.killNode('weft3-worker');
    standIns('weft3\n');
    await cluster.destroy();
    expect(calls()).toEqual([
      'kind get clusters',
      `kind create cluster --name weft3 --config ${directory}/kind.json --kubeconfig ${directory}/kubeconfig --wait 180s --image kindest/node:v1.37.0`,
      `kubectl --kubeconfig ${directory}/kubeconfig get nodes -o json`,
      'docker network inspect kind --format {{json .IPAM.Config}}',
      'kind load image-archive test.tar --name weft3',
      'kind load image-archive a.tar --name weft3',
      'kind load image-archive b.tar --name weft3',
      'docker kill weft3-worker',
      'kind get clusters',
      `kind delete cluster --name weft3 --kubeconfig ${directory}/kubeconfig`,
    ]);
  });

  it('asks for every node to take pods, with zones, in the families asked for', () => {
    const { configuration } = kindCreation({ index: 0, nodes: 3, ipFamily: 'dual' });
    expect(configuration).toMatchObject({
      networking: { ipFamily: 'dual' },
      kubeadmConfigPatches: [expect.stringContaining('taints: []')],
      nodes: [
        { role: 'control-plane', labels: { 'topology.kubernetes.io/zone': 'zone-1' } },
        { role: 'worker', labels: { 'topology.kubernetes.io/zone': 'zone-2' } },
        { role: 'worker', labels: { 'topology.kubernetes.io/zone': 'zone-3' } },
      ],
    });
  });

  it('removes what a creation that failed has left', async () => {
    standIns('weft3\n', 'kind create cluster');
    await expect(createCluster({ provider: 'kind', nodes: 1, ipFamily: 'ipv4', index: 3 })).rejects.toThrow('boom');
    expect(calls().map((call) => call.split(' ').slice(0, 3).join(' '))).toEqual([
      'kind get clusters',
      'kind get clusters',
      'kind delete cluster',
      'kind create cluster',
      'kind get clusters',
      'kind delete cluster',
    ]);
  });

  it('leaves a kept cluster alone, and removes none that is not there', async () => {
    standIns('weft3\n');
    mkdirSync(join(home, 'clusters/kind-weft3'), { recursive: true });
    writeFileSync(join(home, 'clusters/kind-weft3/kept'), '');
    await expect(createCluster({ provider: 'kind', nodes: 1, ipFamily: 'ipv4', index: 3 })).rejects.toThrow('is up and kept');
    standIns('other\n');
    expect(await removeKindCluster(3)).toBe(false);
    expect(calls().filter((call) => call.startsWith('kind delete'))).toEqual([]);
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * Everything that the charts render, given to a real API server in server-side dry runs: on an empty cluster, and over an installation with
 * the default values, as an upgrade would. No field that cannot be changed may depend on a value.
 */
import { spawnSync } from 'node:child_process';
import { renderObjects, type Dictionary } from '@weft/chart';
import { chartOf, CNI_SETS, CONTROL_PLANE_SETS, CRD_SETS, valuesOf, type ValueSet } from '@weft/chart/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCluster, type Cluster } from '../cluster/cluster.ts';

/** Beside the clusters of other suites. */
const CLUSTER_INDEX = 3;

let cluster: Cluster;

/** Runs kubectl with objects on its standard input; throws what it said where it failed. */
function kubectl(args: readonly string[], objects?: readonly Dictionary[]): string {
  const list = objects === undefined ? undefined : JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
  const { status, stdout, stderr } = spawnSync(cluster.kubectl, ['--kubeconfig', cluster.kubeconfig, ...args], {
    encoding: 'utf8',
    input: list,
  });
  if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout + stderr;
}

function apply(objects: readonly Dictionary[], ...more: readonly string[]): string {
  return kubectl(['apply', '--server-side', '--force-conflicts', ...more, '-f', '-'], objects);
}

/** What the API server warns of when it is given objects in a dry run; throws where it refuses them. */
function warningsAbout(objects: readonly Dictionary[]): string[] {
  // The certificates of the tests are none.
  return apply(objects, '--dry-run=server')
    .split('\n')
    .filter((line) => line.startsWith('Warning') && !line.includes('x509: malformed certificate'));
}

/** The objects of a set, without the kinds of the Prometheus operator, which is not there. */
function objectsOf(chartName: 'weft-crds' | 'weft-control-plane' | 'weft-cni', set: ValueSet): Dictionary[] {
  const chart = chartOf(chartName);
  const objects = renderObjects(chart, { values: valuesOf(chart, set), release: { name: 'mesh', namespace: set.namespace ?? 'linkerd' } });
  return objects.filter((object) => object['kind'] !== 'PodMonitor');
}

const NAMESPACES = ['linkerd', 'linkerd-cni', 'mesh-system', 'linkerd-viz'];

beforeAll(async () => {
  cluster = await createCluster({ provider: 'local', nodes: 0, ipFamily: 'dual', index: CLUSTER_INDEX });
  const namespaces = NAMESPACES.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  apply(namespaces);
});
afterAll(async () => cluster?.destroy());

describe('on an empty cluster', () => {
  it.each(CRD_SETS.map((set) => [set.name, set] as const))('[CH-01] weft-crds is accepted: %s', (_, set) => {
    expect(warningsAbout(objectsOf('weft-crds', set))).toEqual([]);
  });

  it.each(CNI_SETS.map((set) => [set.name, set] as const))('[CH-08] weft-cni is accepted: %s', (_, set) => {
    expect(warningsAbout(objectsOf('weft-cni', set))).toEqual([]);
  });
});

describe('over an installation with the default values', () => {
  beforeAll(() => {
    apply(objectsOf('weft-crds', { name: '', values: { installGatewayAPI: true } }));
    apply(objectsOf('weft-control-plane', { name: '', values: {} }));
    apply(objectsOf('weft-cni', { name: '', values: {}, namespace: 'linkerd-cni' }));
  });

  it.each(CONTROL_PLANE_SETS.map((set) => [set.name, set] as const))('[CH-02] weft-control-plane can become: %s', (_, set) => {
    expect(warningsAbout(objectsOf('weft-control-plane', set))).toEqual([]);
  });

  it.each(CNI_SETS.map((set) => [set.name, set] as const))('[CH-08] weft-cni can become: %s', (_, set) => {
    expect(warningsAbout(objectsOf('weft-cni', { ...set, namespace: 'linkerd-cni' }))).toEqual([]);
  });

  it('[NET-16] with the CNI plugin the namespace may enforce the restricted profile, without it it may not', () => {
    const enforce = (profile: string): string =>
      kubectl(['label', 'namespace', 'linkerd', `pod-security.kubernetes.io/enforce=${profile}`, '--overwrite']);
    const warnings = (cniEnabled: boolean): string[] =>
      warningsAbout(objectsOf('weft-control-plane', { name: '', values: { cniEnabled } }));
    enforce('restricted');
    expect(warnings(true)).toEqual([]);
    expect(warnings(false).join()).toContain('NET_ADMIN');
    enforce('privileged');
    expect(warnings(false)).toEqual([]);
  });
});

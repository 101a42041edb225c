// SPDX-License-Identifier: Apache-2.0
import {
  createMemorySource,
  DaemonSetKind,
  DeploymentKind,
  EndpointSliceKind,
  type EndpointSlice,
  JobKind,
  type LocalSource,
  type Pod,
  PodKind,
  ReplicaSetKind,
  type ResourceInput,
  ServiceKind,
  StatefulSetKind,
} from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { WorkloadControllers } from './workloads.ts';

/** Passes after which nothing may change any more. */
const MAX_PASSES = 20;
const NS = 'shop';
const TEMPLATE = {
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'web', command: ['web'], ports: [{ containerPort: 80 }] }] },
};

/** Controllers over a world in memory, and a kubelet that only says what it is told to. */
class World {
  readonly source: LocalSource = createMemorySource();
  readonly refused: string[] = [];
  private readonly controllers: WorkloadControllers;
  private nextAddress = 2;

  constructor() {
    let seed = 1;
    this.controllers = new WorkloadControllers({
      store: this.source.store,
      nodeName: 'weft-host',
      proxy: {
        command: ['proxy'],
        trustAnchorsPem: 'anchors',
        trustDomain: 'cluster.local',
        clusterDomain: 'cluster.local',
        podsDirectory: '/pods',
        extraEnv: {},
      },
      random: () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647,
      onRefused: (message) => this.refused.push(message),
    });
  }

  add(kind: Parameters<LocalSource['store']['create']>[0], name: string, spec: Record<string, unknown>): void {
    const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
    this.source.store.create(kind, { apiVersion, kind: kind.kind, metadata: { name, namespace: NS }, spec } as ResourceInput);
    this.settle();
  }

  edit(kind: Parameters<LocalSource['store']['create']>[0], name: string, spec: Record<string, unknown>): void {
    this.source.store.patch(kind, NS, name, { spec });
    this.settle();
  }

  settle(): void {
    for (let pass = 0; this.controllers.reconcile(); pass++) if (pass > MAX_PASSES) throw new Error('the controllers do not come to rest');
  }

  get all(): Pod[] {
    return this.source.store.list(PodKind) as Pod[];
  }

  get live(): Pod[] {
    return this.all.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  /** The kubelet: gives a pod its address and says what became of it. */
  report(pod: Pod, phase: string, isReady: boolean): void {
    const podIP = pod.status?.podIP ?? `10.244.0.${this.nextAddress++}`;
    const status = { phase, podIP, conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] };
    this.source.store.patchStatus(PodKind, NS, pod.metadata.name, { status });
    this.settle();
  }

  makeAllReady(): void {
    for (const pod of this.live) this.report(pod, 'Running', true);
  }

  /** The kubelet: processes of deleted pods have ended. */
  finishDeleted(): void {
    for (const pod of this.all.filter(({ metadata }) => metadata.deletionTimestamp !== undefined)) {
      this.source.store.patch(PodKind, NS, pod.metadata.name, { metadata: { finalizers: [] } });
    }
    this.settle();
  }
}

const selector = { matchLabels: { app: 'web' } };
const names = (pods: readonly Pod[]): string[] => pods.map(({ metadata }) => metadata.name).sort();

describe('Deployment', () => {
  it('makes injected pods by way of a ReplicaSet, and their endpoints', () => {
    const world = new World();
    world.add(ServiceKind, 'web', { selector: { app: 'web' }, ports: [{ name: 'http', port: 80 }] });
    world.add(DeploymentKind, 'web', { replicas: 2, selector, template: TEMPLATE });
    expect(world.live).toHaveLength(2);
    const [pod] = world.live;
    expect(pod?.metadata.labels).toMatchObject({
      app: 'web',
      'linkerd.io/control-plane-ns': 'linkerd',
      'linkerd.io/proxy-deployment': 'web',
    });
    expect(pod?.spec?.initContainers?.map(({ name }) => name)).toEqual(['linkerd-proxy']);
    expect(pod?.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'ReplicaSet', controller: true });
    world.makeAllReady();
    const [slice] = world.source.store.list(EndpointSliceKind) as EndpointSlice[];
    expect(slice?.endpoints?.map(({ conditions }) => conditions?.ready)).toEqual([true, true]);
    expect(world.source.store.get(DeploymentKind, NS, 'web').status).toMatchObject({ replicas: 2, readyReplicas: 2, updatedReplicas: 2 });
    expect(world.refused).toEqual([]);
  });

  it('rolls an edited template out without losing a ready pod, and rolls back to the old ReplicaSet', () => {
    const world = new World();
    world.add(DeploymentKind, 'web', { replicas: 2, selector, template: TEMPLATE });
    world.makeAllReady();
    const restarted = { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } } } };
    const before = names(world.live);
    world.edit(DeploymentKind, 'web', restarted);
    expect(world.live).toHaveLength(3);
    for (let step = 0; step < 4; step++) {
      const fresh = world.live.filter(({ metadata, status }) => !before.includes(metadata.name) && status?.podIP === undefined);
      for (const pod of fresh) world.report(pod, 'Running', true);
      expect(world.live.filter(({ status }) => status?.podIP !== undefined).length).toBeGreaterThanOrEqual(2);
      expect(world.live.length).toBeLessThanOrEqual(3);
      world.finishDeleted();
    }
    expect(world.live).toHaveLength(2);
    expect(names(world.live).some((name) => before.includes(name))).toBe(false);
    expect(world.source.store.list(ReplicaSetKind)).toHaveLength(2);
    world.edit(DeploymentKind, 'web', { template: { metadata: { annotations: null } } });
    expect(world.source.store.list(ReplicaSetKind)).toHaveLength(2);
  });

  it('takes away what serves nobody first when it shrinks, and everything when it goes', () => {
    const world = new World();
    world.add(DeploymentKind, 'web', { replicas: 3, selector, template: TEMPLATE });
    const [first, second] = world.live;
    if (first === undefined || second === undefined) throw new Error('no pods');
    world.report(first, 'Running', true);
    world.report(second, 'Running', true);
    world.edit(DeploymentKind, 'web', { replicas: 2 });
    expect(names(world.live)).toEqual(names([first, second]));
    world.source.store.delete(DeploymentKind, NS, 'web');
    world.settle();
    expect(world.live).toEqual([]);
    // Until their processes have ended they are still to be seen.
    expect(world.all).toHaveLength(3);
    world.finishDeleted();
    expect(world.all).toEqual([]);
  });
});

describe('[LB-07] StatefulSet', () => {
  it('makes named pods one after the other and replaces them from the last', () => {
    const world = new World();
    world.add(StatefulSetKind, 'db', { replicas: 2, serviceName: 'db', selector, template: TEMPLATE });
    expect(names(world.live)).toEqual(['db-0']);
    world.makeAllReady();
    expect(names(world.live)).toEqual(['db-0', 'db-1']);
    expect(world.live[1]?.spec).toMatchObject({ hostname: 'db-1', subdomain: 'db' });
    world.makeAllReady();
    world.edit(StatefulSetKind, 'db', { template: { metadata: { annotations: { changed: 'yes' } } } });
    expect(names(world.live)).toEqual(['db-0']);
    world.finishDeleted();
    expect(names(world.live)).toEqual(['db-0', 'db-1']);
    world.makeAllReady();
    expect(names(world.live)).toEqual(['db-1']);
    world.finishDeleted();
    world.makeAllReady();
    expect(world.live.every(({ metadata }) => metadata.annotations['changed'] === 'yes')).toBe(true);
    world.edit(StatefulSetKind, 'db', { replicas: 1 });
    expect(names(world.live)).toEqual(['db-0']);
  });
});

describe('Job and DaemonSet', () => {
  const job = { ...TEMPLATE, spec: { ...TEMPLATE.spec, restartPolicy: 'Never' } };

  it('runs as many pods of a job as it needs, again after a failure', () => {
    const world = new World();
    world.add(JobKind, 'once', { completions: 2, parallelism: 1, template: job });
    const next = (phase: string): void => {
      const pod = world.live.find(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed');
      if (pod === undefined) throw new Error('no active pod');
      world.report(pod, phase, false);
    };
    next('Succeeded');
    next('Failed');
    next('Succeeded');
    expect(world.live).toHaveLength(3);
    expect(world.source.store.get(JobKind, NS, 'once').status).toMatchObject({
      active: 0,
      succeeded: 2,
      failed: 1,
      conditions: [{ type: 'Complete' }],
    });
  });

  it('gives a job up after its limit of failures', () => {
    const world = new World();
    world.add(JobKind, 'never', { backoffLimit: 0, template: job });
    for (const pod of world.live) world.report(pod, 'Failed', false);
    expect(world.live).toHaveLength(1);
    expect(world.source.store.get(JobKind, NS, 'never').status).toMatchObject({ failed: 1, conditions: [{ type: 'Failed' }] });
  });

  it('keeps one pod of a DaemonSet and replaces it when its template changes', () => {
    const world = new World();
    world.add(DaemonSetKind, 'agent', { selector, template: TEMPLATE });
    const before = names(world.live);
    expect(before).toHaveLength(1);
    world.edit(DaemonSetKind, 'agent', { template: { metadata: { annotations: { changed: 'yes' } } } });
    expect(world.live).toEqual([]);
    world.finishDeleted();
    expect(world.live).toHaveLength(1);
    expect(names(world.live)).not.toEqual(before);
  });
});

it('injects a pod that stands alone, and marks opaque ports of services', () => {
  const world = new World();
  world.add(PodKind, 'alone', { containers: [{ name: 'a', command: ['a'] }] });
  expect(world.live[0]?.spec).toMatchObject({ nodeName: 'weft-host', initContainers: [{ name: 'linkerd-proxy' }] });
  world.add(ServiceKind, 'redis', { selector: { app: 'redis' }, ports: [{ port: 6379 }] });
  expect(world.source.store.get(ServiceKind, NS, 'redis').metadata.annotations).toEqual({ 'config.linkerd.io/opaque-ports': '6379' });
});

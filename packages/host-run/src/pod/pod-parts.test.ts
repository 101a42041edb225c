// SPDX-License-Identifier: Apache-2.0
import type { Pod } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { expand, resolveEnvironment } from './environment.ts';
import { type ContainerView, podStatus, type PodView } from './pod-status.ts';
import { ProbeState, probeTiming } from './probe-state.ts';
import { MAX_DELAY_MS, RESET_AFTER_MS, RestartBackoff } from './restart-backoff.ts';

describe('environment', () => {
  const pod = {
    metadata: { name: 'web-1', namespace: 'shop', uid: 'u1', labels: { app: 'web' }, annotations: {} },
    spec: { nodeName: 'host', serviceAccountName: 'web' },
    status: { podIP: '10.244.0.2', podIPs: [{ ip: '10.244.0.2' }, { ip: 'fd00::2' }] },
  } as unknown as Pod;
  const field = (fieldPath: string): unknown => ({ fieldRef: { fieldPath } });
  const sources = {
    configMap: (_namespace: string, name: string) => (name === 'c' ? ({ data: { k: 'from map' } } as never) : undefined),
    secret: (_namespace: string, name: string) => (name === 's' ? ({ data: { k: 'aGlkZGVu' } } as never) : undefined),
  };

  it.each([
    ['$(A)-$(B)', 'a-$(B)'],
    ['$$(A)', '$(A)'],
    ['$A $() $(', '$A $() $('],
  ])('expands %s to %s', (text, wanted) => {
    expect(expand(text, new Map([['A', 'a']]))).toBe(wanted);
  });

  it('takes values from the pod, from maps and secrets, and from earlier variables', () => {
    const values = resolveEnvironment(
      {
        envFrom: [
          { prefix: 'C_', configMapRef: { name: 'c' } },
          { secretRef: { name: 's' } },
          { secretRef: { name: 'x', optional: true } },
        ],
        env: [
          { name: 'POD', valueFrom: field('metadata.name') },
          { name: 'IPS', valueFrom: field('status.podIPs') },
          { name: 'APP', valueFrom: field("metadata.labels['app']") },
          { name: 'BOTH', value: '$(POD)/$(APP)' },
          { name: 'MAP', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } },
          { name: 'SECRET', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
          { name: 'ABSENT', valueFrom: { secretKeyRef: { name: 'x', key: 'k', optional: true } } },
        ],
      },
      pod,
      sources,
    );
    expect(Object.fromEntries(values)).toEqual({
      POD: 'web-1',
      IPS: '10.244.0.2,fd00::2',
      APP: 'web',
      BOTH: 'web-1/web',
      MAP: 'from map',
      SECRET: 'hidden',
      C_k: 'from map',
      k: 'hidden',
    });
  });

  it.each([{ configMapKeyRef: { name: 'x', key: 'k' } }, field('spec.unknown'), { resourceFieldRef: {} }])('refuses %j', (valueFrom) => {
    expect(() => resolveEnvironment({ env: [{ name: 'BAD', valueFrom }] }, pod, sources)).toThrow('variable BAD');
  });
});

describe('probe verdicts', () => {
  const run = (results: string, thresholds: { successThreshold?: number; failureThreshold?: number }, initial?: boolean): string => {
    const state = new ProbeState(probeTiming(thresholds), initial);
    return [...results.matchAll(/./g)]
      .map(([result]) => (state.record(result === '+') ? (state.verdict === true ? 'T' : 'F') : '.'))
      .join('');
  };
  it.each([
    ['one success is enough by default', '+', {}, undefined, 'T'],
    ['three failures in a row are needed by default', '--+---', {}, true, '.....F'],
    ['a verdict is told once', '++++', {}, undefined, 'T...'],
    ['successes in a row where asked for', '+-++', { successThreshold: 2 }, false, '...T'],
    ['failing and back', '---+', {}, true, '..FT'],
  ] as const)('%s', (_title, results, thresholds, initial, wanted) => {
    expect(run(results, thresholds, initial)).toBe(wanted);
  });
});

describe('RestartBackoff', () => {
  it('doubles to its limit and forgets after a long run', () => {
    const backoff = new RestartBackoff();
    expect([0, 0, 0, 0, 0, 0, 0, 0].map((ranMs) => backoff.delayAfter(ranMs))).toEqual([
      1000,
      2000,
      4000,
      8000,
      16_000,
      32_000,
      MAX_DELAY_MS,
      MAX_DELAY_MS,
    ]);
    expect(backoff.delayAfter(RESET_AFTER_MS)).toBe(1000);
  });
});

describe('podStatus', () => {
  const container = (traits: Partial<ContainerView>): ContainerView => ({
    status: { name: 'c', ready: false },
    isReady: false,
    isEnded: false,
    hasFailed: false,
    ...traits,
  });
  const view = (traits: Partial<PodView>): PodView => ({
    address: '10.244.0.2',
    hostAddress: '10.244.0.1',
    isInitialized: true,
    containers: [container({ isReady: true })],
    initContainers: [],
    sidecars: [],
    ...traits,
  });
  const sidecar = container({});
  it.each([
    ['ready', {}, 'Running', 'True'],
    ['not initialized', { isInitialized: false }, 'Pending', 'False'],
    ['a sidecar that is not ready', { sidecars: [sidecar], initContainers: [sidecar] }, 'Running', 'False'],
    ['all ended well', { containers: [container({ isEnded: true })] }, 'Succeeded', 'False'],
    ['one failed for good', { containers: [container({ isEnded: true, hasFailed: true })] }, 'Failed', 'False'],
    ['an init container failed', { isInitialized: false, initContainers: [container({ hasFailed: true })] }, 'Failed', 'False'],
  ])('%s', (_title, traits, phase, ready) => {
    const status = podStatus(view(traits));
    expect([status.phase, status.conditions?.find(({ type }) => type === 'Ready')?.status]).toEqual([phase, ready]);
  });
});

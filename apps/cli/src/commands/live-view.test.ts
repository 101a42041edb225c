// SPDX-License-Identifier: Apache-2.0
import type { TrafficSummary } from '@weft/host-run';
import { describe, expect, it } from 'vitest';
import { plainView, screenView, type ViewState } from './live-view.ts';

const SUMMARY: TrafficSummary = {
  seconds: 10,
  failures: 0,
  workloads: [
    {
      name: 'shop/web',
      route: '',
      backend: '',
      requests: 10,
      failures: 0,
      successRate: 1,
      requestsPerSecond: 1,
      p50Ms: 1,
      p95Ms: 2,
      p99Ms: 3,
      open: 1,
      mtlsShare: 1,
    },
  ],
  routes: [],
  tcp: [],
};
const STATE: ViewState = { name: 'demo', pods: 3, readyPods: 2, problems: ['web.yaml:7: spec: wrong'], logs: '/logs' };

describe('screen', () => {
  it('shows pods, traffic, manifests not in force and the latest events, never the lines of containers', () => {
    let screen = '';
    const view = screenView((text) => (screen = text));
    for (let count = 1; count <= 9; count++) view.onEvent(`event ${count}`);
    view.onLine('shop/web web', 'a line');
    view.update(SUMMARY, STATE);
    expect(screen).toContain('weft run demo: 2 of 3 pods ready');
    expect(screen).toMatch(/shop\/web +100% +1\.0 +1\.0ms +2\.0ms +3\.0ms +1 +100%/);
    expect(screen).toContain('web.yaml:7: spec: wrong');
    expect(screen).toContain('event 9');
    expect(screen).not.toContain('event 1\n');
    expect(screen).not.toContain('a line');
  });
});

describe('plain lines', () => {
  it('gives a summary with every tenth reading', () => {
    let text = '';
    const view = plainView((more) => (text += more), true);
    for (let count = 0; count < 9; count++) view.update(SUMMARY, STATE);
    expect(text).toBe('');
    view.update(SUMMARY, STATE);
    expect(text).toContain('2 of 3 pods ready\nWORKLOAD');
    view.onLine('shop/web web', 'a line');
    expect(text).toContain('[shop/web web] a line\n');
  });

  it('leaves the summaries out for programs', () => {
    let text = '';
    const view = plainView((more) => (text += more), false);
    for (let count = 0; count < 20; count++) view.update(SUMMARY, STATE);
    expect(text).toBe('');
  });
});

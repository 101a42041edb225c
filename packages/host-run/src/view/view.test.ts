// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseSamples } from './prometheus-text.ts';
import { formatSummary, formatTable, summarise } from './summary.ts';
import { TrafficMonitor } from './traffic-monitor.ts';
import { TrafficStats } from './traffic-stats.ts';

describe('parseSamples', () => {
  it('reads names, labels with escapes, and values', () => {
    const text = '# HELP a b\na 1\nb{x="1",y="a\\"b\\\\c\\nd"} 2.5 \nbroken{\nc{x="1"} NaN\nd{le="+Inf"} +Inf\nskipped 3\n# EOF\n';
    expect(
      parseSamples(text.replace(' \n', '\n'), (name) => name !== 'skipped').map(({ name, labels, value }) => [name, labels, value]),
    ).toEqual([
      ['a', {}, 1],
      ['b', { x: '1', y: 'a"b\\c\nd' }, 2.5],
    ]);
  });
});

describe('TrafficStats', () => {
  it('interpolates quantiles in cumulative buckets', () => {
    const stats = new TrafficStats();
    for (const [bound, count] of [
      [1, 50],
      [10, 90],
      [100, 100],
      [Infinity, 100],
    ] as const)
      stats.addBucket(bound, count);
    expect(stats.quantileMs(0.5)).toBe(1);
    expect(stats.quantileMs(0.7)).toBeCloseTo(5.5);
    expect(stats.quantileMs(0.99)).toBeCloseTo(91);
    expect(new TrafficStats().quantileMs(0.5)).toBeUndefined();
  });

  it('gives the last finite bound for what is above it', () => {
    const stats = new TrafficStats();
    stats.addBucket(100, 0);
    stats.addBucket(Infinity, 5);
    expect(stats.quantileMs(0.5)).toBe(100);
  });
});

describe('TrafficMonitor', () => {
  const inbound = 'direction="inbound",target_port="8080",route_name="default"';
  const route =
    'parent_namespace="shop",parent_name="web",parent_port="80",route_name="canary",backend_namespace="shop",backend_name="web-v1"';
  const metrics = (requests: number, failures: number, open: number): string =>
    [
      `request_total{${inbound},tls="true"} ${requests}`,
      `request_total{direction="inbound",target_port="4191",route_name="default",tls="no_identity"} 99`,
      `request_total{direction="inbound",target_port="8080",route_name="probe",tls="no_identity"} 99`,
      `response_total{${inbound},classification="success",tls="true"} ${requests - failures}`,
      `response_total{${inbound},classification="failure",tls="true"} ${failures}`,
      `response_latency_ms_bucket{${inbound},le="1"} ${requests}`,
      `response_latency_ms_bucket{${inbound},le="+Inf"} ${requests}`,
      `tcp_open_connections{direction="inbound",peer="src",target_port="8080",tls="true"} ${open}`,
      `outbound_http_route_backend_response_statuses_total{${route},http_status="200",error=""} ${requests - failures}`,
      `outbound_http_route_backend_response_statuses_total{${route},http_status="503",error=""} ${failures}`,
      `outbound_http_route_request_statuses_total{parent_name="web",http_status="503",error=""} ${failures}`,
      `outbound_grpc_route_request_statuses_total{parent_name="feed",grpc_status="OK",error=""} 5`,
      `outbound_tcp_route_open_total{parent_namespace="shop",parent_name="db",parent_port="6379"} 2`,
      `outbound_tcp_route_close_total{parent_namespace="shop",parent_name="db",parent_port="6379",error=""} 1`,
    ].join('\n');
  const pod = { uid: 'u', ip: '10.244.0.2', workload: 'shop/web' };

  it('counts what has grown since the last reading, and levels as they are', async () => {
    const texts = [metrics(100, 0, 7), metrics(130, 2, 3)];
    const monitor = new TrafficMonitor(() => Promise.resolve(texts.shift() ?? ''));
    await monitor.update([pod], 0);
    monitor.startTotal(0);
    await monitor.update([pod], 1000);
    const { tables, spanMs } = monitor.total(1000);
    const summary = summarise(tables, spanMs, monitor.failures);
    expect(summary).toMatchObject({
      seconds: 1,
      failures: 2,
      workloads: [{ name: 'shop/web', requests: 30, failures: 2, requestsPerSecond: 30, mtlsShare: 1, open: 3 }],
      routes: [{ name: 'shop/web:80', route: 'canary', backend: 'shop/web-v1', requests: 30, failures: 2 }],
    });
    expect(formatSummary(summary)).toContain('shop/web  93.33%   30.0');
  });

  it('counts a new pod from its beginning and forgets one that is gone', async () => {
    const monitor = new TrafficMonitor(() => Promise.resolve(metrics(10, 0, 1)));
    monitor.startTotal(0);
    await monitor.update([pod], 1000);
    await monitor.update([], 2000);
    await monitor.update([{ ...pod, uid: 'other' }], 3000);
    const { tables } = monitor.total(3000);
    expect(tables.workload.get('shop/web')?.requests).toBe(20);
    expect(tables.tcp.get('shop/db:6379')).toMatchObject({ connections: 4, successes: 2 });
  });

  it('does without a proxy that does not answer', async () => {
    const monitor = new TrafficMonitor(() => Promise.resolve(''));
    await monitor.update([pod], 0);
    expect(summarise(monitor.window.tables, 0, monitor.failures)).toEqual({ seconds: 0, failures: 0, workloads: [], routes: [], tcp: [] });
  });
});

it('formats columns as wide as their cells', () => {
  expect(formatTable(['A', 'LONG'], [['wide cell', 'x']])).toBe('A          LONG\nwide cell  x');
  expect(formatTable(['A'], [])).toBe('');
});

// SPDX-License-Identifier: Apache-2.0
/* Names that peers make up, where operators have asked for them as labels: escaped, cut, and a bounded number of them (bad-inputs, user asks 13). */
import type { Meta } from '@weft/routing';
import { MAX_LABEL_VALUE_LENGTH, MetricRegistry } from '@weft/telemetry';
import { describe, expect, it } from 'vitest';
import type { InboundClient } from '../inbound/client.ts';
import { SERVICE_META } from '../testing/policies.ts';
import { EndpointMetrics } from './endpoint-metrics.ts';
import { InboundMetrics } from './inbound-metrics.ts';
import { OutboundMetrics } from './outbound-metrics.ts';
import { TransportMetrics } from './transport-metrics.ts';

const ROUTE: Meta = { kind: 'default', name: 'http' };
const CLIENT: InboundClient = { ip: '10.0.0.1', port: 1, tls: { kind: 'tls', identity: 'a"b\\c\nd' } };
const TARGET = { ip: '10.1.0.2', port: 8080 };
const OUTCOME = { status: 200, error: undefined, isAborted: false, failure: undefined };

function open(maxSeries = 100) {
  const registry = new MetricRegistry({ maxSeries });
  const transport = new TransportMetrics(registry);
  const endpoints = new EndpointMetrics(registry);
  return {
    registry,
    inbound: new InboundMetrics(registry, transport, endpoints, true),
    outbound: new OutboundMetrics(registry, transport, endpoints, true),
  };
}

const LINE = /^(?:# .*|[a-z0-9_]+(?:\{(?:[a-z0-9_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? [-+0-9.eInf]+)?$/;

describe('labels from peers', () => {
  it('[MET-26] cannot break a line of the page, nor make it long', () => {
    const { registry, inbound } = open();
    for (const authority of ['a"} 1\nrequest_total{x="', '\\'.repeat(5000), 'x'.repeat(1_000_000), '\r\0\u2028']) {
      const { allow, endpoint } = inbound.allowedRequest(TARGET, {}, CLIENT, ROUTE, ROUTE, authority);
      allow.value += 1;
      endpoint.requests.value += 1;
      endpoint.latency(200, 3);
      endpoint.finished(OUTCOME, undefined, undefined);
    }
    const lines = registry.render().split('\n');
    expect(lines.filter((line) => !LINE.test(line))).toEqual([]);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(2 * MAX_LABEL_VALUE_LENGTH + 1000);
  });

  it('[MET-26] share what is beyond the limit of a family', () => {
    const { registry, inbound } = open(50);
    for (let i = 0; i < 5000; i++) inbound.allowedRequest(TARGET, {}, CLIENT, ROUTE, ROUTE, `host-${i}`).endpoint.requests.value += 1;
    const text = registry.render();
    expect(text.match(/^request_total\{/gm)).toHaveLength(50);
    expect(text).toMatch(/weft_metrics_series_overflow_total\{family="request_total"\} \d+/);
  });

  it('[MET-26] name a bounded number of hosts of a route, without port and in lower case', () => {
    const { registry, outbound } = open(2000);
    const series = outbound.routes.route(SERVICE_META, ROUTE, false);
    for (const host of ['Svc.Example.com:80', 'svc.example.com', 'svc.example.com:8080']) {
      series.finished(undefined, OUTCOME, undefined, undefined, 1, host);
    }
    expect(registry.render()).toMatch(
      /^outbound_http_route_request_statuses_total\{.*hostname="svc\.example\.com",http_status="200",error=""\} 3$/m,
    );
    for (let i = 0; i < 1000; i++) series.finished(undefined, OUTCOME, undefined, undefined, 1, `h${i}.${'y'.repeat(100_000)}`);
    const text = registry.render();
    expect(text.match(/^outbound_http_route_request_statuses_total\{/gm)).toHaveLength(101);
    expect(text).toMatch(/^outbound_http_route_request_statuses_total\{.*hostname="",http_status="200",error=""\} 901$/m);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(1000);
  });

  it('[MET-26] leave host names out unless they are asked for', () => {
    const registry = new MetricRegistry();
    const outbound = new OutboundMetrics(registry, new TransportMetrics(registry), new EndpointMetrics(registry));
    outbound.routes.route(SERVICE_META, ROUTE, false).finished(undefined, OUTCOME, undefined, undefined, 1, 'svc');
    outbound.tcpRoute('open', TARGET, SERVICE_META, ROUTE, '', 'secret.example.com');
    expect(registry.render()).not.toMatch(/hostname="[^"]/);
  });
});

describe('routes', () => {
  it('[MET-10] name what they could not do, without a status', () => {
    const registry = new MetricRegistry();
    const outbound = new OutboundMetrics(registry, new TransportMetrics(registry), new EndpointMetrics(registry));
    const series = outbound.routes.route(SERVICE_META, ROUTE, false);
    const count = (changes: object): void => series.finished(undefined, { ...OUTCOME, ...changes }, undefined, undefined, 1);
    count({ status: 504, error: { kind: 'failfast', message: '' } });
    count({ status: 503, error: { kind: 'load-shed', message: '' } });
    count({ status: 502, error: { kind: 'connect', message: '' } });
    count({ status: 301, error: { kind: 'redirect', message: '' } });
    for (const h2Code of [2, 7, 8, 11]) count({ isAborted: true, failure: { kind: 'reset', h2Code, isUnprocessed: false, message: '' } });
    count({ isAborted: true });
    count({ isAborted: true, failure: { kind: 'closed', h2Code: 0, isUnprocessed: false, message: '' } });
    const found = [
      ...registry.render().matchAll(/^outbound_http_route_request_statuses_total\{.*http_status="(\d*)",error="(\w*)"\} (\d+)/gm),
    ];
    expect(found.map(([, status, error, value]) => `${status} ${error} ${value}`)).toEqual([
      ' FAIL_FAST 1',
      ' LOAD_SHED 1',
      '502  1',
      '301  1',
      '200 RESET 1',
      '200 REFUSED 1',
      '200 CANCEL 2',
      '200 ENHANCE_YOUR_CALM 1',
      '200 IO 1',
    ]);
  });

  it('[MET-14] of TLS have families of their own', () => {
    const registry = new MetricRegistry();
    const outbound = new OutboundMetrics(registry, new TransportMetrics(registry), new EndpointMetrics(registry), true);
    outbound.tcpRoute('open', TARGET, SERVICE_META, ROUTE, '', 'Svc.example.com');
    outbound.tcpRoute('close', TARGET, SERVICE_META, ROUTE, 'forbidden', 'svc.example.com');
    outbound.tcpRoute('close', TARGET, SERVICE_META, ROUTE, 'unexpected');
    const text = registry.render();
    expect(text).toMatch(/^outbound_tls_route_open_total\{.*route_name="http",hostname="svc\.example\.com"\} 1$/m);
    expect(text).toMatch(/^outbound_tls_route_close_total\{.*hostname="svc\.example\.com",error="forbidden"\} 1$/m);
    expect(text).toMatch(/^outbound_tcp_route_close_total\{.*target_ip="10\.1\.0\.2",target_port="8080",error="unexpected"\} 1$/m);
  });
});

// SPDX-License-Identifier: Apache-2.0
/* Spans of running proxies at a collector that is itself in the mesh: linked over both proxies, exported by OTLP/gRPC under mTLS. */
import { fromBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExportTraceServiceRequestSchema } from '@weft/proto/otlp-collector';
import type { KeyValue } from '@weft/proto/otlp-common';
import { HostMesh, type PodView, until } from './mesh.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const B3_TRACE = '463ac35c9f6413ad48485a3953bb6124';
const PARENT = '00f067aa0ba902b7';

interface Seen {
  readonly trace: string;
  readonly id: string;
  readonly parent: string;
  readonly kind: number;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly resource: Readonly<Record<string, string | number>>;
}

let mesh: HostMesh;
let client: PodView;

beforeAll(async () => {
  mesh = await HostMesh.start({
    fixture: 'observe',
    name: 'traces',
    flags: [
      '--proxy-env',
      'LINKERD2_PROXY_TRACE_COLLECTOR_SVC_ADDR=collector.e2e.svc.cluster.local.:4317',
      'LINKERD2_PROXY_TRACE_COLLECTOR_SVC_NAME=collector.e2e.serviceaccount.identity.linkerd.cluster.local',
      'LINKERD2_PROXY_TRACE_SERVICE_NAME=shop',
      'LINKERD2_PROXY_TRACE_EXTRA_ATTRIBUTES=k8s.pod.name=$(_pod_name)',
    ],
  });
  client = await mesh.pod('e2e', 'client');
});
afterAll(() => mesh?.stop());

function attributesOf(list: readonly KeyValue[]): Record<string, string | number> {
  return Object.fromEntries(
    list.map(({ key, value }) => [key, typeof value?.value.value === 'bigint' ? Number(value.value.value) : String(value?.value.value)]),
  );
}

/** Spans of a trace that the collector has printed. */
async function spansOf(trace: string): Promise<readonly Seen[]> {
  const collector = await mesh.pod('e2e', 'collector');
  const spans: Seen[] = [];
  for (const line of mesh.log(collector, 'collector').split('\n')) {
    const text = /export \/opentelemetry\.proto\.collector\.trace\.v1\.TraceService\/Export (\S+)/.exec(line)?.[1];
    if (text === undefined) continue;
    for (const { resource, scopeSpans } of fromBinary(ExportTraceServiceRequestSchema, Buffer.from(text, 'base64')).resourceSpans) {
      for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
        const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
        if (hex(span.traceId) !== trace) continue;
        spans.push({
          trace,
          id: hex(span.spanId),
          parent: hex(span.parentSpanId),
          kind: span.kind,
          name: span.name,
          attributes: attributesOf(span.attributes),
          resource: attributesOf(resource?.attributes ?? []),
        });
      }
    }
  }
  return spans;
}

async function chainOf(trace: string): Promise<readonly Seen[]> {
  const spans = await until(`four spans of ${trace}`, async () => {
    const found = await spansOf(trace);
    return found.length >= 4 && found;
  });
  const chain: Seen[] = [];
  for (let parent = PARENT; chain.length < spans.length;) {
    const next = spans.find((span) => span.parent === parent);
    if (next === undefined) break;
    chain.push(next);
    parent = next.id;
  }
  return chain;
}

async function ask(headers: Readonly<Record<string, string>>): Promise<Readonly<Record<string, string>>> {
  const [answer] = await mesh.client<{ status?: number; body?: string }[]>(client, 'http1', {
    host: 'server',
    path: '/traced?a=b',
    headers,
  });
  expect(answer?.status).toBe(200);
  return (JSON.parse(answer?.body ?? '{}') as { headers: Record<string, string> }).headers;
}

describe('traces', () => {
  it('[TRC-01] [TRC-02] [TRC-03] link the spans of two proxies under the W3C context of the request', async () => {
    const seen = await ask({ traceparent: `00-${TRACE}-${PARENT}-01` });
    const chain = await chainOf(TRACE);
    expect(chain.map(({ kind, attributes }) => [attributes['direction'], kind])).toEqual([
      ['outbound', 2],
      ['outbound', 3],
      ['inbound', 2],
      ['inbound', 3],
    ]);
    expect(seen['traceparent']).toBe(`00-${TRACE}-${chain[3]?.id}-01`);
    expect(chain.map(({ name }) => name)).toEqual(['/traced', '/traced', '/traced', '/traced']);
    expect(chain[2]?.attributes).toMatchObject({
      'http.request.method': 'GET',
      'url.query': 'a=b',
      'http.response.status_code': 200,
      'network.transport': 'tcp',
    });
    const server = await mesh.pod('e2e', 'server');
    expect(chain[0]?.resource).toMatchObject({ 'service.name': 'shop', 'k8s.pod.name': client.name });
    expect(chain[3]?.resource).toMatchObject({ 'service.name': 'shop', 'k8s.pod.name': server.name });
  });

  it('[TRC-02] keep B3, and leave requests without a sampled context alone', async () => {
    const plain = await ask({});
    expect(plain['traceparent']).toBeUndefined();
    const seen = await ask({ 'x-b3-traceid': B3_TRACE, 'x-b3-spanid': PARENT, 'x-b3-sampled': '1' });
    const chain = await chainOf(B3_TRACE);
    expect(chain).toHaveLength(4);
    expect(seen['x-b3-spanid']).toBe(chain[3]?.id);
    expect(await spansOf(TRACE)).toHaveLength(4);
  });

  it('[MET-23] [TRC-01] count what is exported; a collector that is away holds up no request', async () => {
    await until('exports are counted', async () => (await mesh.metricsInside(client)).sum('opentelemetry_span_exports') >= 4);
    await mesh.patch('/apis/apps/v1/namespaces/e2e/deployments/collector', { spec: { replicas: 0 } });
    await mesh.untilPods('e2e', 'collector', 0);
    const results = await mesh.client<{ status?: number }[]>(client, 'http1', {
      host: 'server',
      count: 700,
      headers: { traceparent: `00-${TRACE}-${PARENT}-01` },
    });
    expect(results.filter(({ status }) => status !== 200)).toEqual([]);
    await until('drops are counted', async () => (await mesh.metricsInside(client)).sum('weft_opentelemetry_spans_dropped_total') > 0);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { fromBinary } from '@bufbuild/protobuf';
import { ExportTraceServiceRequestSchema } from '@weft/proto/otlp-collector';
import { Counter } from '@weft/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { ProxyRequestHead } from '../http/request-head.ts';
import { HTTP_1_1 } from '../http/types.ts';
import { Observation } from '../observe/observation.ts';
import { FakeChannel } from '../testing/fake-channel.ts';
import { MeshPair, REAL_CLOCK, SERVER_ID } from '../testing/mesh-pair.ts';
import { balanceBackend, endpointOf, inboundPolicyOf, outboundPolicyOf, targetOf } from '../testing/policies.ts';
import { resourceAttributes } from './resource-attributes.ts';
import { MAX_BATCH_SPANS, SpanExporter } from './span-exporter.ts';
import { type EndedSpan, Tracer } from './tracer.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

interface TracedMesh {
  readonly pair: MeshPair;
  readonly port: number;
  readonly spans: EndedSpan[];
  readonly seen: http.IncomingHttpHeaders[];
}

async function tracedMesh(): Promise<TracedMesh> {
  const seen: http.IncomingHttpHeaders[] = [];
  const app = http.createServer((request, response) => {
    seen.push(request.headers);
    response.writeHead(request.url?.startsWith('/fail') === true ? 503 : 200).end('ok');
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  closing.push(() => app.close());
  const appPort = (app.address() as AddressInfo).port;
  const spans: EndedSpan[] = [];
  const tracer = new Tracer({ ...REAL_CLOCK, wallClock: Date.now, sink: { add: (span) => void spans.push(span) } });
  const observe = new Observation(undefined, tracer);
  const pair = await MeshPair.open({ observe: { inbound: observe, outbound: observe } });
  closing.push(() => pair.close());
  const endpoint = endpointOf(appPort, {
    ip: '127.0.0.1',
    tls: { identity: SERVER_ID, serverName: SERVER_ID },
    protocolHint: 'h2',
    opaqueTransportPort: pair.inboundPort,
  });
  pair.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('svc.test:80')] }])));
  pair.discovery.setEndpoints('svc.test:80', [endpoint]);
  pair.discovery.port(appPort).set(inboundPolicyOf('detect'));
  return { pair, port: pair.outboundPort, spans, seen };
}

async function ask(port: number, path: string, headers: http.OutgoingHttpHeaders): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = http.get({ host: '127.0.0.1', port, path, agent: false, headers: { host: 'svc.test', ...headers } }, (response) => {
      response.resume();
      response.on('close', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
  });
}

describe('traces of two proxies', () => {
  it('[TRC-01] [TRC-02] have four spans for a hop, each the child of the one before', async () => {
    const { port, spans, seen } = await tracedMesh();
    expect(await ask(port, '/a?b=c', { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'k=v', 'user-agent': 'curl' })).toBe(200);
    expect(spans).toHaveLength(4);
    const find = (direction: string, kind: string): EndedSpan => {
      const found = spans.find(
        (span) => span.kind === kind && span.attributes.some(([name, value]) => name === 'direction' && value === direction),
      );
      if (found === undefined) throw new Error(`no ${direction} ${kind} span`);
      return found;
    };
    const chain = [find('outbound', 'server'), find('outbound', 'client'), find('inbound', 'server'), find('inbound', 'client')];
    expect(chain.map(({ parentId }) => parentId)).toEqual([SPAN, ...chain.slice(0, 3).map(({ spanId }) => spanId)]);
    expect(new Set(chain.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
    expect(seen[0]?.['traceparent']).toBe(`00-${TRACE}-${chain[3]?.spanId}-01`);
    expect(seen[0]?.['tracestate']).toBe('k=v');
  });

  it('[TRC-03] say what was asked, of whom, and what came of it', async () => {
    const { port, spans } = await tracedMesh();
    await ask(port, '/fail?x=y', {
      traceparent: `00-${TRACE}-${SPAN}-01`,
      host: 'svc.test:8080',
      'user-agent': 'curl',
      'content-type': 'text/plain',
    });
    const client = spans.find(({ kind, attributes }) => kind === 'client' && attributes.some(([, value]) => value === 'inbound'));
    expect(client?.name).toBe('/fail');
    expect(client?.isError).toBe(true);
    expect(Object.fromEntries(client?.attributes ?? [])).toEqual({
      direction: 'inbound',
      'http.request.method': 'GET',
      'url.scheme': 'http',
      'url.path': '/fail',
      'url.query': 'x=y',
      'url.full': 'http://svc.test:8080/fail?x=y',
      'network.transport': 'tcp',
      'server.address': 'svc.test',
      'server.port': 8080,
      'user_agent.original': 'curl',
      'http.request.header.content-type': 'text/plain',
      'http.request.header.l5d-orig-proto': 'HTTP/1.1',
      'http.response.status_code': 503,
    });
  });

  it('[TRC-02] are made of sampled requests alone, and of those that bring a context', async () => {
    const { port, spans, seen } = await tracedMesh();
    await ask(port, '/', {});
    await ask(port, '/', { traceparent: `00-${TRACE}-${SPAN}-00` });
    expect(spans).toEqual([]);
    expect(seen[0]?.['traceparent']).toBeUndefined();
    expect(seen[1]?.['traceparent']).toMatch(new RegExp(`^00-${TRACE}-(?!${SPAN})[0-9a-f]{16}-00$`));
  });

  it('[TRC-02] go on as B3 where they came as B3', async () => {
    const { port, spans, seen } = await tracedMesh();
    await ask(port, '/', { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1' });
    expect(spans).toHaveLength(4);
    expect(seen[0]?.['x-b3-spanid']).toBe(
      spans.find(({ kind, attributes }) => kind === 'client' && attributes[0]?.[1] === 'inbound')?.spanId,
    );
    expect(seen[0]?.['traceparent']).toBeUndefined();
  });
});

describe('a refused request', () => {
  it('[TRC-01] has a server span with the refusal', async () => {
    const { port, spans, pair } = await tracedMesh();
    pair.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('detect', [])));
    expect(await ask(port, '/', { traceparent: `00-${TRACE}-${SPAN}-01` })).toBe(404);
    expect(spans).toMatchObject([{ kind: 'server', parentId: SPAN }]);
    expect(Object.fromEntries(spans[0]?.attributes ?? [])['http.response.status_code']).toBe(404);
  });
});

describe('a span', () => {
  it('[TRC-03] does not give credentials away', () => {
    const head = new ProxyRequestHead({
      version: HTTP_1_1,
      method: 'GET',
      scheme: 'https',
      authority: 'user:secret@svc.test',
      isAuthorityInTarget: true,
      path: '/',
      fields: ['traceparent', `00-${TRACE}-${SPAN}-01`],
      bodyBytes: 0,
      isAbsoluteForm: true,
      upgrade: undefined,
      isOrigProto: false,
    });
    const spans: EndedSpan[] = [];
    const tracer = new Tracer({ now: () => 5, wallClock: () => 0, random: () => 0, sink: { add: (span) => void spans.push(span) } });
    tracer.begin(head, 'outbound', '10.0.0.1:80')?.end({ status: 200, error: undefined, isAborted: false, failure: undefined });
    expect(JSON.stringify(spans)).not.toContain('secret');
    expect(Object.fromEntries(spans[0]?.attributes ?? [])).toMatchObject({ 'url.full': 'https://svc.test/', 'server.port': 443 });
    expect(spans[0]?.spanId).toBe('0000000000000001');
  });
});

interface ExportWorld {
  readonly exporter: SpanExporter;
  readonly channel: FakeChannel;
  readonly exported: Counter;
  readonly dropped: Counter;
  /** Runs the timer that was started first of those that run. */
  readonly expire: () => void;
}

function exportWorld(): ExportWorld {
  const channel = new FakeChannel();
  const exported = new Counter();
  const dropped = new Counter();
  const timers = new Set<() => void>();
  const exporter = new SpanExporter({
    channel,
    resource: [['service.name', 'web']],
    version: '1',
    after: (_ms, callback) => {
      timers.add(callback);
      return () => void timers.delete(callback);
    },
    metrics: { streams: new Counter(), requests: new Counter(), exported, dropped },
    log: { debug: () => {} },
  });
  const expire = (): void => {
    for (const timer of timers) {
      timers.delete(timer);
      timer();
      return;
    }
  };
  return { exporter, channel, exported, dropped, expire };
}

const ENDED: EndedSpan = {
  traceId: TRACE,
  spanId: SPAN,
  parentId: SPAN,
  flags: 1,
  name: '/',
  kind: 'server',
  startMs: 1_700_000_000_000,
  durationMs: 1.5,
  attributes: [['server.port', 80]],
  isError: true,
};

describe('the exporter', () => {
  it('[TRC-01] sends spans in batches, one at a time', () => {
    const { exporter, channel, exported, dropped } = exportWorld();
    for (let i = 0; i < MAX_BATCH_SPANS + 3; i++) exporter.add(ENDED);
    expect(channel.calls).toHaveLength(1);
    const request = fromBinary(ExportTraceServiceRequestSchema, channel.last.request);
    const [resourceSpans] = request.resourceSpans;
    expect(resourceSpans?.resource?.attributes).toMatchObject([
      { key: 'service.name', value: { value: { case: 'stringValue', value: 'web' } } },
    ]);
    expect(resourceSpans?.scopeSpans[0]?.spans).toHaveLength(MAX_BATCH_SPANS);
    expect(resourceSpans?.scopeSpans[0]?.spans[0]).toMatchObject({
      name: '/',
      kind: 2,
      flags: 1,
      startTimeUnixNano: 1_700_000_000_000_000_000n,
      endTimeUnixNano: 1_700_000_000_001_500_000n,
      status: { code: 2 },
    });
    channel.last.end(0);
    expect(exported.value).toBe(MAX_BATCH_SPANS);
    expect(dropped.value).toBe(0);
    expect(channel.calls).toHaveLength(1);
  });

  it('sends what is left after a time', () => {
    const { exporter, channel, expire } = exportWorld();
    exporter.add(ENDED);
    expect(channel.calls).toHaveLength(0);
    expire();
    expect(channel.calls).toHaveLength(1);
  });

  it('[TRC-01] drops and counts while the collector is away, and goes on when it is back', () => {
    const { exporter, channel, exported, dropped, expire } = exportWorld();
    for (let i = 0; i < MAX_BATCH_SPANS * 3; i++) exporter.add(ENDED);
    expect(dropped.value).toBe(MAX_BATCH_SPANS);
    expire();
    expect(channel.calls[0]?.isCancelled).toBe(true);
    expect(dropped.value).toBe(MAX_BATCH_SPANS * 2);
    expect(channel.calls).toHaveLength(2);
    channel.last.end(14);
    expect(dropped.value).toBe(MAX_BATCH_SPANS * 3);
    exporter.add(ENDED);
    exporter.flush();
    channel.last.end(0);
    expect(exported.value).toBe(1);
  });
});

describe('an exporter that is closed', () => {
  it('sends what it has, and says when that is over', () => {
    const { exporter, channel, exported, dropped } = exportWorld();
    exporter.add(ENDED);
    let isOver = false;
    exporter.close(() => (isOver = true));
    expect([channel.calls.length, isOver]).toEqual([1, false]);
    channel.last.end(0);
    expect([exported.value, isOver]).toEqual([1, true]);
    exporter.add(ENDED);
    expect(dropped.value).toBe(1);
  });

  it('does not wait for a collector that is away', () => {
    const { exporter, channel, expire } = exportWorld();
    exporter.add(ENDED);
    exporter.flush();
    let told = 0;
    exporter.close(() => (told += 1));
    expire();
    expire();
    expect(channel.calls).toHaveLength(1);
    expect(told).toBe(1);
  });

  it('is closed at once where there is nothing to send', () => {
    let isOver = false;
    exportWorld().exporter.close(() => (isOver = true));
    expect(isOver).toBe(true);
  });
});

describe('the resource of spans', () => {
  it('[TRC-03] is the service, then labels, then what is given, then OTEL_RESOURCE_ATTRIBUTES', () => {
    const facts = { pid: 7, startMs: 1_700_000_000_500, hostName: 'pod-1', serviceName: 'linkerd-proxy' };
    const attributes = resourceAttributes({
      ...facts,
      labelsText: 'app="web"\nservice.name="of-label"\ntier="x=y"\n\nbroken\n',
      extra: new Map([['app', 'extra']]),
      own: new Map([['service.name', 'otel']]),
    });
    expect(Object.fromEntries(attributes)).toEqual({
      'service.name': 'otel',
      'process.pid': 7,
      'process.start_timestamp': 1_700_000_000,
      'host.name': 'pod-1',
      app: 'extra',
      tier: 'x=y',
    });
  });
});

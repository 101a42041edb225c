// SPDX-License-Identifier: Apache-2.0
/* `stat`, `top` and `edges` over pods that a test makes up: two readings of each proxy, with known increases between them. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { fakePod, fakeReplicaSet, startFakeCluster, type FakeCluster } from '../testdata/fake-cluster.ts';
import type { WatchClock } from '../inspect/traffic-watch.ts';
import { edges } from './edges.ts';
import { stat, type StatOptions } from './stat.ts';
import { top } from './top.ts';

let cluster: FakeCluster | undefined;
afterEach(async () => {
  await cluster?.end();
  cluster = undefined;
});

/** A proxy's text at each reading, the last one for good. */
type Texts = Readonly<Record<string, readonly string[]>>;

const INBOUND = 'direction="inbound",target_port="8080",tls="true"';

function inbound(successes: number, failures: number, route = 'web'): string {
  const latency = (le: string, count: number): string =>
    `response_latency_ms_bucket{${INBOUND},route_kind="HTTPRoute",route_name="${route}",le="${le}"} ${count}`;
  return [
    `response_total{${INBOUND},route_kind="HTTPRoute",route_name="${route}",classification="success"} ${successes}`,
    `response_total{${INBOUND},route_kind="HTTPRoute",route_name="${route}",classification="failure"} ${failures}`,
    latency('10', successes),
    latency('100', successes + failures),
    latency('+Inf', successes + failures),
    'response_total{direction="inbound",target_port="4191",classification="success"} 1000',
    'response_total{direction="inbound",target_port="8080",route_name="probe",classification="success"} 1000',
    `tcp_open_connections{${INBOUND},peer="src"} 3`,
    'tcp_open_connections{direction="inbound",peer="dst",tls="no_identity"} 9',
    `tcp_read_bytes_total{${INBOUND},peer="src"} ${successes * 1000}`,
  ].join('\n');
}

function outbound(
  pod: string,
  service: string,
  successes: number,
  tls = 'tls="true",server_id="web.shop.serviceaccount.identity.linkerd.x"',
): string {
  const labels = `direction="outbound",${tls},dst_namespace="shop",dst_pod="${pod}",dst_service="${service}"`;
  return [
    `response_total{${labels},classification="success"} ${successes}`,
    `response_latency_ms_bucket{${labels},le="1"} ${successes}`,
    `response_latency_ms_bucket{${labels},le="+Inf"} ${successes}`,
    `tcp_open_connections{${labels},peer="dst"} 2`,
    `tcp_open_total{${labels},peer="dst"} 7`,
  ].join('\n');
}

async function start(texts: Texts): Promise<FakeCluster> {
  const started = await startFakeCluster([
    fakeReplicaSet('shop', 'web-abc', 'web'),
    fakePod('shop', 'web-abc-1', { owner: { kind: 'ReplicaSet', name: 'web-abc' }, account: 'web' }),
    fakePod('shop', 'web-abc-2', { owner: { kind: 'ReplicaSet', name: 'web-abc' }, isMeshed: false }),
    fakePod('shop', 'cart-0', { owner: { kind: 'StatefulSet', name: 'cart' } }),
    fakePod('load', 'client', { account: 'loader' }),
  ]);
  cluster = started;
  for (const [key, steps] of Object.entries(texts)) {
    const [namespace = '', name = ''] = key.split('/');
    let reading = 0;
    await started.serve(namespace, name, 4191, (_request, response) => response.end(`${steps[Math.min(reading++, steps.length - 1)]}\n`));
  }
  return started;
}

/** A clock that is always exactly on time. */
function exactClock(): WatchClock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    sleep: (ms) => {
      nowMs += ms;
      return Promise.resolve();
    },
  };
}

interface Written {
  out: string;
  err: string;
}

async function run(work: (output: { out(text: string): void; err(text: string): void }) => Promise<void>): Promise<Written> {
  const written = { out: '', err: '' };
  await work({
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
  });
  return written;
}

const STAT: StatOptions = { timeWindow: 10_000, output: 'table' };
const lines = (text: string): string[][] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));

describe('[CLI-46] weft stat', () => {
  const texts: Texts = { 'shop/web-abc-1': [inbound(100, 0), inbound(190, 10)], 'shop/cart-0': [''], 'load/client': [''] };

  it('shows what arrived at workloads in the window, without probes, scrapes and what was before', async () => {
    const from = await start(texts);
    const { out, err } = await run((output) => stat(from, 'linkerd', ['deploy'], STAT, output, exactClock()));
    expect(lines(out)).toEqual([
      ['NAME', 'MESHED', 'SUCCESS', 'RPS', 'LATENCY_P50', 'LATENCY_P95', 'LATENCY_P99', 'TCP_CONN'],
      ['web', '1/2', '90.00%', '10.0rps', '6ms', '55ms', '91ms', '3'],
    ]);
    expect(err).toBe('');
    // Only the pods that are asked for are read.
    expect(new Set(from.forwards)).toEqual(new Set(['shop/web-abc-1:4191']));
  });

  it('has a row for each workload of a kind, with or without a proxy', async () => {
    const { out } = await run(async (output) =>
      stat(await start(texts), 'linkerd', ['po'], { ...STAT, unmeshed: true }, output, exactClock()),
    );
    expect(lines(out).map(([name, meshed, success]) => [name, meshed, success])).toEqual([
      ['NAME', 'MESHED', 'SUCCESS'],
      ['cart-0', '1/1', '-'],
      ['web-abc-1', '1/1', '90.00%'],
      ['web-abc-2', '0/1', '-'],
    ]);
  });

  it('shows namespaces, all of them, and bytes', async () => {
    const { out } = await run(async (output) =>
      stat(await start(texts), 'linkerd', ['ns'], { ...STAT, allNamespaces: true, output: 'wide' }, output, exactClock()),
    );
    expect(lines(out).map(([name, meshed, , rps, , , , , read]) => [name, meshed, rps, read])).toEqual([
      ['NAME', 'MESHED', 'RPS', 'READ_BYTES/SEC'],
      ['load', '1/1', '-', '-'],
      ['shop', '2/3', '10.0rps', '9.0KB/s'],
    ]);
  });

  it('writes JSON with the field names of the reference', async () => {
    const { out } = await run(async (output) =>
      stat(await start(texts), 'linkerd', ['deploy/web'], { ...STAT, output: 'json' }, output, exactClock()),
    );
    expect(JSON.parse(out)).toEqual([
      {
        namespace: 'shop',
        kind: 'deployment',
        name: 'web',
        meshed: '1/2',
        success: 0.9,
        rps: 10,
        latency_ms_p50: 6,
        latency_ms_p95: 55,
        latency_ms_p99: 91,
        tcp_open_connections: 3,
        tcp_read_bytes_rate: 9000,
        tcp_write_bytes_rate: 0,
      },
    ]);
  });

  it('shows Services, and traffic to and from, as clients saw it', async () => {
    const seen: Texts = {
      ...texts,
      'load/client': [outbound('web-abc-1', 'web', 0), outbound('web-abc-1', 'web', 20)],
      'shop/cart-0': [outbound('web-abc-1', 'web', 5), outbound('web-abc-1', 'web', 35)],
    };
    const from = await start(seen);
    const rates = async (words: string[], options: Partial<StatOptions>): Promise<unknown> => {
      const { out } = await run((output) => stat(from, 'linkerd', words, { ...STAT, ...options }, output, exactClock()));
      return lines(out)
        .slice(1)
        .map((cells) => [cells[0], cells.find((cell) => cell.endsWith('rps'))]);
    };
    expect(await rates(['svc/web'], {})).toEqual([['web', '5.0rps']]);
    await from.end();
    const again = await start(seen);
    const more = async (words: string[], options: Partial<StatOptions>): Promise<unknown> => {
      const { out } = await run((output) => stat(again, 'linkerd', words, { ...STAT, ...options }, output, exactClock()));
      return lines(out)
        .slice(1)
        .map((cells) => cells.filter((cell) => /^[a-z]|rps$/.test(cell)));
    };
    expect(await more(['deploy'], { from: 'sts/cart' })).toEqual([['web', '3.0rps']]);
    await again.end();
    const third = await start(seen);
    const { out } = await run((output) =>
      stat(third, 'linkerd', ['po'], { ...STAT, allNamespaces: true, to: 'svc/web' }, output, exactClock()),
    );
    expect(lines(out).filter((cells) => cells.some((cell) => cell.endsWith('rps')))).toEqual([
      ['load', 'client', '1/1', '100.00%', '2.0rps', '1ms', '1ms', '1ms', '2'],
      ['shop', 'cart-0', '1/1', '100.00%', '3.0rps', '1ms', '1ms', '1ms', '2'],
    ]);
  });

  it('counts anew after a restart, and tells of a proxy that does not answer', async () => {
    const restarted = await start({ 'shop/web-abc-1': [inbound(100, 0), inbound(50, 0)] });
    const { out, err } = await run((output) => stat(restarted, 'linkerd', ['ns'], STAT, output, exactClock()));
    expect(lines(out)[1]?.[3]).toBe('5.0rps');
    expect(err).toMatch(/cannot read the proxy of shop\/cart-0: /);
  });

  it.each([
    [['deploy/none'], {}, /nothing is seen of deploy\/none/],
    [['widgets'], {}, /unknown kind widgets/],
    [['deploy', 'web', 'x'], {}, /is no resource/],
    [['deploy'], { to: 'svc/a', from: 'svc/b' }, /exclude each other/],
    [['deploy'], { namespace: 'a', allNamespaces: true }, /exclude each other/],
  ])('%j %j is refused', async (words, options, message) => {
    const from = await start(texts);
    await expect(run((output) => stat(from, 'linkerd', words, { ...STAT, ...options }, output, exactClock()))).rejects.toThrow(message);
  });
});

describe('[CLI-53] weft top', () => {
  it('draws the busiest routes first, as often as asked', async () => {
    const from = await start({
      'shop/web-abc-1': ['', `${inbound(10, 0)}\n${inbound(30, 0, 'feed')}`, `${inbound(30, 0)}\n${inbound(30, 0, 'feed')}`],
    });
    const { out } = await run((output) =>
      top(from, 'linkerd', ['deploy'], { interval: 1000, count: 2 }, { ...output, isScreen: false }, exactClock()),
    );
    const [first = '', second = ''] = out.split('\n\n');
    expect(lines(first).map((cells) => cells.slice(0, 5))).toEqual([
      ['NAMESPACE', 'NAME', 'ROUTE', 'SUCCESS', 'RPS'],
      ['shop', 'web', 'HTTPRoute/feed', '100.00%', '30.0rps'],
      ['shop', 'web', 'HTTPRoute/web', '100.00%', '10.0rps'],
    ]);
    expect(
      lines(second)
        .slice(1)
        .map((cells) => cells[4]),
    ).toEqual(['20.0rps']);
  });
});

describe('[CLI-51] weft edges', () => {
  const texts: Texts = {
    'load/client': [
      `${outbound('web-abc-1', 'web', 1)}\n${outbound('web-abc-2', 'web', 1, 'tls="no_identity",no_tls_reason="not_provided"')}`,
    ],
    'shop/web-abc-1': [outbound('cart-0', 'cart', 1)],
    'shop/cart-0': ['tcp_open_total{direction="outbound",peer="dst",dst_namespace="shop",dst_pod="web-abc-1",tls="true"} 0'],
  };

  it('shows who is connected to whom, and how', async () => {
    const from = await start(texts);
    const { out } = await run((output) => edges(from, 'linkerd', ['deploy'], { output: 'wide' }, output));
    expect(lines(out)).toEqual([
      ['SRC', 'DST', 'SRC_NS', 'DST_NS', 'CLIENT_ID', 'SERVER_ID', 'SECURED'],
      ['client', 'web', 'load', 'shop', '-', '-', 'not_provided'],
      ['client', 'web', 'load', 'shop', 'loader.load', 'web.shop', '√'],
      ['web', 'cart', 'shop', 'shop', 'web.shop', 'web.shop', '√'],
    ]);
  });

  it('writes JSON, and only of one namespace', async () => {
    const from = await start(texts);
    const { out } = await run((output) => edges(from, 'linkerd', ['po/cart-0'], { output: 'json' }, output));
    expect(JSON.parse(out)).toEqual([
      {
        src: 'web',
        src_namespace: 'shop',
        dst: 'cart-0',
        dst_namespace: 'shop',
        client_id: 'web.shop',
        server_id: 'web.shop',
        no_tls_reason: '',
      },
    ]);
    const none = await run((output) => edges(from, 'linkerd', ['po'], { output: 'table', namespace: 'other' }, output));
    expect([none.out, none.err]).toEqual(['', 'No edges found.\n']);
  });
});

describe('metrics of Linkerd’s own proxies', () => {
  const captured = (side: string): string =>
    readFileSync(new URL(`../testdata/vectors/metrics/${side}-side.prom`, import.meta.url), 'utf8');

  async function startCaptured(): Promise<FakeCluster> {
    const started = await startFakeCluster([
      fakePod('vec-net', 'server', { account: 'server' }),
      fakePod('vec-net', 'client', { account: 'client' }),
      fakePod('vec-net', 'plain', { isMeshed: false }),
    ]);
    cluster = started;
    for (const [name, side] of [
      ['server', 'inbound'],
      ['client', 'outbound'],
    ] as const) {
      let reading = 0;
      await started.serve('vec-net', name, 4191, (_request, response) => response.end(reading++ === 0 ? '\n' : captured(side)));
    }
    return started;
  }

  it('[CLI-46] are read as well', async () => {
    const options: StatOptions = { ...STAT, namespace: 'vec-net', output: 'json' };
    const values = async (...words: string[]): Promise<unknown> => {
      const from = await startCaptured();
      const { out } = await run((output) => stat(from, 'linkerd', words, options, output, exactClock()));
      await from.end();
      return (JSON.parse(out) as { name: string; success: number | null; rps: number | null }[]).map(({ name, success, rps }) => [
        name,
        success,
        rps,
      ]);
    };
    // 74 successes and 23 failures besides probes and scrapes; 20 and 12 to one Service.
    expect(await values('po')).toEqual([
      ['client', null, null],
      ['server', 74 / 97, 9.7],
    ]);
    expect(await values('svc/server')).toEqual([['server', 20 / 32, 3.2]]);
  });

  it('[CLI-51] tell edges', async () => {
    const from = await startCaptured();
    await (await fetch(`http://127.0.0.1:${(await from.portForward('vec-net', 'client', 4191)).port}`)).text();
    const { out } = await run((output) => edges(from, 'linkerd', ['po'], { output: 'wide', namespace: 'vec-net' }, output));
    expect(lines(out).slice(1)).toEqual([['client', 'server', 'vec-net', 'vec-net', 'client.vec-net', 'server.vec-net', '√']]);
  });
});

// SPDX-License-Identifier: Apache-2.0
/* `diagnostics` and `identity` against real services of the control plane and a real TLS server, reached as a forwarded port would be. */
import { createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { createDestinationService } from '@weft/destination';
import { GrpcServer } from '@weft/grpc-server';
import { createPolicyController, DEFAULT_OPTIONS } from '@weft/policy-controller';
import { createTestMesh } from '@weft/pki/testing';
import { destination, inbound, outbound } from '@weft/proto';
import type { ResourceInput } from '@weft/resources';
import { promMetricFactory, PromRegistry } from '@weft/telemetry/prom';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { endpointRows, ipText } from '../inspect/endpoint-rows.ts';
import { obfuscateMetrics } from '../inspect/obfuscate.ts';
import { fakePod, startFakeCluster, type FakeCluster } from '../testdata/fake-cluster.ts';
import { controllerMetrics } from './diagnostics/controller-metrics.ts';
import { endpoints } from './diagnostics/endpoints.ts';
import { policy } from './diagnostics/policy.ts';
import { profile } from './diagnostics/profile.ts';
import { proxyMetrics } from './diagnostics/proxy-metrics.ts';
import { identity } from './identity.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const GLOBALS = { linkerdNamespace: 'linkerd' };

function yaml(text: string): ResourceInput {
  return parse(text) as ResourceInput;
}

function controlPlanePod(name: string, component: string): ResourceInput {
  const port = component === 'destination' ? 9996 : 9990;
  return yaml(`
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: linkerd, labels: { linkerd.io/control-plane-component: ${component}, linkerd.io/control-plane-ns: linkerd } }
spec:
  containers:
  - { name: ${component}, image: c, ports: [{ name: grpc, containerPort: 8086 }, { name: x-admin, containerPort: ${port} }] }
  - { name: linkerd-proxy, image: p, ports: [{ name: linkerd-admin, containerPort: 4191 }] }
status: { phase: Running }
`);
}

const OBJECTS: readonly ResourceInput[] = [
  yaml(`
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop, annotations: { balancer.linkerd.io/failure-accrual: consecutive } }
spec: { clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10], ports: [{ name: http, port: 80, targetPort: 8080 }] }
`),
  yaml(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: http, port: 8080, protocol: TCP }]
endpoints:
- { addresses: [10.0.0.2], conditions: { ready: true }, targetRef: { kind: Pod, name: web-2, namespace: shop } }
- { addresses: [10.0.0.1], conditions: { ready: true } }
`),
  { ...fakePod('shop', 'web-2', { account: 'web' }), status: { phase: 'Running', podIP: '10.0.0.2', podIPs: [{ ip: '10.0.0.2' }] } },
  controlPlanePod('linkerd-destination-a', 'destination'),
  controlPlanePod('linkerd-identity-b', 'identity'),
];

async function start(objects: readonly ResourceInput[] = OBJECTS): Promise<FakeCluster> {
  const cluster = await startFakeCluster(objects);
  cleanups.push(() => cluster.end());
  return cluster;
}

/** A cluster whose destination pod serves its two APIs. */
async function startWithServices(): Promise<FakeCluster> {
  const cluster = await start();
  const discovery = createDestinationService({ source: cluster.world, metrics: promMetricFactory(new PromRegistry()) });
  const controller = createPolicyController({
    source: cluster.world,
    options: { ...DEFAULT_OPTIONS, leaderElection: 'always', hostname: 'test' },
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    metrics: promMetricFactory(new PromRegistry()),
  });
  const [destinations, policies] = [new GrpcServer(), new GrpcServer()];
  destinations.register(destination.Destination, discovery.handlers);
  policies.register(inbound.InboundServerPolicies, controller.inbound);
  policies.register(outbound.OutboundPolicies, controller.outbound);
  cluster.lead('linkerd', 'linkerd-destination-a', 8086, await destinations.listen('127.0.0.1:0'));
  cluster.lead('linkerd', 'linkerd-destination-a', 8090, await policies.listen('127.0.0.1:0'));
  await Promise.all([controller.ready, discovery.ready]);
  cleanups.push(async () => {
    await destinations.shutdown(100);
    await policies.shutdown(100);
    discovery.close();
    await controller.close();
  });
  return cluster;
}

async function run(
  work: (output: { out(text: string): void; err(text: string): void }) => Promise<void>,
): Promise<{ out: string; err: string }> {
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

describe('[CLI-32] weft diagnostics endpoints', () => {
  it('shows the endpoints of an authority', async () => {
    const cluster = await startWithServices();
    const { out } = await run((output) => endpoints(cluster, GLOBALS, ['web.shop.svc.cluster.local:80'], { output: 'table' }, output));
    expect(out.split('\n').map((line) => line.split(/ +/))).toEqual([
      ['NAMESPACE', 'IP', 'PORT', 'POD', 'SERVICE'],
      ['shop', '10.0.0.1', '8080', '-', 'web.shop'],
      ['shop', '10.0.0.2', '8080', 'web-2', 'web.shop'],
      [''],
    ]);
    const json = await run((output) => endpoints(cluster, GLOBALS, ['web.shop.svc.cluster.local:80'], { output: 'json' }, output));
    expect((JSON.parse(json.out) as unknown[])[1]).toMatchObject({
      namespace: 'shop',
      ip: '10.0.0.2',
      port: 8080,
      pod: 'web-2',
      service: 'web.shop',
    });
  });

  it('says what the service says of what is none', async () => {
    const cluster = await startWithServices();
    const ask = (authority: string): Promise<unknown> =>
      run((output) => endpoints(cluster, GLOBALS, [authority], { output: 'table' }, output));
    await expect(ask('none.shop.svc.cluster.local:80')).rejects.toThrow(/Destination\.Get: NOT_FOUND/);
    await expect(ask('web')).rejects.toThrow(/INVALID_ARGUMENT/);
  });

  it('takes the address that --api-addr gives, and says where no control plane runs', async () => {
    const cluster = await start([]);
    const ask = (globals: { linkerdNamespace: string; apiAddr?: string }): Promise<unknown> =>
      run((output) => endpoints(cluster, globals, ['web.shop.svc.cluster.local:80'], { output: 'table' }, output));
    await expect(ask(GLOBALS)).rejects.toThrow(/no destination pod runs in namespace linkerd/);
    await expect(ask({ ...GLOBALS, apiAddr: '127.0.0.1:1' })).rejects.toThrow(/UNAVAILABLE/);
  });

  it('follows updates, and writes addresses of both families', () => {
    const address = (ip: object): object => ({ ip: { ip }, port: 80 });
    const [four, six] = [
      address({ case: 'ipv4', value: 0x0a00_0001 }),
      address({ case: 'ipv6', value: { first: 0x2001_0db8_0000_0000n, last: 1n } }),
    ];
    const add = {
      update: { case: 'add', value: { addrs: [four, six].map((addr) => ({ addr, weight: 1, metricLabels: {} })), metricLabels: {} } },
    };
    const remove = { update: { case: 'remove', value: { addrs: [four] } } };
    expect(endpointRows([add, remove] as never).map(({ ip }) => ip)).toEqual(['2001:db8::1']);
    expect(ipText({ ip: { case: 'ipv6', value: { first: 0n, last: 0n } } } as never)).toBe('::');
    expect(ipText({ ip: { case: 'ipv6', value: { first: 0x0001_0000_0000_0002n, last: 0x0003_0000_0004_0005n } } } as never)).toBe(
      '1::2:3:0:4:5',
    );
    expect(ipText({ ip: { case: 'ipv6', value: { first: 0x0001_0002_0003_0004n, last: 0x0005_0006_0007_0008n } } } as never)).toBe(
      '1:2:3:4:5:6:7:8',
    );
  });
});

describe('[CLI-34] weft diagnostics profile', () => {
  it('shows the profile of a name and of an address', async () => {
    const cluster = await startWithServices();
    const named = await run((output) => profile(cluster, GLOBALS, 'web.shop.svc.cluster.local:80', { output: 'yaml' }, output));
    expect(parse(named.out)).toMatchObject({ fully_qualified_name: 'web.shop.svc.cluster.local', retry_budget: { ttl: '10s' } });
    const byIp = await run((output) => profile(cluster, GLOBALS, '10.0.0.2:3306', { output: 'json' }, output));
    expect(JSON.parse(byIp.out)).toMatchObject({ endpoint: { addr: { port: 3306 } } });
  });
});

describe('[CLI-33] weft diagnostics policy', () => {
  it('shows what a pod admits and what clients of a Service do', async () => {
    const cluster = await startWithServices();
    const admitted = await run((output) => policy(cluster, GLOBALS, 'po/web-2', 8080, { output: 'yaml' }, output));
    expect(parse(admitted.out)).toMatchObject({ labels: { name: 'all-unauthenticated' }, protocol: { detect: { timeout: '10s' } } });
    const done = await run((output) => policy(cluster, GLOBALS, 'svc/web', 80, { output: 'json' }, output));
    expect(JSON.parse(done.out)).toMatchObject({
      protocol: { detect: { http1: { failure_accrual: { consecutive_failures: { max_failures: 7 } } } } },
    });
  });

  it.each(['deploy/web', 'svc', 'po/'])('%s is refused', async (resource) => {
    const cluster = await start();
    await expect(run((output) => policy(cluster, GLOBALS, resource, 80, { output: 'yaml' }, output))).rejects.toThrow(
      /po\/NAME|is no resource/,
    );
  });
});

describe('[CLI-30] weft diagnostics controller-metrics', () => {
  it('writes the metrics of every container with an admin port, and tells of those that it cannot read', async () => {
    const cluster = await start();
    await cluster.serve('linkerd', 'linkerd-destination-a', 9996, (_request, response) => response.end('destination_up 1\n'));
    await cluster.serve('linkerd', 'linkerd-destination-a', 4191, (_request, response) => response.end('proxy_up 1'));
    await cluster.serve('linkerd', 'linkerd-identity-b', 9990, (_request, response) => response.writeHead(503).end());
    const { out, err } = await run((output) => controllerMetrics(cluster, 'linkerd', { wait: 30_000 }, output));
    expect(out).toContain('#\n# POD linkerd-destination-a (1 of 2)\n# CONTAINER destination\n#\ndestination_up 1\n#\n');
    expect(out).toContain('# CONTAINER linkerd-proxy\n#\nproxy_up 1\n');
    expect(out).toContain('# POD linkerd-identity-b (2 of 2)\n# CONTAINER identity\n#\n# ERROR /metrics answered 503\n');
    expect(err).toMatch(/cannot read linkerd-identity-b\/identity/);
  });
});

describe('[CLI-31] weft diagnostics proxy-metrics', () => {
  const text = '# TYPE a counter\na{authority="web.shop",dst_pod="web-2",direction="inbound",le="+Inf"} 1\n';

  it('writes the metrics of a workload, names hashed where that is asked', async () => {
    const cluster = await start();
    await cluster.serve('shop', 'web-2', 4191, (_request, response) => response.end(text));
    const plain = await run((output) => proxyMetrics(cluster, 'linkerd', ['po/web-2'], {}, output));
    expect(plain.out).toBe(`#\n# POD web-2 (1 of 1)\n#\n${text}`);
    const hashed = await run((output) => proxyMetrics(cluster, 'linkerd', ['po'], { obfuscate: true }, output));
    expect(hashed.out).not.toMatch(/web\.shop|dst_pod="web-2"/);
    expect(hashed.out).toMatch(/authority="[0-9a-f]{16}",dst_pod="[0-9a-f]{16}",direction="inbound",le="\+Inf"\} 1/);
    await expect(run((output) => proxyMetrics(cluster, 'linkerd', ['deploy/none'], {}, output))).rejects.toThrow(/no meshed pod/);
  });

  it('hashes equal names equally, and leaves comments', () => {
    const [comment, first, second] = obfuscateMetrics('# authority="x"\na{authority="x"} 1\nb{authority="x"} 2').split('\n');
    expect(comment).toBe('# authority="x"');
    expect(first?.replace(/^a|1$/g, '')).toBe(second?.replace(/^b|2$/g, ''));
  });
});

describe('[CLI-27] weft identity', () => {
  it('writes the certificate that a proxy shows for its name', async () => {
    const mesh = createTestMesh();
    const name = mesh.identityOf('web', 'shop');
    const leaf = mesh.leafFor(name);
    const asked: string[] = [];
    const server = createServer({
      key: leaf.privateKeyPem,
      cert: leaf.chainPem,
      SNICallback: (servername, done) => {
        asked.push(servername);
        done(null);
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => server.close());
    const cluster = await start();
    cluster.lead('shop', 'web-2', 4191, (server.address() as AddressInfo).port);
    const { out } = await run((output) => identity(cluster, 'linkerd', ['web-2'], {}, output));
    expect(out).toMatch(/^\nPOD web-2 \(1 of 1\)\n\nCertificate:\n/);
    expect(out).toContain(`DNS:${name}`);
    expect(out).toMatch(/Not After : .* GMT\n/);
    expect(out).toContain('TLS Web Server Authentication, TLS Web Client Authentication');
    expect(asked).toEqual([name]);
  });

  it('tells of pods that have no proxy, and of none at all', async () => {
    const cluster = await start([fakePod('shop', 'plain', { isMeshed: false })]);
    await expect(run((output) => identity(cluster, 'linkerd', ['plain'], {}, output))).rejects.toThrow(/1 of 1 certificates/);
    await expect(run((output) => identity(cluster, 'linkerd', [], {}, output))).rejects.toThrow(/name pods/);
    await expect(run((output) => identity(cluster, 'linkerd', [], { selector: 'a=b' }, output))).rejects.toThrow(/has the labels/);
    await expect(run((output) => identity(cluster, 'linkerd', ['gone'], {}, output))).rejects.toThrow(/not found/);
  });
});

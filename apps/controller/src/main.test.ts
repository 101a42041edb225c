// SPDX-License-Identifier: Apache-2.0
/*
 * The program as its users run it: a child process over a directory of manifests, called over gRPC on loopback, probed over HTTP, ended
 * by signals.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, fromBinary, toBinary, type DescMessage, type DescMethod, type MessageShape } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { createLocalTokenIssuer, generateKey, verifyChain } from '@weft/pki';
import { createTestAuthority, createTestMesh, type TestAuthority } from '@weft/pki/testing';
import { createMemorySource, EndpointSliceKind, serveKubernetesApi, type ResourceInput } from '@weft/resources';
import { parse } from 'yaml';
import { destination, identity, inbound, outbound, trustBundle } from '@weft/proto';
import { afterEach, describe, expect, it, vi } from 'vitest';

const appDirectory = fileURLToPath(new URL('..', import.meta.url));
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10], ports: [{ name: http, port: 80, targetPort: 8080 }] }
`;

function slice(...ips: string[]): string {
  return `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: http, port: 8080, protocol: TCP }]
endpoints: [${ips.map((ip) => `{ addresses: ["${ip}"], conditions: { ready: true } }`).join(', ')}]
`;
}

const POD = `
apiVersion: v1
kind: Pod
metadata: { name: web-1, namespace: shop, labels: { app: web, linkerd.io/control-plane-ns: linkerd } }
spec: { serviceAccountName: web, containers: [{ name: app, image: app, ports: [{ containerPort: 8080 }] }] }
status: { phase: Running, podIP: 10.0.0.1 }
`;

describe('controller destination', () => {
  it('[MET-30] serves a directory, follows its changes and ends its streams on SIGTERM', async () => {
    const manifests = directory({ 'service.yaml': SERVICE, 'slice.yaml': slice('10.0.0.1') });
    const child = await start('destination', [
      '-addr=127.0.0.1:0',
      '-metrics-addr',
      '127.0.0.1:0',
      '-controller-namespace=linkerd',
      '-enable-ipv6=false',
      '-enable-pprof=false',
      '-log-format=json',
      '--meshed-http2-client-params={"keep_alive":{"interval":{"seconds":10},"timeout":{"seconds":3},"while_idle":true}}',
      '--resources',
      manifests,
    ]);
    await vi.waitFor(async () => expect(await child.get('/ready')).toBe('200 ok\n'), 10_000);
    expect(await child.get('/live')).toBe('200 live\n');

    const { get } = destination.Destination.method;
    const unknown = child.stream(get, { scheme: 'k8s', path: 'nothing.shop.svc.cluster.local:80' });
    expect(await unknown.status).toMatchObject({ code: 5, details: 'Service nothing.shop not found' });

    const stream = child.stream(get, { scheme: 'k8s', path: 'web.shop.svc.cluster.local:80' });
    const addedPorts = (): unknown[] =>
      stream.messages.flatMap(({ update }) =>
        update.case === 'add' ? update.value.addrs.map(({ addr }) => [addr?.ip?.ip.value, addr?.port]) : [],
      );
    await vi.waitFor(() => expect(addedPorts()).toEqual([[0x0a000001, 8080]]), 5_000);
    replace(join(manifests, 'slice.yaml'), slice('10.0.0.1', '10.0.0.2'));
    await vi.waitFor(() => expect(addedPorts()).toContainEqual([0x0a000002, 8080]), 5_000);

    expect(await child.get('/metrics')).toMatch(/grpc_server_started_total\{[^}]*grpc_method="Get"[^}]*\} 2/);
    child.process.kill('SIGTERM');
    expect(await stream.status).toMatchObject({ code: 0 });
    expect(await child.exitCode).toBe(0);
  });
});

describe('controller policy', () => {
  it('[MET-31] serves inbound and outbound policy over a directory', async () => {
    const manifests = directory({ 'service.yaml': SERVICE, 'pod.yaml': POD });
    const child = await start('policy', [
      '--grpc-addr=127.0.0.1:0',
      '--admin-addr=127.0.0.1:0',
      '--admission-controller-disabled',
      '--cluster-networks=10.0.0.0/8,fd00::/8',
      '--default-policy=all-authenticated',
      '--default-opaque-ports=25,3306',
      '--log-format=json',
      '--resources',
      manifests,
    ]);
    await vi.waitFor(async () => expect(await child.get('/ready')).toBe('200 ok\n'), 10_000);
    const server = await child.call(inbound.InboundServerPolicies.method.getPort, { workload: 'shop:web-1', port: 8080 });
    expect(server.authorizations.map(({ labels }) => labels['name'])).toEqual(['all-authenticated']);

    const policy = await child.call(outbound.OutboundPolicies.method.get, {
      sourceWorkload: 'shop:web-1',
      target: { case: 'authority', value: 'web.shop.svc.cluster.local:80' },
    });
    expect(policy.metadata?.kind.value).toMatchObject({ kind: 'Service', name: 'web', namespace: 'shop' });
    expect(await child.get('/metrics')).toContain('grpc_server_handled_total');
    child.process.kill('SIGINT');
    expect(await child.exitCode).toBe(0);
  });
});

describe('controller identity', () => {
  const mesh = createTestMesh();
  const tokenKey = generateKey();
  const tokens = createLocalTokenIssuer({ privateKey: tokenKey.privateKey });
  const leaf = mesh.leafFor(mesh.identityOf('web', 'shop'));
  const write = (files: string, { certificatePem, privateKeyPem }: TestAuthority): void => {
    replace(join(files, 'crt.pem'), certificatePem);
    replace(join(files, 'key.pem'), privateKeyPem);
  };
  const request = {
    identity: leaf.identity,
    token: Buffer.from(tokens.issue({ namespace: 'shop', serviceAccount: 'web', audiences: ['identity.l5d.io'], lifetimeSeconds: 600 })),
    certificateSigningRequest: leaf.csrDer,
  };

  it('[ID-03] [ID-04] [ID-07] [ID-08] [ID-09] certifies, rotates its issuer and streams its anchors', async () => {
    const files = directory({
      'ca-bundle.crt': mesh.anchor.certificatePem,
      'token.pem': tokenKey.publicKey.export({ type: 'spki', format: 'pem' }),
    });
    write(files, mesh.issuer);
    const child = await start('identity', [
      '-addr=127.0.0.1:0',
      '-admin-addr=127.0.0.1:0',
      '-controller-namespace=linkerd',
      '-identity-scheme=linkerd.io/tls',
      '-identity-trust-domain=cluster.local',
      '-identity-issuance-lifetime=1h0m0s',
      '-identity-clock-skew-allowance=20s',
      '-kube-apiclient-qps=100',
      '-log-format=json',
      `-issuer=${files}`,
      `--trust-roots=${files}`,
      `--local-token-key=${join(files, 'token.pem')}`,
      '--resources',
      directory({}),
    ]);
    const { certify } = identity.Identity.method;
    const check = async (issuer: TestAuthority): Promise<void> => {
      const answer = await child.call(certify, request);
      const { leafCertificate, intermediateCertificates } = answer;
      expect(intermediateCertificates.map((der) => Buffer.from(der))).toEqual([issuer.certificateDer]);
      const anchorsDer = [mesh.anchor.certificateDer];
      const chain = verifyChain({
        leafDer: leafCertificate,
        intermediatesDer: intermediateCertificates,
        anchorsDer,
        nowMs: Date.now(),
        purpose: 'client',
      });
      expect(chain).toHaveProperty('path');
      const lifetimeMs = Number(answer.validUntil?.seconds) * 1000 - Date.now();
      expect(lifetimeMs).toBeGreaterThan(3_500_000);
      expect(lifetimeMs).toBeLessThan(3_621_000);
    };
    await check(mesh.issuer);
    await expect(child.call(certify, { ...request, token: Buffer.from('x') })).rejects.toMatchObject({
      code: 3,
      details: 'invalid bearer token',
    });
    expect(await child.get('/ready')).toBe('200 ok\n');
    expect(await child.get('/metrics')).toMatch(/^issuer_cert_ttl_seconds \d+/m);

    const { watch } = trustBundle.TrustBundle.method;
    const bundles = child.stream(watch, {}, { 'l5d-client-id': leaf.identity });
    await vi.waitFor(() => expect(bundles.messages.length).toBe(1));
    const next = createTestAuthority('root.next');
    replace(join(files, 'ca-bundle.crt'), mesh.anchor.certificatePem + next.certificatePem);
    await vi.waitFor(() => expect(bundles.messages.at(-1)?.trustAnchors.length).toBe(2), 5_000);

    const rotated = createTestAuthority('identity.linkerd.cluster.local', { parent: mesh.anchor });
    write(files, rotated);
    await vi.waitFor(() => check(rotated), 5_000);
    child.process.kill('SIGTERM');
    expect(await bundles.status).toMatchObject({ code: 0 });
    expect(await child.exitCode).toBe(0);
  });
});

describe('--resources', () => {
  it('takes the URL of something that speaks the Kubernetes API, which several components share', async () => {
    const world = createMemorySource({
      objects: [SERVICE, POD].map((text) => parse(text) as ResourceInput),
    });
    const api = await serveKubernetesApi(world, { listen: { host: '127.0.0.1', port: 0 } });
    cleanups.push(
      () => world.close(),
      () => api.close(),
    );
    const found = await start('destination', [
      '-addr=127.0.0.1:0',
      '-metrics-addr=127.0.0.1:0',
      '-enable-ipv6=false',
      '-log-format=json',
      '--resources',
      api.url,
    ]);
    const policy = await start('policy', [
      '--grpc-addr=127.0.0.1:0',
      '--admin-addr=127.0.0.1:0',
      '--default-opaque-ports=25',
      '--log-format=json',
      '--resources',
      api.url,
    ]);
    const stream = found.stream(destination.Destination.method.get, { scheme: 'k8s', path: 'web.shop.svc.cluster.local:80' });
    await vi.waitFor(async () => expect(await found.get('/ready')).toBe('200 ok\n'), 10_000);
    await world.create(EndpointSliceKind, parse(slice('10.0.0.1')) as ResourceInput);
    await vi.waitFor(() => expect(stream.messages.at(-1)?.update.case).toBe('add'), 5_000);
    const server = await policy.call(inbound.InboundServerPolicies.method.getPort, { workload: 'shop:web-1', port: 8080 });
    expect(server.authorizations.map(({ labels }) => labels['name'])).toEqual(['all-unauthenticated']);
  });
});

describe('exit codes', () => {
  const local = ['--addr=127.0.0.1:0', '--log-format=json', '--resources', mkdtempSync(join(tmpdir(), 'weft-empty-'))];
  const destinationFlags = ['destination', '--metrics-addr=127.0.0.1:0', '--enable-ipv6=false'];
  it.each<[number, string, string[], RegExp]>([
    [0, 'identity that is disabled', ['identity', '-identity-scheme='], /Identity disabled/],
    [0, 'help', ['policy', '--help'], /--default-opaque-ports/],
    [2, 'no sub-command', [], /Usage/],
    [2, 'an unknown sub-command', ['tap'], /unknown command/],
    [2, 'an unknown flag', ['destination', '-nonsense'], /unknown option/],
    [2, 'a bad address', ['destination', '-addr=8086'], /expected an address/],
    [2, 'a bad boolean', ['destination', '-enable-ipv6=perhaps'], /true or false/],
    [2, 'a bad level', ['destination', '-log-level=loud'], /--log-level/],
    [2, 'a missing argument', ['policy'], /default-opaque-ports/],
    [1, 'no world', [...destinationFlags, '--addr=127.0.0.1:0'], /not in a cluster: --resources is required/],
    [1, 'resources that are not there', [...destinationFlags, '--resources=/nonexistent'], /neither a directory nor a URL/],
    [1, 'a queue of nothing', [...destinationFlags, ...local, '-stream-queue-capacity=0'], /greater than zero/],
    [1, 'IPv6 without slices', ['destination', ...local, '--metrics-addr=127.0.0.1:0', '-enable-endpoint-slices=false'], /failed/],
    [
      1,
      'an issuer that is not there',
      ['identity', ...local, '--admin-addr=127.0.0.1:0', ...identityFlags(), '-issuer=/nonexistent'],
      /failed/,
    ],
    [
      1,
      'a bad namespace',
      ['identity', ...local, '--admin-addr=127.0.0.1:0', '-controller-namespace=a.b', ...identityFlags()],
      /not a DNS label/,
    ],
  ])('%i for %s', (code, _name, args, output) => {
    const result = spawnSync(process.execPath, ['--conditions=weft-source', 'src/main.ts', ...args], {
      cwd: appDirectory,
      encoding: 'utf8',
    });
    expect(result.stdout + result.stderr).toMatch(output);
    expect(result.status).toBe(code);
  });

  it('1 for a port that is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    cleanups.push(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    const result = spawnSync(
      process.execPath,
      ['--conditions=weft-source', 'src/main.ts', ...destinationFlags, `--addr=127.0.0.1:${port}`, '--resources', directory({})],
      { cwd: appDirectory, encoding: 'utf8' },
    );
    expect([result.status, result.stdout]).toEqual([1, expect.stringMatching(/EADDRINUSE/)]);
  });

  function identityFlags(): string[] {
    return ['-identity-scheme=linkerd.io/tls', '-identity-trust-domain=cluster.local'];
  }
});

describe('the bundle', () => {
  it('is one file that needs nothing else', async () => {
    const out = directory({});
    const tsup = fileURLToPath(new URL('../../../node_modules/tsup/dist/cli-default.js', import.meta.url));
    execFileSync(process.execPath, [tsup, '--out-dir', out], { cwd: appDirectory });
    const manifests = directory({ 'service.yaml': SERVICE, 'slice.yaml': slice('10.0.0.1') });
    const args = ['-addr=127.0.0.1:0', '-metrics-addr=127.0.0.1:0', '-enable-ipv6=false', '-log-format=json', '--resources', manifests];
    const child = await start('destination', args, [join(out, 'main.js')]);
    const stream = child.stream(destination.Destination.method.get, { scheme: 'k8s', path: 'web.shop.svc.cluster.local:80' });
    await vi.waitFor(() => expect(stream.messages.length).toBeGreaterThan(0), 5_000);
  });
});

/** A temporary directory with these files. */
function directory(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-controller-'));
  cleanups.push(() => rmSync(path, { recursive: true }));
  mkdirSync(path, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

interface RunningStream<Output extends DescMessage> {
  readonly messages: MessageShape<Output>[];
  readonly status: Promise<{ readonly code: number; readonly details: string }>;
}

interface RunningChild {
  readonly process: ChildProcess;
  readonly exitCode: Promise<number | null>;
  /** Status and body of a path of the admin server. */
  get(path: string): Promise<string>;
  call<M extends DescMethod>(method: M, request: object): Promise<MessageShape<M['output']>>;
  stream<M extends DescMethod>(method: M, request: object, metadata?: Readonly<Record<string, string>>): RunningStream<M['output']>;
}

/** Starts a sub-command and waits for its ports. */
async function start(
  command: string,
  args: readonly string[],
  main: readonly string[] = ['--conditions=weft-source', 'src/main.ts'],
): Promise<RunningChild> {
  const child = spawn(process.execPath, [...main, command, ...args], { cwd: appDirectory, stdio: ['ignore', 'pipe', 'inherit'] });
  const exitCode = once(child, 'exit').then(([code]) => code as number | null);
  cleanups.push(async () => {
    child.kill('SIGKILL');
    await exitCode;
  });
  const lines: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n')));
  const portOf = (message: string): number => {
    const line = lines.find((one) => one.includes(message)) ?? '{}';
    const event = JSON.parse(line) as { port?: number; fields?: { port: number } };
    return event.port ?? event.fields?.port ?? 0;
  };
  await vi.waitFor(() => {
    if (child.exitCode !== null) throw new Error(`exited with ${child.exitCode}: ${lines.join('\n')}`);
    expect(portOf('gRPC server listening')).toBeGreaterThan(0);
  }, 15_000);
  const client = new Client(`127.0.0.1:${portOf('gRPC server listening')}`, credentials.createInsecure());
  cleanups.push(() => client.close());

  const encode =
    <D extends DescMessage>(schema: D) =>
    (message: MessageShape<D>): Buffer =>
      Buffer.from(toBinary(schema, message));
  const decode =
    <D extends DescMessage>(schema: D) =>
    (bytes: Buffer): MessageShape<D> =>
      fromBinary(schema, bytes);
  const pathOf = (method: DescMethod): string => `/${method.parent.typeName}/${method.name}`;
  return {
    process: child,
    exitCode,
    async get(path) {
      const response = await fetch(`http://127.0.0.1:${portOf('Admin server listening')}${path}`);
      return `${response.status} ${await response.text()}`.replace(/^200 (?=#)/, '');
    },
    call: (method, request) =>
      new Promise((resolve, reject) => {
        const message = create(method.input, request as Record<string, unknown>);
        client.makeUnaryRequest(pathOf(method), encode(method.input), decode(method.output), message, (error, response) => {
          if (error !== null) reject(error);
          else resolve(response as MessageShape<(typeof method)['output']>);
        });
      }),
    stream(method, request, metadata = {}) {
      const headers = new Metadata();
      for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
      const message = create(method.input, request as Record<string, unknown>);
      const call = client.makeServerStreamRequest(
        pathOf(method),
        encode(method.input),
        decode(method.output) as (bytes: Buffer) => MessageShape<(typeof method)['output']>,
        message,
        headers,
      );
      const messages: MessageShape<(typeof method)['output']>[] = [];
      call.on('data', (one: MessageShape<(typeof method)['output']>) => messages.push(one));
      const status = new Promise<{ code: number; details: string }>((resolve) => {
        call.on('error', (error: ServiceError) => resolve({ code: error.code, details: error.details }));
        call.on('end', () => resolve({ code: 0, details: '' }));
      });
      return { messages, status };
    },
  };
}

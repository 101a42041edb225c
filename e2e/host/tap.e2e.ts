// SPDX-License-Identifier: Apache-2.0
/*
 * Taps of running proxies: by `weft tap` as a user types it, and by clients that may not. The mesh's own identity service makes every certificate
 * here.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigMapKind } from '@weft/resources';
import { connectHostRun } from '../../apps/cli/src/kube/connect-host-run.ts';
import { TapConnection } from '../../apps/cli/src/tap/observe-call.ts';
import { tapCredentials } from '../../apps/cli/src/tap/tap-identity.ts';
import { observeRequest } from '../../apps/cli/src/tap/tap-query.ts';
import { HostMesh, type PodView, until, weftCommand } from './mesh.ts';

const DOMAIN = 'serviceaccount.identity.linkerd.cluster.local';

let mesh: HostMesh;
let client: PodView;
let server: PodView;
const loadEnds = new AbortController();
let load: Promise<void> = Promise.resolve();

beforeAll(async () => {
  mesh = await HostMesh.start({ fixture: 'observe', name: 'tap' });
  client = await mesh.pod('e2e', 'client');
  server = await mesh.pod('e2e', 'server');
  load = (async () => {
    for (let i = 0; !loadEnds.signal.aborted; i += 1) {
      await mesh.client(client, 'http1', { host: 'server', path: `/load/${i % 2}?n=${i}`, count: 40, everyMs: 5 });
    }
  })();
});
afterAll(async () => {
  loadEnds.abort();
  await load.catch(() => undefined);
  await mesh?.stop();
});

/** A running `weft tap`. */
interface Tap {
  readonly child: ChildProcess;
  readonly lines: () => string[];
  readonly errors: () => string;
  end(): Promise<number | null>;
}

function startTap(...args: readonly string[]): Tap {
  const [binary = '', ...rest] = weftCommand('tap', ...args, '--run', mesh.name, '-n', 'e2e');
  const child = spawn(binary, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return {
    child,
    lines: () => stdout.split('\n').slice(0, -1),
    errors: () => stderr,
    end: async () => {
      child.kill('SIGINT');
      await until('weft tap ends', () => child.exitCode !== null || child.signalCode !== null);
      return child.exitCode;
    },
  };
}

describe('weft tap', () => {
  it('[CLI-52] [VIZ-08] shows requests, responses and ends of both proxies, secured by mTLS', async () => {
    const inbound = startTap('deploy/server');
    const outbound = startTap('deploy/client', '--to', 'deploy/server', '-o', 'wide', '--path', '/load/1');
    await until('events', () => {
      if (inbound.child.exitCode !== null || outbound.child.exitCode !== null) throw new Error(inbound.errors() + outbound.errors());
      return inbound.lines().length > 6 && outbound.lines().length > 6;
    });
    expect(await inbound.end()).toBe(0);
    expect(await outbound.end()).toBe(0);
    const flow = (proxy: string): string => `id=\\d+:\\d+ proxy=${proxy} src=${client.ip}:\\d+ dst=${server.ip}:8080 tls=true`;
    const patterns = (proxy: string, wide: string): RegExp[] => [
      new RegExp(`^req ${flow(proxy)} :method=GET :authority=server :path=/load/\\d\\?n=\\d+${wide}$`),
      new RegExp(`^rsp ${flow(proxy)} :status=200 latency=\\d+µs${wide}$`),
      new RegExp(`^end ${flow(proxy)} duration=\\d+µs response-length=\\d+B${wide}$`),
    ];
    const wide = ' src_res=deploy/client src_ns=e2e dst_res=deploy/server dst_ns=e2e';
    for (const [tap, forms] of [
      [inbound, patterns('in ', '')],
      [outbound, patterns('out', wide)],
    ] as const) {
      expect(tap.errors()).toBe('');
      const strange = tap.lines().filter((line) => !forms.some((form) => form.test(line)) && !line.includes('/healthz'));
      expect(strange.filter((line) => line.includes(client.ip))).toEqual([]);
      for (const form of forms) expect(tap.lines().some((line) => form.test(line))).toBe(true);
    }
    expect(outbound.lines().some((line) => line.includes('/load/0'))).toBe(false);
  });

  it('[CLI-52] [VIZ-09] writes JSON with header fields, and no more requests than it was allowed', async () => {
    const tap = startTap('deploy/server', '-o', 'json', '--max-rps', '3', '--path', '/load');
    const beganMs = performance.now();
    await until('three windows', () => tap.lines().filter((line) => line.includes('requestInitEvent')).length >= 7);
    const seconds = (performance.now() - beganMs) / 1000;
    await tap.end();
    const text = tap.lines().join('\n');
    const events = text
      .split(/^(?=\{$)/m)
      .flatMap((piece) => (piece.trimEnd().endsWith('\n}') ? [JSON.parse(piece) as Record<string, never>] : []));
    const requests = events.filter((event) => 'requestInitEvent' in event);
    expect(requests.length).toBeLessThanOrEqual(3 * (Math.ceil(seconds) + 1));
    expect(requests[0]).toMatchObject({
      source: { ip: client.ip, metadata: { tls: 'true', client_id: `client.e2e.${DOMAIN}`, deployment: 'client', namespace: 'e2e' } },
      destination: { ip: server.ip, port: 8080, metadata: { deployment: 'server', route_kind: 'default' } },
      proxyDirection: 'INBOUND',
      requestInitEvent: { method: 'GET', scheme: 'HTTP', authority: 'server' },
    });
    const { headers } = (requests[0] as unknown as { requestInitEvent: { headers: { name: string; valueStr: string }[] } })
      .requestInitEvent;
    expect(headers.slice(0, 2)).toEqual([
      { name: ':method', valueStr: 'GET' },
      { name: ':scheme', valueStr: 'http' },
    ]);
  });

  it('[VIZ-08] is for one identity: another one is refused, with or without TLS', async () => {
    const cluster = await connectHostRun(mesh.name);
    const anchors = (await cluster.get(ConfigMapKind, 'linkerd', 'linkerd-identity-trust-roots').catch(() => undefined))?.data?.[
      'ca-bundle.crt'
    ];
    const raw = (await mesh.get(`/api/v1/namespaces/e2e/pods/${server.name}`)) as {
      spec: Record<'containers' | 'initContainers', { env?: { name: string; value?: string }[] }[] | undefined>;
    };
    const variables = [...(raw.spec.initContainers ?? []), ...(raw.spec.containers ?? [])].flatMap(({ env }) => env ?? []);
    const trustAnchorsPem = anchors ?? variables.find(({ name }) => name === 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS')?.value ?? '';
    const credentials = await tapCredentials(cluster, 'linkerd', `client.e2e.${DOMAIN}`);
    const connection = await TapConnection.open(
      { host: server.ip, port: 4190, serverName: `server.e2e.${DOMAIN}`, trustAnchorsPem },
      credentials,
    );
    expect(await connection.observe(observeRequest({}, 1, false), () => {}, new AbortController().signal)).toEqual({
      status: 16,
      message: 'Unauthorized client',
    });
    connection.close();

    const session = connect(`http://${server.ip}:4190`);
    const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
      session.on('error', reject);
      session
        .request({ ':method': 'POST', ':path': '/io.linkerd.proxy.tap.Tap/Observe', 'content-type': 'application/grpc' })
        .on('response', resolve)
        .on('error', reject)
        .end();
    });
    session.destroy();
    expect(headers).toMatchObject({ 'grpc-status': '16', 'grpc-message': 'no_tls_from_remote' });
  });
});

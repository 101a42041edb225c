// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
/** Any certificate will do: nothing is certified here. */
const ANCHOR = readFileSync(new URL('testdata/anchor.pem', import.meta.url), 'utf8');

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function environment(changes: Record<string, string | undefined>): NodeJS.ProcessEnv {
  const directory = mkdtempSync(join(tmpdir(), 'weft-main-'));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'token'), 'token');
  const settings: Record<string, string | undefined> = {
    // Nobody listens on port 1, so the proxy comes up and waits for its certificate.
    DESTINATION_SVC_ADDR: '127.0.0.1:1',
    POLICY_SVC_ADDR: '127.0.0.1:1',
    IDENTITY_SVC_ADDR: '127.0.0.1:1',
    POLICY_WORKLOAD: '{"ns":"shop", "pod":"server"}\n',
    IDENTITY_TRUST_ANCHORS: ANCHOR,
    IDENTITY_LOCAL_NAME: 'server.shop.serviceaccount.identity.linkerd.cluster.local',
    IDENTITY_DIR: directory,
    IDENTITY_TOKEN_FILE: join(directory, 'token'),
    INBOUND_LISTEN_ADDR: '127.0.0.1:0',
    OUTBOUND_LISTEN_ADDR: '127.0.0.1:0',
    ADMIN_LISTEN_ADDR: '127.0.0.1:0',
    ...changes,
  };
  return {
    PATH: process.env['PATH'],
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [`LINKERD2_PROXY_${name}`, value])),
  };
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return port;
}

async function isAlive(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/live`).then(
    (response) => response.ok,
    () => false,
  );
}

interface Run {
  readonly child: ChildProcess;
  output: string;
  readonly exit: Promise<number | null>;
}

function start(changes: Record<string, string | undefined>, whole: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, ['--conditions=weft-source', '--disable-warning=ExperimentalWarning', '--single-threaded', MAIN], {
    env: { ...environment(changes), ...whole },
  });
  cleanups.push(() => child.kill('SIGKILL'));
  const run: Run = { child, output: '', exit: once(child, 'exit').then(([code]) => code as number | null) };
  child.stdout?.on('data', (chunk: Buffer) => (run.output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (run.output += chunk.toString()));
  return run;
}

describe('the process of the proxy', () => {
  it.each([
    [
      'a variable that is missing',
      { POLICY_WORKLOAD: undefined },
      /Invalid configuration: LINKERD2_PROXY_POLICY_WORKLOAD: is not set; give the workload/,
    ],
    [
      'a value that cannot be read',
      { OUTBOUND_CONNECT_TIMEOUT: '10' },
      /Invalid configuration: LINKERD2_PROXY_OUTBOUND_CONNECT_TIMEOUT: is not a duration; write/,
    ],
    ['trust anchors that are none', { IDENTITY_TRUST_ANCHORS: 'none' }, /LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS/],
    ['a directory that is not there', { IDENTITY_DIR: '/nonexistent' }, /LINKERD2_PROXY_IDENTITY_DIR: is no directory/],
  ])('exits with 64 for %s', async (_name, changes, message) => {
    const run = start(changes);
    expect(await run.exit).toBe(64);
    expect(run.output).toMatch(message);
  });

  it('exits with 1 where a port is taken', async () => {
    const taken = net.createServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    cleanups.push(() => taken.close());
    const { port } = taken.address() as net.AddressInfo;
    const run = start({ ADMIN_LISTEN_ADDR: `127.0.0.1:${port}` });
    expect(await run.exit).toBe(1);
    expect(run.output).toContain('cannot start');
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('[PROTO-24] exits with 0 on %s', async (signal) => {
    const port = await freePort();
    const run = start({ ADMIN_LISTEN_ADDR: `127.0.0.1:${port}` });
    await expect.poll(() => isAlive(port), { timeout: 20_000 }).toBe(true);
    run.child.kill(signal);
    expect(await run.exit).toBe(0);
    expect(run.output).toContain('shutting down');
  });

  it('exits with 64 on a log filter that cannot be read', async () => {
    const run = start({ LOG: 'info,a=b=c' });
    expect(await run.exit).toBe(64);
    expect(run.output).toMatch(/^Invalid configuration: LINKERD2_PROXY_LOG: invalid filter directive: "a=b=c"; write a list/m);
  });

  it('[LOG-02] [DBG-03] [DBG-04] logs as JSON, changes its level while it runs, and shows its environment', async () => {
    const port = await freePort();
    const run = start({ ADMIN_LISTEN_ADDR: `127.0.0.1:${port}`, LOG: 'warn', LOG_FORMAT: 'json' });
    await expect.poll(() => isAlive(port), { timeout: 20_000 }).toBe(true);
    const level = `http://127.0.0.1:${port}/proxy-log-level`;
    const levels = (): string[] =>
      run.output
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => (JSON.parse(line) as { level: string }).level);
    expect(await (await fetch(level)).text()).toBe('warn');
    expect((await fetch(level, { method: 'PUT', body: 'not=a=filter' })).status).toBe(400);
    expect(levels()).not.toContain('DEBUG');
    expect((await fetch(level, { method: 'PUT', body: 'warn,linkerd=debug' })).status).toBe(204);
    expect(await (await fetch(level)).text()).toBe('warn,linkerd=debug');
    // The control plane that does not answer is told of at debug.
    await expect.poll(levels, { timeout: 20_000 }).toContain('DEBUG');
    const environment = (await (await fetch(`http://127.0.0.1:${port}/env.json?LINKERD2_PROXY_LOG&NOT_THERE`)).json()) as unknown;
    expect(environment).toEqual({ LINKERD2_PROXY_LOG: 'warn', NOT_THERE: null });
    expect((await fetch(`http://127.0.0.1:${port}/debug/pprof/profile.pb.gz?seconds=1`)).status).toBe(404);
    run.child.kill('SIGTERM');
    expect(await run.exit).toBe(0);
  });

  it.each(['profile', 'heap'])('takes a %s profile where profiles are turned on', async (kind) => {
    const port = await freePort();
    const run = start({ ADMIN_LISTEN_ADDR: `127.0.0.1:${port}` }, { WEFT_PROFILING: 'true' });
    await expect.poll(() => isAlive(port), { timeout: 20_000 }).toBe(true);
    const response = await fetch(`http://127.0.0.1:${port}/debug/pprof/${kind}.pb.gz?seconds=1`);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/octet-stream']);
    const profile = gunzipSync(Buffer.from(await response.arrayBuffer())).toString('latin1');
    expect(profile).toContain(kind === 'heap' ? 'inuse_space' : 'nanoseconds');
    run.child.kill('SIGTERM');
    expect(await run.exit).toBe(0);
  });
});

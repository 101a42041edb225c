// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { parseAwaitFlags } from './await-flags.ts';

const MAIN = fileURLToPath(new URL('../await.ts', import.meta.url));

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Admin {
  readonly port: number;
  readonly requests: string[];
  /** Answers of `/ready`, one after another; the last one stays. */
  readonly readiness: number[];
}

/** Stands for a proxy's admin server. */
async function admin(readiness: number[], shutdownStatus = 200): Promise<Admin> {
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const status = request.url === '/shutdown' ? shutdownStatus : readiness.length > 1 ? readiness.shift() : readiness[0];
    response.writeHead(status ?? 500);
    response.end('said\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, requests, readiness };
}

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly done: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

function run(args: string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, ['--conditions=weft-source', MAIN, ...args], { env: { ...process.env, ...env } });
  cleanups.push(() => child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const done = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, stdout, stderr })),
  );
  return { child, output: () => stdout, done };
}

const sh = (script: string): string[] => ['--', 'sh', '-c', script];

describe('linkerd-await', () => {
  it('[INJ-25] waits until the proxy is ready, as the hook of a pod runs it', async () => {
    const { port, requests } = await admin([503, 503, 200]);
    expect((await run(['--timeout=2m', `--port=${port}`, '-b', '5ms']).done).code).toBe(0);
    expect(requests).toEqual(['GET /ready', 'GET /ready', 'GET /ready']);
  });

  it('[INJ-25] gives up after its time and says why', async () => {
    const { port } = await admin([503]);
    const { code, stderr } = await run(['--timeout=50ms', `--port=${port}`, '--backoff=10ms', ...sh('echo ran')]).done;
    expect(code).toBe(69);
    expect(stderr).toContain('it answers 503');
  });

  it('[INJ-25] waits for a proxy that does not listen yet', async () => {
    const { code, stderr } = await run(['--timeout=20ms', '--port=1', '--backoff=5ms', '--verbose']).done;
    expect(code).toBe(69);
    expect(stderr).toContain('ECONNREFUSED');
  });

  it('[INJ-25] runs the command with its arguments and gives its exit code', async () => {
    const { port, requests } = await admin([200]);
    const { code, stdout } = await run([`-p=${port}`, 'sh', '-c', 'echo "$0 $1"; exit 7', 'a b', 'c']).done;
    expect([code, stdout]).toEqual([7, 'a b c\n']);
    expect(requests).toEqual(['GET /ready']);
  });

  it('[INJ-25] [OP-07] ends the proxy when the command has ended, well or not', async () => {
    for (const exitCode of [0, 3]) {
      const { port, requests } = await admin([200]);
      expect((await run(['--shutdown', `--port=${port}`, ...sh(`exit ${exitCode}`)]).done).code).toBe(exitCode);
      expect(requests).toEqual(['GET /ready', 'POST /shutdown']);
    }
  });

  it('[INJ-25] [OP-07] passes signals on and still ends the proxy', async () => {
    const { port, requests } = await admin([200]);
    const script = 'trap "echo ended; exit 5" TERM; echo up; while :; do sleep 0.01; done';
    const { child, output, done } = run(['-S', `--port=${port}`, ...sh(script)]);
    await expect.poll(output).toBe('up\n');
    child.kill('SIGTERM');
    const { code, stdout } = await done;
    expect([code, stdout]).toEqual([5, 'up\nended\n']);
    expect(requests).toContain('POST /shutdown');
  });

  it('[INJ-25] gives the exit code of a shell for a command that a signal ended', async () => {
    const { port } = await admin([200]);
    expect((await run([`--port=${port}`, ...sh('kill -KILL $$')]).done).code).toBe(137);
  });

  it('[INJ-25] says when there is no such command, and ends the proxy all the same', async () => {
    const { port, requests } = await admin([200]);
    const { code, stderr } = await run(['--shutdown', `--port=${port}`, '--', '/no/such/command']).done;
    expect(code).toBe(127);
    expect(stderr).toContain('/no/such/command');
    expect(requests).toContain('POST /shutdown');
  });

  it('[INJ-25] tries again when the proxy does not take the shutdown, then says so', async () => {
    const busy = await admin([200], 500);
    expect((await run(['-S', `--port=${busy.port}`, '-b', '1ms', ...sh('exit 0')]).done).stderr).toContain('did not take /shutdown');
    expect(busy.requests.filter((line) => line === 'POST /shutdown')).toHaveLength(3);
    const closed = await admin([200], 404);
    const { code, stderr } = await run(['-S', `--port=${closed.port}`, ...sh('exit 0')]).done;
    expect([code, stderr]).toEqual([0, expect.stringContaining('admin shutdown')]);
    expect(closed.requests).toEqual(['GET /ready', 'POST /shutdown']);
  });

  it('[INJ-25] does not wait where a pod has no proxy', async () => {
    for (const name of ['LINKERD_AWAIT_DISABLED', 'LINKERD_DISABLED']) {
      const { code, stdout } = await run(['--shutdown', '--port=1', ...sh('echo ran')], { [name]: 'no mesh here' }).done;
      expect([code, stdout]).toEqual([0, 'ran\n']);
    }
  });
});

describe('parseAwaitFlags', () => {
  it('takes everything after the first word or `--` as the command', () => {
    expect(parseAwaitFlags(['-S', '--', '--port', 'x'])).toMatchObject({ isShutdown: true, port: 4191, command: ['--port', 'x'] });
    expect(parseAwaitFlags(['-t', '5s', 'app', '--port=1'])).toMatchObject({ timeoutMs: 5000, command: ['app', '--port=1'] });
  });

  const refused: [string[], string][] = [
    [['--port'], '--port'],
    [['--port=0'], '--port'],
    [['--timeout', 'soon'], '--timeout'],
    [['--backoff=0s'], '--backoff'],
    [['--unknown'], '--unknown'],
    [['--shutdown=yes', 'app'], '--shutdown'],
    [['--shutdown'], '--shutdown'],
  ];
  it.each(refused)('refuses %j', (args, culprit) => {
    expect(parseAwaitFlags(args)).toEqual(expect.stringContaining(culprit));
  });
});

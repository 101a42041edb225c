// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import net from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { listen } from './index.ts';

it('goes on accepting after the process ran out of descriptors', () => {
  const script = fileURLToPath(new URL('testdata/descriptor-exhaustion.ts', import.meta.url));
  const command = `ulimit -n 100; exec '${process.execPath}' --conditions=weft-source --disable-warning=ExperimentalWarning '${script}'`;
  const result = spawnSync('sh', ['-c', command], { encoding: 'utf8', timeout: 20_000 });
  expect(result.stderr).toBe('');
  expect(JSON.parse(result.stdout)).toEqual({ isExhausted: true, isAlive: true });
});

it('rejects when the address is taken, and frees it on close', async () => {
  const options = { host: '127.0.0.1', originalDestination: false, onConnection: () => {}, onError: () => {} };
  const first = await listen({ ...options, port: 0 });
  await expect(listen({ ...options, port: first.address.port })).rejects.toThrow('EADDRINUSE');
  first.close();
  first.close();
  const second = await listen({ ...options, port: first.address.port });
  second.close();
});

it('shares a port between listeners when asked to', async () => {
  const options = { host: '127.0.0.1', reusePort: true, originalDestination: false, onConnection: () => {}, onError: () => {} };
  const first = await listen({ ...options, port: 0 });
  const second = await listen({ ...options, port: first.address.port });
  expect(second.address).toEqual(first.address);
  first.close();
  second.close();
});

it('works in worker threads that share a port', async () => {
  const start = async (port: number): Promise<{ worker: Worker; port: number }> => {
    const worker = new Worker(new URL('testdata/worker-echo.ts', import.meta.url), {
      workerData: { port },
      execArgv: ['--conditions=weft-source'],
    });
    return { worker, port: await new Promise<number>((resolve, reject) => worker.on('message', resolve).on('error', reject)) };
  };
  const first = await start(0);
  const second = await start(first.port);
  const answers = await Promise.all(
    Array.from(
      { length: 20 },
      (_, index) =>
        new Promise<string>((resolve, reject) => {
          const socket = net.connect(first.port, '127.0.0.1');
          socket.on('error', reject);
          socket.on('data', (chunk: Buffer) => {
            resolve(chunk.toString());
            socket.destroy();
          });
          socket.write(`message ${index}`);
        }),
    ),
  );
  expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => `message ${index}`));
  await first.worker.terminate();
  await second.worker.terminate();
});

// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
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

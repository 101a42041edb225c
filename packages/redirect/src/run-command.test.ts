// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCommand, writeSysctl } from './run-command.ts';

describe('runCommand', () => {
  it('gives status, output and errors, and takes input', async () => {
    expect(await runCommand(['cat'], 'input')).toEqual({ status: 0, stdout: 'input', stderr: '' });
    expect(await runCommand(['sh', '-c', 'echo wrong >&2; exit 7'])).toEqual({ status: 7, stdout: '', stderr: 'wrong\n' });
    expect(await runCommand(['/no/such/binary'], 'never read')).toMatchObject({ status: undefined });
  });
});

describe('writeSysctl', () => {
  it('[NET-06] writes the file of the setting where an image has no sysctl', () => {
    const root = mkdtempSync(join(tmpdir(), 'weft-sysctl-'));
    try {
      mkdirSync(join(root, 'net/netfilter'), { recursive: true });
      const name = 'net.netfilter.nf_conntrack_tcp_timeout_close_wait';
      expect(writeSysctl(['-w', `${name}=3600`], root)).toEqual({ status: 0, stdout: `${name} = 3600\n`, stderr: '' });
      expect(readFileSync(join(root, 'net/netfilter/nf_conntrack_tcp_timeout_close_wait'), 'utf8')).toBe('3600');
      expect(writeSysctl(['-w', 'net.other.missing=1'], root)).toMatchObject({ status: 1, stderr: expect.stringContaining('privileged') });
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});

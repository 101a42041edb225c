// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestMesh, type TestLeaf } from '@weft/pki/testing';
import { Logger } from '@weft/telemetry';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { watchCertificateFiles } from './certificate-files.ts';
import type { CertificateSource } from './types.ts';

const mesh = createTestMesh();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-tls-'));
  cleanups.push(() => rmSync(path, { recursive: true }));
  return path;
}

function watch(path: string, lines: string[] = []): CertificateSource {
  const logger = Logger.create({ filter: 'info', write: (line) => lines.push(line) });
  const source = watchCertificateFiles(path, { logger, limits: { settleMs: 20, rereadMs: 300 } });
  cleanups.push(() => source.close());
  return source;
}

function write(path: string, { chainPem, privateKeyPem }: TestLeaf): void {
  writeFileSync(join(path, 'tls.crt'), chainPem);
  writeFileSync(join(path, 'tls.key'), privateKeyPem);
}

/** Swaps `..data` as the kubelet does. */
function mount(path: string, revision: string, leaf: TestLeaf): void {
  mkdirSync(join(path, `..${revision}`));
  write(join(path, `..${revision}`), leaf);
  symlinkSync(`..${revision}`, join(path, '..data_tmp'));
  renameSync(join(path, '..data_tmp'), join(path, '..data'));
}

describe('watchCertificateFiles', () => {
  it('takes a new pair when the kubelet swaps the mount', async () => {
    const [path, one, two] = [directory(), mesh.leafFor('a'), mesh.leafFor('a')];
    mount(path, '1', one);
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, join(path, name));
    const source = watch(path);
    await source.loaded;
    expect(source.current?.certificatePem).toBe(one.chainPem);
    const changes: string[] = [];
    source.onChange(({ certificatePem }) => changes.push(certificatePem));
    mount(path, '2', two);
    await vi.waitFor(() => expect(changes).toEqual([two.chainPem]), 5_000);
  });

  it('keeps the old pair when the new one is of no use, and says so once', async () => {
    const [path, one, two, lines] = [directory(), mesh.leafFor('a'), mesh.leafFor('a'), [] as string[]];
    write(path, one);
    const source = watch(path, lines);
    await source.loaded;
    writeFileSync(join(path, 'tls.key'), two.privateKeyPem);
    const complaints = (): string[] => lines.filter((line) => line.includes('Certificate not taken'));
    await vi.waitFor(() => expect(complaints()).toHaveLength(1), 5_000);
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(complaints()).toHaveLength(1);
    expect(source.current?.certificatePem).toBe(one.chainPem);
    write(path, two);
    await vi.waitFor(() => expect(source.current?.certificatePem).toBe(two.chainPem), 5_000);
  });

  it('waits for a directory that is not there yet, and keeps the pair of one that went away', async () => {
    const [path, one] = [join(directory(), 'later'), mesh.leafFor('a')];
    const source = watch(path);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(source.current).toBeUndefined();
    mkdirSync(path);
    write(path, one);
    await source.loaded;
    rmSync(path, { recursive: true });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(source.current?.certificatePem).toBe(one.chainPem);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { writeTar } from '@weft/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryRegistry } from './memory-registry.ts';
import { pushImage } from './push-image.ts';
import { digestOf, Repository } from './registry.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** An archive with a layer of its own and one that both architectures share. */
function archiveOf(architecture: string, damage: (digest: string) => boolean = () => false): Uint8Array {
  const blobs = new Map<string, Buffer>();
  const keep = (bytes: Buffer): { readonly digest: string; readonly size: number } => {
    blobs.set(digestOf(bytes), bytes);
    return { digest: digestOf(bytes), size: bytes.length };
  };
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const config = keep(json({ architecture }));
  const layers = [keep(Buffer.from('shared')), keep(Buffer.from(`only ${architecture}`))];
  const manifest = keep(json({ schemaVersion: 2, mediaType: MANIFEST, config, layers }));
  const index = { manifests: [{ mediaType: MANIFEST, ...manifest, platform: { architecture, os: 'linux' }, annotations: { a: 'b' } }] };
  const file = (path: string, contents: Buffer) => ({ type: 'file' as const, path, mode: 0o644, contents });
  return writeTar([
    file('index.json', json(index)),
    ...[...blobs].map(([digest, bytes]) => file(`blobs/${digest.replace(':', '/')}`, damage(digest) ? Buffer.from('?') : bytes)),
  ]);
}

let registry: MemoryRegistry;
const repository = (credentials?: { readonly user: string; readonly password: string }): Repository =>
  new Repository('weft/proxy', { origin: `http://${registry.host}`, ...(credentials === undefined ? {} : { credentials }) });

beforeEach(async () => {
  registry = await MemoryRegistry.start();
});
afterEach(() => registry.close());

describe('a pushed image', () => {
  it('is one tag over an image per architecture, with shared layers sent once', async () => {
    const { digest, isOld } = await pushImage(repository(), '1.2.3', [archiveOf('amd64'), archiveOf('arm64')]);
    const stored = registry.manifests.get('weft/proxy:1.2.3');
    expect([digest, isOld]).toEqual([digestOf(stored?.bytes ?? Buffer.of()), false]);
    const { manifests } = JSON.parse(stored?.bytes.toString() ?? '{}') as { readonly manifests: readonly object[] };
    expect(manifests).toEqual(
      ['amd64', 'arm64'].map((architecture) => ({
        mediaType: MANIFEST,
        digest: expect.stringMatching(/^sha256:/) as string,
        size: expect.any(Number) as number,
        platform: { architecture, os: 'linux' },
      })),
    );
    expect(registry.requests.filter((request) => request.startsWith('POST'))).toHaveLength(5);
  });

  it('is not replaced', async () => {
    const first = await pushImage(repository(), '1.2.3', [archiveOf('amd64')]);
    expect(await pushImage(repository(), '1.2.3', [archiveOf('arm64')])).toEqual({ digest: first.digest, manifests: [], isOld: true });
  });

  it('is refused where its archive is not whole', async () => {
    await expect(
      pushImage(repository(), '1', [archiveOf('amd64', (digest) => digest === digestOf(Buffer.from('shared')))]),
    ).rejects.toThrow('has other contents');
    expect(registry.manifests.size).toBe(0);
  });
});

describe('a registry with tokens', () => {
  it('gives one for the credentials, and says no without', async () => {
    registry.close();
    registry = await MemoryRegistry.start('t0ken');
    await expect(pushImage(repository(), '1', [archiveOf('amd64')])).rejects.toMatchObject({ status: 401 });
    await expect(pushImage(repository({ user: 'robot', password: 'wrong' }), '1', [archiveOf('amd64')])).rejects.toMatchObject({
      status: 403,
    });
    expect((await pushImage(repository({ user: 'robot', password: 'secret' }), '1', [archiveOf('amd64')])).isOld).toBe(false);
  });
});

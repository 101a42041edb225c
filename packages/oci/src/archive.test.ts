// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { archiveBlocks, compressedBytes, joinArchives, readArchive } from './archive.ts';
import type { Architecture } from './elf.ts';
import { type Image, buildImage } from './image.ts';
import { buildLayer } from './layer.ts';
import { lookUp, rootFilesystem } from './root-filesystem.ts';
import { spdxDocument } from './spdx.ts';
import { readTar } from './tar-reader.ts';
import type { TarEntry } from './tar-writer.ts';

const reference = { repository: 'example.com/weft/thing', tag: '1.2.3' };
const base = buildLayer('base', [
  { type: 'symlink', path: 'lib', mode: 0o777, target: 'usr/lib' },
  { type: 'file', path: 'usr/lib/a', mode: 0o644, contents: Buffer.from('old') },
  { type: 'symlink', path: 'usr/lib/link', mode: 0o777, target: '/lib/a' },
  { type: 'symlink', path: 'loop', mode: 0o777, target: 'loop' },
]);
const app = buildLayer('app', [{ type: 'file', path: 'usr/lib/a', mode: 0o755, contents: Buffer.from('new') }]);

function image(architecture: Architecture): Image {
  return buildImage({
    architecture,
    layers: [base, app],
    created: '1970-01-01T00:00:00Z',
    settings: { user: '2102:2102', entrypoint: ['/x'], environment: { PATH: '/bin' }, labels: { b: '2', a: '1' } },
  });
}

const json = (entry: TarEntry | undefined): Record<string, never> =>
  JSON.parse(entry?.type === 'file' ? Buffer.from(entry.contents).toString() : '{}') as Record<string, never>;

describe('image archives', () => {
  it('names the image for containerd, for OCI tools and for docker load', () => {
    const entries = new Map(readTar(Buffer.concat(archiveBlocks([image('arm64')], reference))).map((entry) => [entry.path, entry]));
    expect(json(entries.get('oci-layout'))).toEqual({ imageLayoutVersion: '1.0.0' });
    expect(json(entries.get('index.json'))).toMatchObject({
      schemaVersion: 2,
      manifests: [
        {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          platform: { architecture: 'arm64', os: 'linux' },
          annotations: {
            'io.containerd.image.name': 'example.com/weft/thing:1.2.3',
            'org.opencontainers.image.ref.name': '1.2.3',
          },
        },
      ],
    });
    expect(json(entries.get('manifest.json'))).toMatchObject([{ RepoTags: ['example.com/weft/thing:1.2.3'] }]);
  });

  it('gives back what went in, and the same bytes each time', () => {
    const blocks = Buffer.concat(archiveBlocks([image('amd64')], reference));
    expect(blocks.equals(Buffer.concat(archiveBlocks([image('amd64')], reference)))).toBe(true);
    const [read] = readArchive(blocks).images;
    expect(read).toMatchObject({ architecture: 'amd64', reference: 'example.com/weft/thing:1.2.3' });
    expect(read?.config).toMatchObject({
      architecture: 'amd64',
      os: 'linux',
      config: { User: '2102:2102', Entrypoint: ['/x'], Env: ['PATH=/bin'], Labels: { a: '1', b: '2' } },
      rootfs: { diff_ids: [base.diffId, app.diffId] },
    });
  });

  it('joins the images of several architectures under one index', () => {
    const { images } = readArchive(Buffer.concat(archiveBlocks([image('amd64'), image('arm64')], reference)));
    expect(images.map(({ architecture }) => architecture)).toEqual(['amd64', 'arm64']);
    expect(images[0]?.reference).toBe('example.com/weft/thing:1.2.3');
  });

  it('joins finished archives, with the same manifests', () => {
    const single = (architecture: Architecture): Buffer => Buffer.concat(archiveBlocks([image(architecture)], reference));
    const joined = Buffer.concat(joinArchives([single('amd64'), single('arm64')]));
    expect(joined.equals(Buffer.concat(archiveBlocks([image('amd64'), image('arm64')], reference)))).toBe(true);
    const other = Buffer.concat(archiveBlocks([image('arm64')], { ...reference, tag: '2' }));
    expect(() => joinArchives([single('amd64'), other])).toThrow(/have one name/);
    expect(() => joinArchives([joined])).toThrow(/exactly one image/);
  });

  it('refuses two images of one architecture', () => {
    expect(() => archiveBlocks([image('amd64'), image('amd64')], reference)).toThrow(RangeError);
  });

  it('notices a blob with other contents', () => {
    const archive = Buffer.concat(archiveBlocks([image('amd64')], reference));
    const at = archive.indexOf('"User":"2102:2102"');
    archive.write('0', at + '"User":"'.length);
    expect(() => readArchive(archive)).toThrow(/other contents/);
  });

  it('counts what a registry transfers', () => {
    const built = image('amd64');
    expect(compressedBytes(built)).toBe(base.blob.length + app.blob.length + built.config.size + built.manifest.size);
  });
});

describe('the root directory of an image', () => {
  const root = rootFilesystem([base.blob, app.blob]);

  it('shows the later layer', () => {
    expect(root.get('usr/lib/a')).toMatchObject({ mode: 0o755 });
  });

  it.each([
    ['/lib/a', 'usr/lib/a'],
    ['/lib/link', 'usr/lib/a'],
    ['/usr/lib/../lib/a', 'usr/lib/a'],
    ['/lib', 'usr/lib'],
    ['/loop', undefined],
    ['/nothing', undefined],
  ])('follows links: %s is %s', (path, expected) => {
    expect(lookUp(root, path)?.path).toBe(expected);
  });

  it('refuses whiteouts and changes of kind', () => {
    const whiteout = buildLayer('w', [{ type: 'file', path: 'usr/.wh.lib', mode: 0, contents: Buffer.alloc(0) }]);
    const change = buildLayer('c', [{ type: 'file', path: 'lib', mode: 0, contents: Buffer.alloc(0) }]);
    expect(() => rootFilesystem([base.blob, whiteout.blob])).toThrow(/whiteout/);
    expect(() => rootFilesystem([base.blob, change.blob])).toThrow(/it was a symlink/);
  });
});

describe('lists of software', () => {
  it('relates every part to the image, the same text for any order', () => {
    const parts = [
      { name: '@scope/module', version: '1.0.0', purl: 'pkg:npm/%40scope/module@1.0.0', licence: 'MIT' },
      { name: 'libc6', version: '2.41-12', purl: 'pkg:deb/debian/libc6@2.41-12', sha256: 'ab' },
    ];
    const list = { name: 'x', version: '1', digest: 'sha256:00', created: '1970-01-01T00:00:00Z', parts };
    const text = spdxDocument(list);
    expect(spdxDocument({ ...list, parts: parts.toReversed() })).toBe(text);
    const document = JSON.parse(text) as { packages: { SPDXID: string; name: string }[]; relationships: { relatedSpdxElement: string }[] };
    expect(document.packages.map(({ name }) => name)).toEqual(['x', 'libc6', '@scope/module']);
    expect(document.relationships.map(({ relatedSpdxElement }) => relatedSpdxElement)).toEqual(
      document.packages.map(({ SPDXID }) => SPDXID),
    );
    for (const { SPDXID } of document.packages) expect(SPDXID).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/);
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * Reads tar archives: ustar, pax extended headers and GNU long names, which is what Debian packages, npm packages and image layers are made of.
 * The whole archive is in memory, and the entries' contents are views of it. Hard links come out as files with the contents of their target.
 */
import type { TarEntry } from './tar-writer.ts';

const BLOCK_BYTES = 512;
const XATTR_PREFIX = 'SCHILY.xattr.';
/** Type flags that carry no file of their own for us: character and block devices, FIFOs, global pax headers. */
const IGNORED_FLAGS = new Set(['3', '4', '6', 'g']);

/** An archive that is cut off, or whose headers make no sense. */
export class TarFormatError extends Error {
  override name = 'TarFormatError';
}

/** All entries in their order. Paths lose a leading `./` or `/` and a trailing `/`; the root itself is left out. Throws TarFormatError. */
export function readTar(archive: Uint8Array): TarEntry[] {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  const entries: TarEntry[] = [];
  const files = new Map<string, Uint8Array>();
  let extended = new Map<string, Buffer>();
  let offset = 0;
  while (offset + BLOCK_BYTES <= bytes.length) {
    const block = bytes.subarray(offset, offset + BLOCK_BYTES);
    offset += BLOCK_BYTES;
    if (block[0] === 0) break;
    checkSum(block);
    const flag = String.fromCharCode(block[156] ?? 0).replace('\0', '0');
    const sizeBytes = extended.has('size') ? Number(extended.get('size')) : number(block, 124, 12);
    if (offset + sizeBytes > bytes.length) throw new TarFormatError('the archive ends inside an entry');
    const data = bytes.subarray(offset, offset + sizeBytes);
    offset += Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
    if (flag === 'x') {
      for (const [key, value] of readPax(data)) extended.set(key, value);
      continue;
    }
    if (flag === 'L' || flag === 'K') {
      extended.set(flag === 'L' ? 'path' : 'linkpath', data.subarray(0, data.indexOf(0) === -1 ? data.length : data.indexOf(0)));
      continue;
    }
    const path = normalise(extended.get('path')?.toString() ?? ustarName(block));
    const target = extended.get('linkpath')?.toString() ?? text(block, 157, 100);
    const xattrs: Record<string, Uint8Array> = {};
    for (const [key, value] of extended) if (key.startsWith(XATTR_PREFIX)) xattrs[key.slice(XATTR_PREFIX.length)] = value;
    extended = new Map();
    if (path === '' || IGNORED_FLAGS.has(flag)) continue;
    const common = {
      path,
      mode: number(block, 100, 8) & 0o7777,
      uid: number(block, 108, 8),
      gid: number(block, 116, 8),
      mtimeSeconds: number(block, 136, 12),
      ...(Object.keys(xattrs).length > 0 ? { xattrs } : {}),
    };
    if (flag === '5') entries.push({ ...common, type: 'directory' });
    else if (flag === '2') entries.push({ ...common, type: 'symlink', target });
    else if (flag === '0' || flag === '7' || flag === '1') {
      const contents = flag === '1' ? files.get(normalise(target)) : data;
      if (contents === undefined) throw new TarFormatError(`the hard link ${path} is to ${target}, which does not come before it`);
      files.set(path, contents);
      entries.push({ ...common, type: 'file', contents });
    } else throw new TarFormatError(`the entry ${path} has the unknown type ${JSON.stringify(flag)}`);
  }
  return entries;
}

function* readPax(data: Buffer): Generator<[string, Buffer]> {
  let offset = 0;
  while (offset < data.length) {
    const space = data.indexOf(0x20, offset);
    const length = Number(data.toString('latin1', offset, space));
    const equals = data.indexOf(0x3d, space);
    if (space === -1 || equals === -1 || !Number.isInteger(length) || length <= equals - offset || offset + length > data.length)
      throw new TarFormatError('a pax header is malformed');
    yield [data.toString('utf8', space + 1, equals), data.subarray(equals + 1, offset + length - 1)];
    offset += length;
  }
}

function ustarName(block: Buffer): string {
  const name = text(block, 0, 100);
  // GNU headers use the prefix field for times.
  const prefix = text(block, 257, 8).startsWith('ustar ') ? '' : text(block, 345, 155);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function normalise(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new TarFormatError(`the path ${path} leaves the archive`);
  return parts.join('/');
}

function text(block: Buffer, offset: number, widthBytes: number): string {
  const field = block.subarray(offset, offset + widthBytes);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? widthBytes : end);
}

/** An octal field, or the base-256 form that large sizes take. */
function number(block: Buffer, offset: number, widthBytes: number): number {
  if (((block[offset] ?? 0) & 0x80) !== 0) return block.readUIntBE(offset + widthBytes - 6, 6);
  const value = Number.parseInt(text(block, offset, widthBytes).trim() || '0', 8);
  if (Number.isNaN(value)) throw new TarFormatError('a number in a header is not octal');
  return value;
}

function checkSum(block: Buffer): void {
  let sum = 8 * 0x20;
  for (let index = 0; index < BLOCK_BYTES; index += 1) if (index < 148 || index >= 156) sum += block[index] ?? 0;
  if (sum !== number(block, 148, 8)) throw new TarFormatError('the checksum of a header is wrong');
}

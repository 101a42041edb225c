// SPDX-License-Identifier: Apache-2.0
/*
 * Reads what an image needs to know of a 64-bit little-endian ELF file (System V ABI, chapters 4 and 5): its machine, its interpreter and the
 * shared libraries that it names (`DT_NEEDED`). This works for any architecture on any machine, where `ldd` runs the file's own loader. Also drops
 * what no running process reads: symbols and section headers, a fifth of Node's binary.
 */

/** ELF machine numbers of the architectures that images are made for. */
export const ELF_MACHINES = { amd64: 62, arm64: 183 } as const;

/** An architecture in OCI's (and Go's) words. */
export type Architecture = keyof typeof ELF_MACHINES;

/** What an ELF file needs to be executed or loaded. */
export interface ElfSummary {
  readonly machine: number;
  /** Path of the dynamic loader; undefined in static executables and in libraries. */
  readonly interpreter: string | undefined;
  /** Library names, in the order in which the loader looks for them. */
  readonly needed: readonly string[];
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
}

/** Whether the bytes start like an ELF file. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= HEADER_BYTES && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/** Reads an ELF file. Throws RangeError where it is not a 64-bit little-endian one, or is cut off. */
export function readElf(contents: Uint8Array): ElfSummary {
  const bytes = view(contents);
  const segments = readSegments(bytes);
  const interp = segments.find(({ type }) => type === PT_INTERP);
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  return {
    machine: bytes.readUInt16LE(18),
    interpreter: interp === undefined ? undefined : cString(bytes, interp.offset),
    needed: dynamic === undefined ? [] : readNeeded(bytes, dynamic, segments),
  };
}

/** The file without section headers and everything behind the last segment. The result is a copy that runs like the original. */
export function stripSections(contents: Uint8Array): Buffer {
  const bytes = view(contents);
  let end = HEADER_BYTES + readSegments(bytes).length * PROGRAM_HEADER_BYTES;
  for (const { offset, fileBytes } of readSegments(bytes)) end = Math.max(end, offset + fileBytes);
  const stripped = Buffer.from(bytes.subarray(0, end));
  stripped.writeBigUInt64LE(0n, 40);
  stripped.writeUInt16LE(0, 60);
  stripped.writeUInt16LE(0, 62);
  return stripped;
}

function view(contents: Uint8Array): Buffer {
  if (!isElf(contents) || contents[4] !== 2 || contents[5] !== 1) throw new RangeError('not a 64-bit little-endian ELF file');
  return Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength);
}

function readSegments(bytes: Buffer): Segment[] {
  const start = Number(bytes.readBigUInt64LE(32));
  const sizeBytes = bytes.readUInt16LE(54);
  return Array.from({ length: bytes.readUInt16LE(56) }, (_, index) => {
    const at = start + index * sizeBytes;
    return {
      type: bytes.readUInt32LE(at),
      offset: Number(bytes.readBigUInt64LE(at + 8)),
      address: Number(bytes.readBigUInt64LE(at + 16)),
      fileBytes: Number(bytes.readBigUInt64LE(at + 32)),
    };
  });
}

function readNeeded(bytes: Buffer, dynamic: Segment, segments: readonly Segment[]): string[] {
  const names: number[] = [];
  let stringsAddress = 0;
  for (let at = dynamic.offset; at + 16 <= dynamic.offset + dynamic.fileBytes; at += 16) {
    const tag = bytes.readBigInt64LE(at);
    const value = Number(bytes.readBigUInt64LE(at + 8));
    if (tag === 0n) break;
    if (tag === DT_NEEDED) names.push(value);
    if (tag === DT_STRTAB) stringsAddress = value;
  }
  const home = segments.find(
    ({ type, address, fileBytes }) => type === PT_LOAD && stringsAddress >= address && stringsAddress < address + fileBytes,
  );
  if (home === undefined) {
    if (names.length === 0) return [];
    throw new RangeError('the dynamic string table is in no segment');
  }
  return names.map((name) => cString(bytes, home.offset + stringsAddress - home.address + name));
}

function cString(bytes: Buffer, offset: number): string {
  const end = bytes.indexOf(0, offset);
  if (end === -1) throw new RangeError('a string of the ELF file has no end');
  return bytes.toString('utf8', offset, end);
}

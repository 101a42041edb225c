// SPDX-License-Identifier: Apache-2.0
/*
 * An executable that brings its own loader and libraries. Node needs the C library of its build or a newer one, libstdc++ and libatomic; a
 * node of a cluster may have none of them, and then the plugin could not even start, which would hold up every pod there. So the
 * installer puts the libraries that it runs with itself beside the plugin and makes the plugin's ELF file name them. Nothing of the host
 * is used or changed. Source: System V ABI, "Program Loading and Dynamic Linking".
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { basename } from 'node:path';

/** One library by the name that it is asked for. */
export interface Library {
  readonly name: string;
  readonly content: Uint8Array;
}

/** The executable, and the directory that has to be beside it. */
export interface PortableExecutable {
  readonly content: Buffer;
  /** '' when no library is needed. */
  readonly libraryDir: string;
}

/** Begins the names of directories of libraries. */
export const LIBRARY_DIR_PREFIX = '.weft-';
/** The loaders of glibc, on every architecture. */
const LOADER = /^ld-linux[-\w]*\.so\.\d+$/;

const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_STRTAB = 5;
const DT_RPATH = 15;
const DT_DEBUG = 21;
const DT_RUNPATH = 29;

interface Segment {
  readonly type: number;
  /** Where its entry in the program header table is. */
  readonly at: number;
  readonly offset: number;
  readonly address: bigint;
  readonly bytes: number;
}

/** Paths of the libraries that this very process has loaded; Node's binary in the plugin is the same, so it needs the same. */
export function ownLibraries(): string[] {
  const report: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report;
  // Names of peers would be looked up otherwise.
  report.excludeNetwork = true;
  const { sharedObjects } = report.getReport() as unknown as { readonly sharedObjects: readonly string[] };
  return sharedObjects.filter((path) => path.startsWith('/') && /\.so(\.|$)/.test(basename(path)));
}

/**
 * The executable with `libraries` in a directory beside it; `directory` is where it will be on the host. What is no dynamic ELF file comes
 * back as it is. Throws an Error for an ELF file that has no room for the change.
 */
export function makePortable(executable: Buffer, libraries: readonly Library[], directory: string): PortableExecutable {
  const loader = libraries.find(({ name }) => LOADER.test(name));
  const segments = segmentsOf(executable);
  const interpreter = segments.find(({ type }) => type === PT_INTERP);
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (loader === undefined || interpreter === undefined || dynamic === undefined) return { content: executable, libraryDir: '' };

  const libraryDir = LIBRARY_DIR_PREFIX + digest(libraries);
  const search = Buffer.from(`$ORIGIN/${libraryDir}\0`);
  if (search.length > interpreter.bytes) throw new Error('the executable has no room for the path of its libraries');
  const path = Buffer.from(`${directory}/${libraryDir}/${loader.name}\0`);
  const content = Buffer.concat([executable, path]);
  // The kernel reads the loader's path from the file, wherever it stands in it.
  content.writeBigUInt64LE(BigInt(executable.length), interpreter.at + 8);
  content.writeBigUInt64LE(BigInt(path.length), interpreter.at + 32);
  content.writeBigUInt64LE(BigInt(path.length), interpreter.at + 40);
  // Its old place is mapped into memory, so the search path can stand there; the loader takes it as an offset from the table of names.
  search.copy(content, interpreter.offset);
  writeSearchPath(content, dynamic, interpreter.address);
  return { content, libraryDir };
}

/** Puts the search path into the place of an entry that only debuggers read. */
function writeSearchPath(content: Buffer, dynamic: Segment, address: bigint): void {
  let names: bigint | undefined;
  let free: number | undefined;
  for (let at = dynamic.offset; at + 16 <= dynamic.offset + dynamic.bytes; at += 16) {
    const tag = Number(content.readBigUInt64LE(at));
    if (tag === 0) break;
    if (tag === DT_STRTAB) names = content.readBigUInt64LE(at + 8);
    else if (tag === DT_RPATH || tag === DT_RUNPATH || (tag === DT_DEBUG && free === undefined)) free = at;
  }
  if (names === undefined || free === undefined) throw new Error('the executable has no room for a search path');
  content.writeBigUInt64LE(BigInt(DT_RPATH), free);
  content.writeBigUInt64LE(BigInt.asUintN(64, address - names), free + 8);
}

/** Of a 64-bit little-endian ELF file; none of anything else. */
function segmentsOf(file: Buffer): Segment[] {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f_45_4c_46 || file[4] !== 2 || file[5] !== 1) return [];
  const start = Number(file.readBigUInt64LE(32));
  const entryBytes = file.readUInt16LE(54);
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = start + index * entryBytes;
    return {
      type: file.readUInt32LE(at),
      at,
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: file.readBigUInt64LE(at + 16),
      bytes: Number(file.readBigUInt64LE(at + 32)),
    };
  });
}

/** Libraries of another build go into another directory, so that a plugin that is just starting keeps its own. */
function digest(libraries: readonly Library[]): string {
  const hash = createHash('sha256');
  for (const { name, content } of libraries) hash.update(`${name}\0${content.length}\0`).update(content);
  return hash.digest('hex').slice(0, 8);
}

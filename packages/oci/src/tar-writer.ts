// SPDX-License-Identifier: Apache-2.0
/*
 * Writes tar archives (POSIX.1-2001 pax, on ustar headers) whose bytes depend on nothing but their entries: no clock, no user names, entries in
 * the order given. Extended attributes go into `SCHILY.xattr.*` records, as every container runtime reads them (OCI image-spec layer.md, "Layer
 * Changesets"). What a layer is, its order and its parents, is layer.ts.
 */

/** What every entry has. Paths are relative, separated by `/`, without a trailing one. */
interface TarEntryBase {
  readonly path: string;
  /** Permission bits with set-user-ID, set-group-ID and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since 1970. */
  readonly mtimeSeconds?: number;
  /** Extended attributes by their full name, `security.capability` say. */
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
}

/** One entry of a tar archive. */
export type TarEntry =
  | (TarEntryBase & { readonly type: 'file'; readonly contents: Uint8Array })
  | (TarEntryBase & { readonly type: 'directory' })
  | (TarEntryBase & { readonly type: 'symlink'; readonly target: string });

const BLOCK_BYTES = 512;
const NAME_BYTES = 100;
const XATTR_PREFIX = 'SCHILY.xattr.';
const TYPE_FLAGS = { file: '0', symlink: '2', directory: '5' } as const;

/** All blocks of an archive with these entries, end marker included. The buffers of large files are the callers' own, not copies. */
export function tarBlocks(entries: Iterable<TarEntry>): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (const entry of entries) {
    const records = paxRecords(entry);
    if (records.length > 0) {
      blocks.push(header({ name: 'pax', typeFlag: 'x', mode: 0o644, sizeBytes: records.length, entry: undefined }), records);
      pad(blocks, records.length);
    }
    const sizeBytes = entry.type === 'file' ? entry.contents.length : 0;
    blocks.push(
      header({
        name: fits(entryName(entry)) ? entryName(entry) : 'pax',
        typeFlag: TYPE_FLAGS[entry.type],
        mode: entry.mode,
        sizeBytes,
        entry,
      }),
    );
    if (entry.type === 'file') {
      blocks.push(entry.contents);
      pad(blocks, sizeBytes);
    }
  }
  blocks.push(Buffer.alloc(2 * BLOCK_BYTES));
  return blocks;
}

/** The archive in one buffer. */
export function writeTar(entries: Iterable<TarEntry>): Buffer {
  return Buffer.concat(tarBlocks(entries));
}

function entryName(entry: TarEntry): string {
  return entry.type === 'directory' ? `${entry.path}/` : entry.path;
}

/** Whether a ustar name field holds it: ASCII, at most 100 bytes. */
function fits(name: string): boolean {
  return /^[\x20-\x7e]*$/.test(name) && name.length <= NAME_BYTES;
}

function paxRecords(entry: TarEntry): Buffer {
  const records: Buffer[] = [];
  if (!fits(entryName(entry))) records.push(paxRecord('path', Buffer.from(entryName(entry))));
  if (entry.type === 'symlink' && !fits(entry.target)) records.push(paxRecord('linkpath', Buffer.from(entry.target)));
  const xattrs = Object.entries(entry.xattrs ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, value] of xattrs) records.push(paxRecord(XATTR_PREFIX + name, value));
  return Buffer.concat(records);
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: Uint8Array): Buffer {
  const rest = 1 + Buffer.byteLength(key) + 1 + value.length + 1;
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length += 1;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from('\n')]);
}

function header(fields: { name: string; typeFlag: string; mode: number; sizeBytes: number; entry: TarEntry | undefined }): Buffer {
  const { entry } = fields;
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(fields.name, 0, NAME_BYTES, 'latin1');
  octal(block, 100, 8, fields.mode);
  octal(block, 108, 8, entry?.uid ?? 0);
  octal(block, 116, 8, entry?.gid ?? 0);
  octal(block, 124, 12, fields.sizeBytes);
  octal(block, 136, 12, entry?.mtimeSeconds ?? 0);
  block.fill(' ', 148, 156);
  block.write(fields.typeFlag, 156, 'latin1');
  if (entry?.type === 'symlink' && fits(entry.target)) block.write(entry.target, 157, NAME_BYTES, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, offset: number, widthBytes: number, value: number): void {
  const digits = value.toString(8).padStart(widthBytes - 1, '0');
  if (digits.length >= widthBytes) throw new RangeError(`tar: ${value} does not fit into ${widthBytes - 1} octal digits`);
  block.write(`${digits}\0`, offset, 'latin1');
}

function pad(blocks: Uint8Array[], sizeBytes: number): void {
  const rest = sizeBytes % BLOCK_BYTES;
  if (rest > 0) blocks.push(Buffer.alloc(BLOCK_BYTES - rest));
}

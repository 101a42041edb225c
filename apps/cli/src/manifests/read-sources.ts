// SPDX-License-Identifier: Apache-2.0
/* Manifests from where arguments say: files, directories, URLs and standard input (features CLI-22). */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandFailure } from '../command-context.ts';

/** Named limits of reading. */
export const SOURCE_LIMITS: { readonly maxBytes: number; readonly maxFiles: number; readonly fetchTimeoutMs: number } = {
  maxBytes: 64 * 1024 * 1024,
  maxFiles: 10_000,
  fetchTimeoutMs: 30_000,
};

/** One text and where it is from. */
export interface ManifestText {
  readonly name: string;
  readonly text: string;
}

/** Standard input; a test passes its own. */
export type Input = AsyncIterable<Uint8Array | string>;

const MANIFEST_FILE = /\.(?:ya?ml|json)$/;

/** The texts of `-`, a URL, a file, or every manifest file of a directory and those below. Rejects with CommandFailure. */
export async function readSources(sources: readonly string[], input: Input): Promise<ManifestText[]> {
  const texts: ManifestText[] = [];
  for (const source of sources) {
    if (source === '-') texts.push({ name: 'standard input', text: await collect('standard input', input) });
    else if (/^https?:\/\//.test(source)) texts.push({ name: source, text: await fetchText(source) });
    else for (const file of await filesOf(source)) texts.push({ name: file, text: await readText(file) });
  }
  return texts;
}

async function filesOf(path: string): Promise<string[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw new CommandFailure(`cannot read ${path}: ${messageOf(error)}`, 1, { cause: error });
  });
  if (!found.isDirectory()) return [path];
  const files = (await readdir(path, { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile() && MANIFEST_FILE.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  if (files.length === 0) throw new CommandFailure(`${path} holds no .yaml, .yml or .json file`);
  if (files.length > SOURCE_LIMITS.maxFiles) throw new CommandFailure(`${path} holds more than ${SOURCE_LIMITS.maxFiles} files`);
  return files;
}

async function readText(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new CommandFailure(`cannot read ${file}: ${messageOf(error)}`, 1, { cause: error });
  });
  if (text.length > SOURCE_LIMITS.maxBytes) throw tooLong(file);
  return text;
}

async function fetchText(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(SOURCE_LIMITS.fetchTimeoutMs) });
    if (!response.ok || response.body === null) throw new Error(`it answered ${response.status}`);
    return await collect(url, response.body);
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw new CommandFailure(`cannot read ${url}: ${messageOf(error)}`, 1, { cause: error });
  }
}

async function collect(name: string, input: Input): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    const buffer = Buffer.from(chunk as Uint8Array);
    bytes += buffer.length;
    if (bytes > SOURCE_LIMITS.maxBytes) throw tooLong(name);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function tooLong(name: string): CommandFailure {
  return new CommandFailure(`${name} is longer than ${SOURCE_LIMITS.maxBytes} bytes`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Programs that the containers of a directory want to run, so that a missing one is said before anything starts. A first look only: files that
 * cannot be read are reported by the resource source in its own words.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

interface ContainerLike {
  readonly command?: unknown;
}

interface PodSpecLike {
  readonly containers?: readonly ContainerLike[];
  readonly initContainers?: readonly ContainerLike[];
}

/** Bare names of commands (no paths), sorted; `node` is not among them, since a run brings it. */
export function manifestCommands(directory: string): string[] {
  const found = new Set<string>();
  for (const file of manifestFiles(directory)) {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      continue;
    }
    for (const document of parseAllDocuments(text)) {
      if (document.errors.length > 0) continue;
      for (const name of commandsOf(document.toJS() as unknown)) found.add(name);
    }
  }
  found.delete('node');
  return [...found].sort();
}

function commandsOf(value: unknown): string[] {
  const { spec } = (value ?? {}) as { readonly spec?: PodSpecLike & { readonly template?: { readonly spec?: PodSpecLike } } };
  const pod = spec?.template?.spec ?? spec;
  const containers = [pod?.containers, pod?.initContainers].flatMap((list) => (Array.isArray(list) ? (list as ContainerLike[]) : []));
  return containers.flatMap(({ command }) => {
    const first: unknown = Array.isArray(command) ? command[0] : undefined;
    return typeof first === 'string' && /^[a-z0-9][a-z0-9+._-]*$/i.test(first) ? [first] : [];
  });
}

function manifestFiles(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names
    .filter((name) => !name.startsWith('.') && name !== 'node_modules')
    .flatMap((name) => {
      const path = join(directory, name);
      const found = statSync(path, { throwIfNoEntry: false });
      if (found?.isDirectory() === true) return manifestFiles(path);
      return found !== undefined && /\.(ya?ml|json)$/.test(name) ? [path] : [];
    });
}

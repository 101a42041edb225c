// SPDX-License-Identifier: Apache-2.0
/*
 * Reads CustomResourceDefinitions from a directory, the one that the chart installs from. Documents of other kinds are passed over, since
 * a chart's directory may hold them.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { isJsonObject } from '../json-values.ts';
import { customTypes } from './custom-types.ts';
import type { CustomTypes } from './custom-types.ts';

/** Aliases that one definition may resolve to; ours share schemas between versions by alias. */
const MAX_ALIASES = 10_000;

/** Reads the definitions in the `.yaml`, `.yml` and `.json` files of a directory. Throws Error naming the file that cannot be used. */
export async function readCustomTypes(directory: string): Promise<CustomTypes> {
  // Loaded when first needed: a process that reads from a cluster never does.
  const { parseAllDocuments } = await import('../yaml-text.ts');
  const definitions: unknown[] = [];
  for (const name of (await readdir(directory)).sort()) {
    if (!/\.(ya?ml|json)$/.test(name)) continue;
    const documents = parseAllDocuments(await readFile(join(directory, name), 'utf8'));
    for (const document of documents) {
      const [error] = document.errors;
      if (error !== undefined) throw new Error(`${name}: ${error.message}`, { cause: error });
      const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
      if (isJsonObject(value) && value['kind'] === 'CustomResourceDefinition') definitions.push(value);
    }
  }
  return customTypes(definitions);
}

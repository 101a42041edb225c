// SPDX-License-Identifier: Apache-2.0
/*
 * The installation's values and trust anchors, read from disk for each request (control-contract §4.1), so that a `helm upgrade` counts for the
 * next pod without a restart. Texts are parsed again only when they changed.
 */
import { open } from 'node:fs/promises';
import { parse } from 'yaml';
import { readInjectorValues, type InjectorValues } from '../values.ts';

/** Where the chart mounts them. */
export interface InstallationPaths {
  /** Key `values` of ConfigMap `linkerd-config`. */
  readonly valuesFile: string;
  /** Key `ca-bundle.crt` of ConfigMap `linkerd-identity-trust-roots`. */
  readonly trustAnchorsFile: string;
}

export const INSTALLATION_PATHS: InstallationPaths = {
  valuesFile: '/var/run/linkerd/config/values',
  trustAnchorsFile: '/var/run/linkerd/identity/trust-roots/ca-bundle.crt',
};

/** Larger files are refused; a ConfigMap cannot hold more. */
export const MAX_INSTALLATION_FILE_BYTES = 1_048_576;

export interface InstallationTexts {
  readonly values: InjectorValues;
  readonly trustAnchors: string;
}

/** A reader of the two files. It rejects, naming the file, when one cannot be read or the values cannot be used. */
export function createInstallationReader(paths: InstallationPaths = INSTALLATION_PATHS): () => Promise<InstallationTexts> {
  let [lastText, lastValues]: [string | undefined, InjectorValues | undefined] = [undefined, undefined];
  return async () => {
    const [text, trustAnchors] = await Promise.all([readText(paths.valuesFile), readText(paths.trustAnchorsFile)]);
    if (trustAnchors.trim() === '') throw new Error(`${paths.trustAnchorsFile} holds no trust anchors`);
    if (lastValues === undefined || text !== lastText) {
      lastValues = readInjectorValues(parseYaml(text, paths.valuesFile));
      lastText = text;
    }
    return { values: lastValues, trustAnchors };
  };
}

function parseYaml(text: string, path: string): unknown {
  try {
    // Anchors are not needed here, and aliases are how a small text becomes a large one.
    return parse(text, { maxAliasCount: 0 });
  } catch (cause) {
    throw new Error(`${path} is not YAML`, { cause });
  }
}

async function readText(path: string): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size > MAX_INSTALLATION_FILE_BYTES) throw new RangeError(`larger than ${MAX_INSTALLATION_FILE_BYTES} bytes`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new Error(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

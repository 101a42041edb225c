// SPDX-License-Identifier: Apache-2.0
/*
 * Where the issuer's files and the trust anchors come from: a mounted directory, as in a cluster, or a Secret or ConfigMap read through
 * the resource source, where nothing mounts it (features ID-06, ID-07, ID-09). Both report changes; nobody polls.
 */
import { Buffer } from 'node:buffer';
import { watch as watchDirectory } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigMapKind, SecretKind, type ResourceSource } from '@weft/resources';
import { IdentityError } from './errors.ts';

/** Named texts that belong together and may be replaced together. */
export interface MaterialSource {
  /** For messages: where an operator would look. */
  readonly location: string;
  /** The texts by file name; names that do not exist are left out. Rejects with IdentityError `ERR_IDENTITY_MATERIAL`. */
  read(): Promise<Readonly<Record<string, string>>>;
  /** Calls after each change, possibly more often than the texts differ. */
  watch(onChange: () => void): { close(): void };
}

/** Larger files are refused. */
export const MAX_MATERIAL_BYTES = 1_048_576;
/** Changes of plain files are taken once nothing moved for this long, so that a certificate and its key are read together. */
const SETTLE_MS = 100;

/**
 * Files of a directory. Where the kubelet mounts one, it swaps the symbolic link `..data`, and only that is a change (control-contract
 * §2.2); in a plain directory any change of one of the files is.
 */
export function directoryMaterial(directory: string, fileNames: readonly string[]): MaterialSource {
  return {
    location: directory,
    async read() {
      const texts: Record<string, string> = {};
      for (const name of fileNames) {
        const text = await readText(join(directory, name));
        if (text !== undefined) texts[name] = text;
      }
      return texts;
    },
    watch(onChange) {
      let timer: NodeJS.Timeout | undefined;
      const watcher = watchDirectory(directory, { persistent: false }, (_event, name) => {
        void isRelevant(directory, fileNames, name).then((isChange) => {
          if (!isChange) return;
          clearTimeout(timer);
          timer = setTimeout(onChange, SETTLE_MS);
          timer.unref();
        });
      });
      // The directory went away: what is loaded stays, as it does when a file in it cannot be read.
      watcher.on('error', () => watcher.close());
      return {
        close(): void {
          clearTimeout(timer);
          watcher.close();
        },
      };
    },
  };
}

/** Keys of a Secret. */
export function secretMaterial(source: ResourceSource, namespace: string, name: string): MaterialSource {
  return {
    location: `Secret ${namespace}/${name}`,
    async read() {
      const secret = await source.get(SecretKind, namespace, name).catch(unreadable(`Secret ${namespace}/${name}`));
      return Object.fromEntries(
        Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
      );
    },
    watch: (onChange) => source.watch(SecretKind, { namespace, name }, (event) => event.type !== 'deleted' && onChange()),
  };
}

/** Keys of a ConfigMap. */
export function configMapMaterial(source: ResourceSource, namespace: string, name: string): MaterialSource {
  return {
    location: `ConfigMap ${namespace}/${name}`,
    async read() {
      const configMap = await source.get(ConfigMapKind, namespace, name).catch(unreadable(`ConfigMap ${namespace}/${name}`));
      return configMap.data ?? {};
    },
    watch: (onChange) => source.watch(ConfigMapKind, { namespace, name }, (event) => event.type !== 'deleted' && onChange()),
  };
}

async function isRelevant(directory: string, fileNames: readonly string[], name: string | null): Promise<boolean> {
  if (name === '..data') return true;
  const isMounted = await lstat(join(directory, '..data')).then(
    () => true,
    () => false,
  );
  return !isMounted && (name === null || fileNames.includes(name));
}

async function readText(path: string): Promise<string | undefined> {
  let file;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > MAX_MATERIAL_BYTES) throw new IdentityError('ERR_IDENTITY_MATERIAL', `${path} is larger than ${MAX_MATERIAL_BYTES} bytes`);
    return await file.readFile('utf8');
  } catch (cause) {
    if (cause instanceof IdentityError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new IdentityError('ERR_IDENTITY_MATERIAL', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  } finally {
    await file?.close();
  }
}

function unreadable(what: string): (cause: unknown) => never {
  return (cause) => {
    throw new IdentityError('ERR_IDENTITY_MATERIAL', `cannot read ${what}: ${(cause as Error).message}`, { cause });
  };
}

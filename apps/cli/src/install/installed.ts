// SPDX-License-Identifier: Apache-2.0
/*
 * An installation as upgrade and prune find it: the values that were asked for, and the certificates in use (features CLI-15, CLI-17). From
 * the cluster, or from manifests saved before.
 */
import type { Dictionary } from '@weft/chart';
import { parseYamlStream } from '@weft/chart';
import { ConfigMapKind, isResourceError, ResourceError, SecretKind } from '@weft/resources';
import type { ConfigMap, Secret } from '@weft/resources';
import { ISSUER_SECRET, TRUST_ROOTS_CONFIG_MAP, TRUST_ROOTS_KEY } from '../check/checks/identity.ts';
import { decodeField } from '../check/checks/certificates.ts';
import { CommandFailure } from '../command-context.ts';
import type { ClusterReader } from '../kube/cluster.ts';
import { parseMapping } from './given-values.ts';
import { isMap, OVERRIDES_NAME, VOLATILE_VALUES } from './release.ts';

/** What is read. */
export type InstalledReader = Pick<ClusterReader, 'get'>;

/** Values asked for, and certificates. */
export interface Installed {
  readonly overrides: Dictionary;
  readonly anchorsPem?: string;
  readonly issuerPem?: string;
  readonly keyPem?: string;
}

/** Rejects with CommandFailure when there is no installation by this command. */
export async function readInstalled(reader: InstalledReader, namespace: string): Promise<Installed> {
  const secret = await orMissing(reader.get(SecretKind, namespace, OVERRIDES_NAME));
  if (secret === undefined) {
    throw new CommandFailure(
      `Secret ${namespace}/${OVERRIDES_NAME} does not exist: there is no control plane, or Helm installed it.\nUpgrade it with Helm, or install first: weft install | kubectl apply -f -`,
    );
  }
  const overrides = parseMapping(readKey(secret, OVERRIDES_NAME) ?? '', `Secret ${OVERRIDES_NAME}`);
  for (const name of VOLATILE_VALUES) delete overrides[name];
  const [roots, issuer] = await Promise.all([
    orMissing<ConfigMap>(reader.get(ConfigMapKind, namespace, TRUST_ROOTS_CONFIG_MAP)),
    orMissing<Secret>(reader.get(SecretKind, namespace, ISSUER_SECRET)),
  ]);
  const anchorsPem = roots?.data?.[TRUST_ROOTS_KEY];
  const issuerPem = issuer === undefined ? undefined : readKey(issuer, 'crt.pem');
  const keyPem = issuer === undefined ? undefined : readKey(issuer, 'key.pem');
  return {
    overrides,
    ...(anchorsPem === undefined ? {} : { anchorsPem }),
    ...(issuerPem === undefined ? {} : { issuerPem }),
    ...(keyPem === undefined ? {} : { keyPem }),
  };
}

/** Secrets in manifests may hold their text in `stringData`. */
function readKey(secret: Secret, key: string): string | undefined {
  const plain = (secret['stringData'] as Readonly<Record<string, string>> | undefined)?.[key];
  return plain ?? decodeField(secret.data?.[key]);
}

async function orMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isResourceError(error, 'ERR_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Manifests saved from a cluster, as something to read from. Throws CommandFailure for text that is no YAML. */
export function manifestReader(text: string, file: string): InstalledReader {
  let documents;
  try {
    documents = parseYamlStream(text, file);
  } catch (error) {
    throw new CommandFailure((error as Error).message, 1, { cause: error });
  }
  const objects = documents.flatMap((document) => (isMap(document) && Array.isArray(document['items']) ? document['items'] : [document]));
  return {
    get: async (kind, _namespace, name) => {
      const found = objects.find((object) => {
        if (!isMap(object) || object['kind'] !== kind.kind) return false;
        const { metadata } = object;
        return isMap(metadata) && metadata['name'] === name;
      });
      if (found === undefined) throw new ResourceError('ERR_NOT_FOUND', `${file} holds no ${kind.kind} ${name}`);
      return found as never;
    },
  };
}

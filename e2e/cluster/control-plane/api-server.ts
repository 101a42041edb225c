// SPDX-License-Identifier: Apache-2.0
/*
 * A real API server for suites that need no nodes: a control plane of its own, or the one that `WEFT_TEST_KUBECONFIG` names. Weft's custom
 * resource definitions are installed in it.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import {
  createKubernetesSource,
  kubeconfigConnection,
  type KubernetesConnection,
  type KubernetesSourceOptions,
  type Resource,
  type ResourceInput,
  type ResourceKind,
  type ResourceSource,
} from '@weft/resources';
import { parse } from 'yaml';

import type { IpFamily } from '../cluster.ts';

/** apiextensions.k8s.io/v1 CustomResourceDefinition. */
export const CustomResourceDefinitionKind: ResourceKind<
  Resource<unknown, { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }>
> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  isNamespaced: false,
};

const CRD_DIRECTORY = fileURLToPath(new URL('../../../charts/weft-crds/files/', import.meta.url));
/** Definitions are served within a second or two; then something is wrong. */
const ESTABLISHED_MS = 30_000;

/** An API server with Weft's kinds. */
export interface TestApiServer {
  readonly kubeconfig: string;
  readonly connection: KubernetesConnection;
  /** With all rights; closed by `close`. */
  readonly source: ResourceSource;
  /** Another client, the caller's to close. */
  connect(options?: Partial<KubernetesSourceOptions>): ResourceSource;
  close(): Promise<void>;
}

/** Starts or finds an API server. `index` is the number of the cluster that is made. */
export async function startApiServer(index: number, ipFamily: IpFamily = 'ipv4'): Promise<TestApiServer> {
  const given = process.env['WEFT_TEST_KUBECONFIG'];
  let destroy = (): Promise<void> => Promise.resolve();
  let kubeconfig = given ?? '';
  if (given === undefined || given === '') {
    const { createCluster } = await import('../cluster.ts');
    const cluster = await createCluster({ provider: 'local', nodes: 0, ipFamily, index });
    destroy = () => cluster.destroy();
    ({ kubeconfig } = cluster);
  }
  const connection = await kubeconfigConnection(kubeconfig);
  const connect = (options: Partial<KubernetesSourceOptions> = {}): ResourceSource =>
    createKubernetesSource({ ...connection, userAgent: 'weft-e2e', minBackoffMs: 10, ...options });
  const source = connect();
  const server: TestApiServer = {
    kubeconfig,
    connection,
    source,
    connect,
    close: async () => {
      await source.close();
      await destroy();
    },
  };
  try {
    await installDefinitions(source);
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

async function installDefinitions(source: ResourceSource): Promise<void> {
  const files = (await readdir(CRD_DIRECTORY)).filter((name) => name.endsWith('.yaml'));
  const names: string[] = [];
  for (const file of files) {
    const definition = parse(await readFile(`${CRD_DIRECTORY}${file}`, 'utf8')) as ResourceInput;
    await source.apply(CustomResourceDefinitionKind, definition, 'weft-e2e');
    names.push(definition.metadata.name);
  }
  const deadlineMs = performance.now() + ESTABLISHED_MS;
  for (const name of names) {
    while (!(await isEstablished(source, name))) {
      if (performance.now() > deadlineMs) throw new Error(`${name} is not established`);
      await sleep(50);
    }
  }
}

async function isEstablished(source: ResourceSource, name: string): Promise<boolean> {
  const { status } = await source.get(CustomResourceDefinitionKind, '', name);
  return status?.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True') === true;
}

// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import {
  createDirectorySource,
  createKubernetesSource,
  createMemorySource,
  createRemoteSource,
  readCustomTypes,
  serveKubernetesApi,
} from './index.ts';
import { describeResourceSource } from './testing.ts';
import type { ConformanceSubject } from './testing.ts';

const crdDirectory = fileURLToPath(new URL('../../../charts/weft-crds/files/', import.meta.url));
const { types } = await readCustomTypes(crdDirectory);

describeResourceSource('memory', async () => ({ source: createMemorySource({ customTypes: types }), close: async () => undefined }));

describeResourceSource('a directory', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'weft-conformance-'));
  const source = await createDirectorySource({ directory, crdDirectory });
  return { source, close: () => rm(directory, { recursive: true }) };
});

async function served(overUnixSocket: boolean): Promise<ConformanceSubject> {
  const world = createMemorySource({ customTypes: types });
  const directory = await mkdtemp(join(tmpdir(), 'weft-conformance-'));
  const listen = overUnixSocket ? { socketPath: join(directory, 'api.sock') } : { host: '127.0.0.1', port: 0 };
  const server = await serveKubernetesApi(world, { listen });
  // Pages of two, so that every list of more is read in pages where the server gives them.
  const options = { minBackoffMs: 1, pageSize: 2 };
  return {
    source: overUnixSocket ? createRemoteSource(server.url, options) : createKubernetesSource({ baseUrl: server.url, ...options }),
    close: async () => {
      await server.close();
      await world.close();
      await rm(directory, { recursive: true });
    },
    disconnect: () => server.disconnectAll(),
    forget: () => world.store.log.compact(),
  };
}

describeResourceSource('the Kubernetes API over TCP', () => served(false));
describeResourceSource('the Kubernetes API over a unix socket', () => served(true));

// SPDX-License-Identifier: Apache-2.0
/*
 * The image of the demonstration (examples/demo): its services and its load, Node to run them, and Redis. Manifests say which of them a container is:
 * `command: [node, apps/web.mjs]`, `[redis-server, …]`; without a command it is the web service.
 */
import { UIDS } from './base.ts';
import { type ImageDescription, NODE_PATH, SEARCH_PATH } from './description.ts';

const APPS: readonly string[] = ['web', 'api', 'feed', 'chat', 'traffic'];

/** Image `demo`. */
export const DEMO_IMAGE: ImageDescription = {
  name: 'demo',
  title: 'Weft demonstration',
  description: 'The services and the load of the demonstration of the Weft service mesh',
  user: `${UIDS.nobody}:${UIDS.nobody}`,
  entrypoint: ['/usr/bin/node'],
  command: ['apps/web.mjs'],
  workingDirectory: '/demo',
  environment: { PATH: SEARCH_PATH },
  hasNode: true,
  // The server is a link to the checker: one program that looks at its name.
  debian: [{ package: 'redis-tools', take: ['/usr/bin/redis-check-rdb', '/usr/bin/redis-cli'] }],
  links: { '/usr/bin/node': NODE_PATH, '/usr/bin/redis-server': 'redis-check-rdb' },
  fileCapabilities: {},
  launchers: [],
  scripts: APPS.map((name) => ({ path: `/demo/apps/${name}.mjs`, source: `examples/demo/apps/${name}.mjs` })),
  files: [],
};

// SPDX-License-Identifier: Apache-2.0
/* The image of the control plane: one executable, a sub-command for each process. */
import { UIDS } from './base.ts';
import { type ImageDescription, SEARCH_PATH } from './description.ts';

/** Image `controller`. */
export const CONTROLLER_IMAGE: ImageDescription = {
  name: 'controller',
  title: 'Weft controller',
  description: 'The control plane of the Weft service mesh: destination, policy, identity, injector and validators',
  user: `${UIDS.controller}:${UIDS.controller}`,
  entrypoint: ['/usr/lib/weft/controller'],
  environment: { PATH: SEARCH_PATH },
  hasNode: true,
  debian: [],
  links: {},
  fileCapabilities: {},
  launchers: [{ path: '/usr/lib/weft/controller', app: 'controller', bundle: 'main.js' }],
  files: [],
};

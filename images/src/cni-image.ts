// SPDX-License-Identifier: Apache-2.0
/*
 * The image of the CNI plugin: the installer that runs on each node, the controller that repairs pods which started before it, and the plugin
 * itself as one file that the installer copies to the node.
 */
import { UIDS } from './base.ts';
import { type ImageDescription, SEARCH_PATH } from './description.ts';

/** Image `cni`. */
export const CNI_IMAGE: ImageDescription = {
  name: 'cni',
  title: 'Weft CNI plugin',
  description: 'The CNI plugin of the Weft service mesh, with its installer and repair controller',
  user: `${UIDS.nobody}:${UIDS.nobody}`,
  entrypoint: ['/usr/lib/weft/cni-install'],
  environment: { PATH: SEARCH_PATH },
  hasNode: true,
  debian: [],
  links: {},
  fileCapabilities: {},
  launchers: [
    { path: '/usr/lib/weft/cni-install', app: 'cni', bundle: 'install.js' },
    { path: '/usr/lib/weft/cni-repair-controller', app: 'cni', bundle: 'repair-controller.js' },
  ],
  files: [{ path: '/opt/cni/bin/weft-cni', mode: 0o755, source: { made: 'cni-plugin' } }],
};

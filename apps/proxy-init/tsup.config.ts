// SPDX-License-Identifier: Apache-2.0
import { appBundle } from '../../tools/tsup-preset.ts';

// Every pod start runs one of these, so each holds only what it needs.
export default appBundle({
  isMinified: true,
  entries: { 'proxy-init': 'src/proxy-init.ts', 'network-validator': 'src/network-validator.ts', await: 'src/await.ts' },
});

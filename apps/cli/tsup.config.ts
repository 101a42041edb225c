// SPDX-License-Identifier: Apache-2.0
import { appBundle } from '../../tools/tsup-preset.ts';

export default appBundle();

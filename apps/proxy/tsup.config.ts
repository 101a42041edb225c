// SPDX-License-Identifier: Apache-2.0
import { appBundle } from '../../tools/tsup-preset.ts';

// One process per pod: every kilobyte of source text counts.
export default appBundle({ isMinified: true });

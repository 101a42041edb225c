// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { appBundle } from '../../tools/tsup-preset.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

// One process per pod: every kilobyte of source text counts.
export default appBundle({ isMinified: true, constants: { WEFT_VERSION: version } });

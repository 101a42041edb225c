// SPDX-License-Identifier: Apache-2.0
/* `npm run fuzz:faults`: plants each fault in turn and lets the fuzzer look for it; all must be found, within ten minutes together. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { PLANTED_FAULTS } from './planted-faults.ts';

const MAX_MINUTES_EACH = 1;
const main = join(import.meta.dirname, 'main.ts');
let missed = 0;
for (const [index, { name }] of PLANTED_FAULTS.entries()) {
  const args = [
    '--conditions=weft-source',
    main,
    '--fault',
    String(index),
    '--minutes',
    String(MAX_MINUTES_EACH),
    '--seed',
    String(index + 1),
  ];
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const line = stdout.trim().split('\n').at(-1) ?? '';
  const result = line.startsWith('{') ? (JSON.parse(line) as { inputs: number; seconds: number; found: string | null }) : undefined;
  const isFound = result?.found !== undefined && result.found !== null;
  if (!isFound) missed += 1;
  const how =
    result === undefined
      ? 'the fuzzer did not run'
      : isFound
        ? `${result.seconds} s, ${result.inputs} inputs: ${result.found?.split('\n')[0]}`
        : 'not found';
  console.log(`${isFound ? 'found ' : 'MISSED'} ${name}: ${how}`);
}
console.log(`${PLANTED_FAULTS.length - missed} found, ${missed} missed`);
process.exit(missed === 0 ? 0 : 1);

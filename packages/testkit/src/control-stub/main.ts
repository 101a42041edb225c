// SPDX-License-Identifier: Apache-2.0
/* The control stub as a process: `main.ts CONFIG.json`. Prints `ready` once it serves. */
import { readFileSync } from 'node:fs';
import { ControlStub, type ControlStubConfig } from './control-stub.ts';

const path = process.argv[2];
if (path === undefined) throw new Error('usage: main.ts CONFIG.json');
const stub = new ControlStub(JSON.parse(readFileSync(path, 'utf8')) as ControlStubConfig);
await stub.start();
process.stdout.write('ready\n');

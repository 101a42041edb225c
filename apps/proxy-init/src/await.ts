// SPDX-License-Identifier: Apache-2.0
/*
 * `linkerd-await`: holds an application back until its proxy is ready, and ends the proxy after it (features INJ-25, OP-07).
 */
import process from 'node:process';
import { runAwait } from './await/await-program.ts';

process.exitCode = await runAwait(process.argv.slice(2), process.env);

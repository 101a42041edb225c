// SPDX-License-Identifier: Apache-2.0
/*
 * The `weft` command. Exit codes: 0, 1 when the work failed, 2 for a command line that cannot be used.
 */
import { runProgram } from './program.ts';

process.exitCode = await runProgram(process.argv.slice(2));

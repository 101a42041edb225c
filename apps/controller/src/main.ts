// SPDX-License-Identifier: Apache-2.0
import { runProgram } from './program.ts';

// Everything is closed by then; what still keeps the event loop alive must not keep the process.
process.exit(await runProgram(process.argv.slice(2)));

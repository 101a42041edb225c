// SPDX-License-Identifier: Apache-2.0
/*
 * `linkerd2-proxy-init`: the init container that redirects a pod's traffic (proxy-contract §10.1). Its log lists the commands that it
 * runs. Exit codes: 0 done, 1 the rules could not be set, 2 a command line that cannot be used.
 */
import process from 'node:process';
import { runProxyInit } from './proxy-init-program.ts';

process.exitCode = await runProxyInit(process.argv.slice(2), process.stdout);

// SPDX-License-Identifier: Apache-2.0
/*
 * `linkerd2-network-validator`: the init container of CNI mode that refuses to let a pod start whose traffic is not redirected
 * (proxy-contract §10.4). Exit codes: 0 redirected, 95 not redirected, 1 could not try, 2 a command line that cannot be used.
 */
import process from 'node:process';
import { runNetworkValidator } from './network-validator-program.ts';

process.exitCode = await runNetworkValidator(process.argv.slice(2), process.stdout);

// SPDX-License-Identifier: Apache-2.0
/*
 * Whether the redirection is in place, changing nothing: what a CNI plugin is asked by CHECK (proxy-contract §10.2).
 */
import { candidateBackends } from './backends.ts';
import { checkOptions, type RedirectOptions } from './options.ts';
import { inspectCommand } from './plan.ts';
import type { Exec } from './run-command.ts';
import { readSaveOutput } from './save-output.ts';

/**
 * True when, for each address family, some installed iptables shows both chains and the jumps to them. Only `netns`, `ipv6` and the
 * choice of binaries matter.
 */
export async function isRedirected(options: RedirectOptions, exec: Exec): Promise<boolean> {
  checkOptions(options);
  for (const family of options.ipv6 === false ? [4 as const] : [4 as const, 6 as const]) {
    if (!(await isFamilyRedirected(options, family, exec))) return false;
  }
  return true;
}

async function isFamilyRedirected(options: RedirectOptions, family: 4 | 6, exec: Exec): Promise<boolean> {
  for (const backend of candidateBackends(options, family)) {
    const result = await exec(inspectCommand(options, backend));
    if (result.status !== 0) continue;
    const { hasRedirectChain, hasOutputChain, hasPreroutingJump, hasOutputJump } = readSaveOutput(result.stdout);
    if (hasRedirectChain && hasOutputChain && hasPreroutingJump && hasOutputJump) return true;
  }
  return false;
}

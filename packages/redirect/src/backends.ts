// SPDX-License-Identifier: Apache-2.0
/*
 * Which iptables to use (proxy-contract §10.1): the one asked for, else the others in the order nft, plain, legacy.
 */
import type { IptablesMode, RedirectOptions } from './options.ts';

/** One pair of binaries for one address family. */
export interface Backend {
  readonly family: 4 | 6;
  readonly binary: string;
  readonly saveBinary: string;
}

const FALLBACK_ORDER: readonly IptablesMode[] = ['nft', 'plain', 'legacy'];

/** Candidates for one address family, best first. */
export function candidateBackends(options: RedirectOptions, family: 4 | 6): Backend[] {
  const candidates: Backend[] = [];
  if (options.firewallBinPath !== undefined && options.firewallSaveBinPath !== undefined) {
    candidates.push({
      family,
      binary: forFamily(options.firewallBinPath, family),
      saveBinary: forFamily(options.firewallSaveBinPath, family),
    });
  } else {
    candidates.push(backendOf(options.mode ?? 'legacy', family));
  }
  for (const mode of FALLBACK_ORDER) {
    const backend = backendOf(mode, family);
    if (!candidates.some(({ binary }) => binary === backend.binary)) candidates.push(backend);
  }
  return candidates;
}

function backendOf(mode: IptablesMode, family: 4 | 6): Backend {
  const suffix = mode === 'plain' ? '' : `-${mode}`;
  return { family, binary: forFamily(`iptables${suffix}`, family), saveBinary: forFamily(`iptables${suffix}-save`, family) };
}

/** `/sbin/iptables-nft` becomes `/sbin/ip6tables-nft`. */
function forFamily(path: string, family: 4 | 6): string {
  return family === 4 ? path : path.replace(/(^|\/)iptables([^/]*)$/, '$1ip6tables$2');
}

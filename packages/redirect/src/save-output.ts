// SPDX-License-Identifier: Apache-2.0
/*
 * Reading what `iptables-save -t nat` printed: which of our chains and jumps exist already (proxy-contract §10.1, existence tests).
 */

export const REDIRECT_CHAIN = 'PROXY_INIT_REDIRECT';
export const OUTPUT_CHAIN = 'PROXY_INIT_OUTPUT';

/** Our marks in a nat table. */
export interface InstalledRules {
  readonly hasRedirectChain: boolean;
  readonly hasOutputChain: boolean;
  readonly hasPreroutingJump: boolean;
  readonly hasOutputJump: boolean;
  /** The jumps as words after `-A`, such that `-D` with them removes the rule. */
  readonly jumps: readonly (readonly string[])[];
}

/** Finds our chains and jumps. Text that is not a save output has none. */
export function readSaveOutput(text: string): InstalledRules {
  const jumpLines = text
    .split('\n')
    .filter((line) => /^-A (PREROUTING (.+ )?-j PROXY_INIT_REDIRECT|OUTPUT (.+ )?-j PROXY_INIT_OUTPUT)( |$)/.test(line));
  return {
    hasRedirectChain: /^:PROXY_INIT_REDIRECT /m.test(text),
    hasOutputChain: /^:PROXY_INIT_OUTPUT /m.test(text),
    hasPreroutingJump: jumpLines.some((line) => line.startsWith('-A PREROUTING ')),
    hasOutputJump: jumpLines.some((line) => line.startsWith('-A OUTPUT ')),
    jumps: jumpLines.map((line) => splitWords(line.slice(3))),
  };
}

/** Words of a saved rule; comments are in double quotes, with a backslash before a quote or a backslash. */
function splitWords(line: string): string[] {
  return (line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? []).map((word) =>
    word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, '$1') : word,
  );
}

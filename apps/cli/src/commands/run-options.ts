// SPDX-License-Identifier: Apache-2.0
/* The options of `weft run`, checked. */
import { parseDurationMs } from '../duration.ts';

/** As commander gives them. */
export interface RawRunOptions {
  readonly name?: string;
  readonly for?: string;
  readonly output?: string;
  readonly podNetwork?: string;
  readonly settle?: string;
  readonly defaultInboundPolicy?: string;
  readonly proxyEnv?: readonly string[];
  readonly installDeps?: boolean;
  readonly clean?: boolean;
  readonly view?: boolean;
}

export interface RunOptions {
  readonly name: string | undefined;
  readonly forMs: number | undefined;
  readonly isJson: boolean;
  readonly podNetwork: string | undefined;
  readonly settleMs: number;
  readonly defaultInboundPolicy: string;
  readonly proxyEnv: Readonly<Record<string, string>>;
  readonly installsDeps: boolean;
  readonly cleans: boolean;
  readonly hasView: boolean;
}

const POLICIES: readonly string[] = [
  'all-authenticated',
  'all-unauthenticated',
  'audit',
  'cluster-authenticated',
  'cluster-unauthenticated',
  'deny',
];

/** Throws RangeError naming the option. */
export function checkRunOptions(raw: RawRunOptions): RunOptions {
  const duration = (name: string, text: string | undefined): number | undefined => {
    if (text === undefined) return undefined;
    const ms = parseDurationMs(text);
    if (ms === undefined) throw new RangeError(`--${name}: ${text} is not a duration such as 500ms, 30s or 5m`);
    return ms;
  };
  const output = raw.output ?? 'text';
  if (output !== 'text' && output !== 'json') throw new RangeError(`--output: ${output} is not text or json`);
  const defaultInboundPolicy = raw.defaultInboundPolicy ?? 'all-unauthenticated';
  if (!POLICIES.includes(defaultInboundPolicy)) {
    throw new RangeError(`--default-inbound-policy: ${defaultInboundPolicy} is not one of ${POLICIES.join(', ')}`);
  }
  const proxyEnv: Record<string, string> = {};
  for (const pair of raw.proxyEnv ?? []) {
    const at = pair.indexOf('=');
    if (at < 1) throw new RangeError(`--proxy-env: ${pair} is not NAME=value`);
    proxyEnv[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return {
    name: raw.name,
    forMs: duration('for', raw.for),
    isJson: output === 'json',
    podNetwork: raw.podNetwork,
    settleMs: duration('settle', raw.settle) ?? 1000,
    defaultInboundPolicy,
    proxyEnv,
    installsDeps: raw.installDeps === true,
    cleans: raw.clean === true,
    hasView: raw.view !== false,
  };
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The two HTTP exchanges of a heartbeat: questions to Prometheus, which may be missing, and the one GET that tells the facts.
 */
import type { QueryPrometheus } from './installation-facts.ts';

/** Longest exchange with either, in milliseconds. */
export const HEARTBEAT_TIMEOUT_MS = 10_000;

/** Asks the Prometheus at `url` for instant values. A question that has no single number as its answer gives undefined. */
export function prometheusAt(url: string): QueryPrometheus {
  return async (query) => {
    const target = new URL('/api/v1/query', url);
    target.searchParams.set('query', query);
    const response = await fetch(target, { signal: AbortSignal.timeout(HEARTBEAT_TIMEOUT_MS) });
    const body = (await response.json()) as { readonly data?: { readonly result?: readonly { readonly value?: readonly unknown[] }[] } };
    const text = body.data?.result?.[0]?.value?.[1];
    return typeof text === 'string' ? Number(text) : undefined;
  };
}

/** Tells the facts. Rejects unless the answer is 200. */
export async function sendFacts(url: string, facts: URLSearchParams): Promise<void> {
  const target = new URL(url);
  for (const [name, value] of facts) target.searchParams.set(name, value);
  const response = await fetch(target, { signal: AbortSignal.timeout(HEARTBEAT_TIMEOUT_MS), redirect: 'error' });
  await response.body?.cancel();
  if (response.status !== 200) throw new Error(`${target.origin} answered ${response.status}`);
}

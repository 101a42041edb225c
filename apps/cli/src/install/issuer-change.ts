// SPDX-License-Identifier: Apache-2.0
/*
 * Whether the proxies that run now would trust what a new issuer signs (features CLI-18): each has its anchors in its environment since it
 * was started.
 */
import type { Pod } from '@weft/resources';
import { proxyContainer } from '../kube/mesh-config.ts';
import { issuerFlaw } from './trust.ts';

/** Environment variable of a proxy that holds its anchors. */
const ANCHORS_VARIABLE = 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS';

/** Pods whose proxies would refuse it, with the reason. A proxy that reads its anchors from the ConfigMap is restarted with them. */
export function distrustingPods(pods: readonly Pod[], issuerPem: string, nowMs: number): string[] {
  const verdicts = new Map<string, string | undefined>();
  return pods.flatMap((pod) => {
    const anchors = proxyContainer(pod)?.env?.find(({ name }) => name === ANCHORS_VARIABLE)?.value;
    if (anchors === undefined) return [];
    if (!verdicts.has(anchors)) verdicts.set(anchors, flawOf(issuerPem, anchors, nowMs));
    const flaw = verdicts.get(anchors);
    return flaw === undefined ? [] : [`${pod.metadata.namespace}/${pod.metadata.name}: ${flaw}`];
  });
}

function flawOf(issuerPem: string, anchors: string, nowMs: number): string | undefined {
  try {
    return issuerFlaw(issuerPem, anchors, nowMs);
  } catch (error) {
    return (error as Error).message;
  }
}

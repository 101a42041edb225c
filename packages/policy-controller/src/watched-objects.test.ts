// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { startWorld } from './testing/manual-world.ts';
import { meshedPod, service, watchAddress, watchPodPort, WEB_IP } from './testing/objects.ts';
import { callVector } from './testing/recorded-call.ts';

describe('which pods have a policy', () => {
  it.each([
    ['of this control plane', { 'linkerd.io/control-plane-ns': 'linkerd' }, 0],
    ['of another one', { 'linkerd.io/control-plane-ns': 'elsewhere' }, 0],
    // Not found: it has no proxy that could ask.
    ['of none', {}, 5],
  ])('those %s: %j gives status %i', async (_name, labels, code) => {
    const pod = meshedPod('web');
    const world = await startWorld([{ ...pod, metadata: { ...pod.metadata, labels } }]);
    const call = await callVector(world.controller, watchPodPort('web', 8080));
    expect(call.status?.code ?? 0).toBe(code);
    await world.controller.close();
  });
});

describe('a cluster domain', () => {
  it('may be written as absolute', async () => {
    const world = await startWorld([service('web', WEB_IP)], { clusterDomain: 'cluster.local.' });
    const call = await callVector(world.controller, watchAddress(WEB_IP));
    call.cancel();
    const text = JSON.stringify(call.messages[0]);
    expect(text).toContain('web.app.svc.cluster.local:80');
    expect(text).not.toContain('cluster.local.:');
    await world.controller.close();
  });
});

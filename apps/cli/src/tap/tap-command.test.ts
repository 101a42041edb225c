// SPDX-License-Identifier: Apache-2.0
/* `weft tap` against a cluster of which the test says everything: what stops it, and that it says what to do. */
import { describe, expect, it } from 'vitest';
import { ResourceError } from '@weft/resources';
import { tap, type TapOptions } from '../commands/tap.ts';
import type { Cluster } from '../kube/cluster.ts';
import { fakePod, startFakeCluster } from '../testdata/fake-cluster.ts';
import { tapPeer } from './tap-identity.ts';

const OPTIONS: TapOptions = { namespace: 'shop', maxRps: 100 };
const CLIENT = 'weft-tap.linkerd.serviceaccount.identity.linkerd.cluster.local';

/** A pod whose proxy lets a client tap. */
function tappable(namespace: string, name: string): ReturnType<typeof fakePod> {
  const pod = JSON.parse(JSON.stringify(fakePod(namespace, name))) as ReturnType<typeof fakePod>;
  const spec = pod['spec'] as { containers: { name: string; env?: object[] }[] };
  for (const container of spec.containers) {
    if (container.name === 'linkerd-proxy') (container.env ??= []).push({ name: 'LINKERD2_PROXY_TAP_SVC_NAME', value: CLIENT });
  }
  return pod;
}

async function run(objects: Parameters<typeof startFakeCluster>[0], words: readonly string[], changes: Partial<Cluster> = {}) {
  const cluster = await startFakeCluster(objects);
  let errors = '';
  const ended = await tap(
    { ...cluster, ...changes },
    'linkerd',
    words,
    OPTIONS,
    { out: () => {}, err: (text) => (errors += text) },
    new AbortController().signal,
  ).then(
    () => 'ended',
    (error: Error) => error.message,
  );
  await cluster.end();
  return { ended, errors };
}

describe('weft tap', () => {
  it('[CLI-52] says that services are tapped at their clients', async () => {
    expect((await run([], ['svc/web'])).ended).toContain('--to svc/');
  });

  it('[CLI-52] says that nothing matches', async () => {
    expect((await run([fakePod('shop', 'web-1')], ['deploy/other'])).ended).toContain('no running pods with a proxy match deploy/other');
  });

  it('[CLI-52] says how pods become open to taps', async () => {
    expect((await run([fakePod('shop', 'web-1')], ['po/web-1'])).ended).toContain('tap.enabled=true');
  });

  it.each([
    ['ERR_FORBIDDEN', 'create tokens of service account linkerd/weft-tap'],
    ['ERR_NOT_FOUND', 'service account linkerd/weft-tap does not exist'],
  ] as const)('[CLI-52] says what is missing where the API server answers %s', async (code, text) => {
    const { ended, errors } = await run([tappable('shop', 'web-1')], ['po/web-1'], {
      call: () => Promise.reject(new ResourceError(code, 'no')),
    });
    expect(ended).toBe('no pod could be tapped');
    expect(errors).toContain(text);
  });

  it('takes client and server from the pod, whoever injected it', () => {
    const pod = tappable('shop', 'web-1') as never as Parameters<typeof tapPeer>[0];
    expect(tapPeer(pod)).toMatchObject({
      clientName: CLIENT,
      serverName: expect.stringMatching(/\.shop\.serviceaccount\.identity\.linkerd\.cluster\.local$/),
    });
    expect(tapPeer(fakePod('shop', 'web-1') as never)).toBeUndefined();
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * The sidecar of a control-plane pod and the one that the injector gives to other pods come from two places. For equal values they must be
 * equal, but for what control-contract §6.1 lists.
 */
import { applyPatch, injectPod, readInjectorValues } from '@weft/injector';
import { describe, expect, it } from 'vitest';
import { parseYaml } from './yaml-text.ts';
import { containersOf, find, renderSet, type Manifest } from './testing/objects.ts';
import { CONTROL_PLANE_SETS } from './testing/values.ts';

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'app', annotations: { 'linkerd.io/inject': 'enabled' } },
  spec: { containers: [{ name: 'app', image: 'app', securityContext: { capabilities: { drop: ['ALL'] } } }] },
};

/** The proxy's namespace differs, so does what it dials in its own pod, and what its ports are. */
const OWN_VARIABLES = new Set(
  ['DESTINATION_SVC_ADDR', 'POLICY_SVC_ADDR', 'INBOUND_PORTS', 'IDENTITY_TRUST_ANCHORS', 'INBOUND_DEFAULT_POLICY'].map(
    (name) => `LINKERD2_PROXY_${name}`,
  ),
);

function injected(objects: readonly Manifest[], namespace: string): Manifest {
  const stored = find(objects, 'ConfigMap', 'linkerd-config').data.values as string;
  const { patch } = injectPod({
    pod: POD,
    namespace: { name: 'default', annotations: {} },
    values: readInjectorValues(parseYaml(stored, 'values')),
    trustAnchors: 'anchors',
    version: '0.1.0',
    controlPlaneNamespace: namespace,
  });
  return (applyPatch(POD as never, patch) as Manifest).spec;
}

/** A container without what may differ. */
function comparable(container: Manifest): Manifest {
  const { startupProbe: _startup, volumeMounts, resources, ...rest } = container;
  const env = container.env?.filter((entry: Manifest) => !OWN_VARIABLES.has(entry.name));
  return JSON.parse(JSON.stringify({ ...rest, env, resources: resources ?? undefined, volumeMounts: volumeMounts ?? [] }));
}

describe('[CH-12] the sidecar of the chart is the injector’s', () => {
  // The token that Kubernetes mounts by itself is mounted by hand in the control plane.
  const sets = CONTROL_PLANE_SETS.filter((set) => set.name !== 'default service account tokens');
  it.each(sets.map((set) => [set.name, set] as const))('with %s', (_, set) => {
    const namespace = set.namespace ?? 'linkerd';
    const objects = renderSet('weft-control-plane', set);
    const ours = find(objects, 'Deployment', 'linkerd-proxy-injector').spec.template.spec;
    const theirs = injected(objects, namespace);
    const named = (spec: Manifest, name: string): Manifest => containersOf(spec).find((candidate: Manifest) => candidate.name === name);

    expect(comparable(named(ours, 'linkerd-proxy'))).toEqual(comparable(named(theirs, 'linkerd-proxy')));
    for (const name of ['linkerd-init', 'linkerd-network-validator']) {
      expect(named(ours, name) === undefined).toBe(named(theirs, name) === undefined);
    }
    const isCni = named(ours, 'linkerd-init') === undefined;
    const first = isCni ? 'linkerd-network-validator' : 'linkerd-init';
    const [own, other] = [comparable(named(ours, first)), comparable(named(theirs, first))];
    if (!isCni) {
      const option = '--outbound-ports-to-ignore';
      const without = (args: string[]): string[] => args.filter((word, at) => word !== option && args[at - 1] !== option);
      [own.args, other.args] = [without(own.args), without(other.args)];
      // An application's capabilities are given on, less those that the init container needs.
      for (const container of [own, other]) container.securityContext.capabilities.add.sort();
      delete own.securityContext.capabilities.drop;
      delete other.securityContext.capabilities.drop;
    }
    expect(own).toEqual(other);
    const isAddedByInjector = (volume: Manifest): boolean => volume.name.startsWith('linkerd-');
    const byName = (a: Manifest, b: Manifest): number => (a.name < b.name ? -1 : 1);
    expect(ours.volumes.filter(isAddedByInjector).sort(byName)).toEqual([...theirs.volumes].sort(byName));
  });
});

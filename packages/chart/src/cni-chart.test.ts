// SPDX-License-Identifier: Apache-2.0
/* What weft-cni and weft-crds render, against proxy-contract §10.2 to §10.4 and control-contract §5. */
import { describe, expect, it } from 'vitest';
import { chartOf, find, render, renderSet, sorted, type Manifest } from './testing/objects.ts';
import { CNI_SETS, CRD_SETS } from './testing/values.ts';

describe('[CH-08] weft-cni', () => {
  const objects = renderSet('weft-cni', { name: '', values: {}, namespace: 'linkerd-cni' });
  const configuration = (manifests: readonly Manifest[]): Manifest =>
    JSON.parse(find(manifests, 'ConfigMap', 'linkerd-cni-config').data['cni_network_config']);

  it('is the DaemonSet linkerd-cni, whose selector is the reference’s', () => {
    const { spec } = find(objects, 'DaemonSet', 'linkerd-cni');
    expect(spec.selector).toEqual({ matchLabels: { 'k8s-app': 'linkerd-cni' } });
    expect(spec.template.spec.hostNetwork).toBe(true);
    expect(spec.template.spec.containers.map((container: Manifest) => container.name)).toEqual(['install-cni']);
  });

  it('[NET-15] every object can be found by one label', () => {
    expect(objects.filter((object) => object.metadata.labels['linkerd.io/cni-resource'] !== 'true')).toEqual([]);
  });

  it('[NET-08] configures the plugin', () => {
    expect(configuration(objects)).toEqual({
      name: 'linkerd-cni',
      type: 'linkerd-cni',
      log_level: 'info',
      kubernetes: { kubeconfig: '__KUBECONFIG_FILEPATH__' },
      linkerd: {
        'incoming-proxy-port': 4143,
        'outgoing-proxy-port': 4140,
        'proxy-uid': 2102,
        'proxy-gid': -1,
        'ports-to-redirect': [],
        'inbound-ports-to-ignore': ['4190', '4191'],
        'outbound-ports-to-ignore': [],
        'subnets-to-ignore': [],
        simulate: false,
        'use-wait-flag': false,
        'iptables-mode': 'nft',
        ipv6: false,
      },
    });
  });

  it('puts ports and networks into lists', () => {
    expect(
      configuration(
        renderSet(
          'weft-cni',
          CNI_SETS.find((set) => set.name === 'ports and networks')!,
        ),
      ).linkerd,
    ).toMatchObject({
      'ports-to-redirect': [80, 8080],
      'inbound-ports-to-ignore': ['14190', '14191', '22', '5000-5010'],
      'outbound-ports-to-ignore': ['6379'],
      'subnets-to-ignore': ['10.1.0.0/16'],
    });
  });

  it('mounts the directories of the node where the installer looks for them', () => {
    const [{ volumeMounts, env }] = find(render('weft-cni', { destCNIBinDir: '/home/kubernetes/bin' }), 'DaemonSet', 'linkerd-cni').spec
      .template.spec.containers;
    expect(volumeMounts.map((mount: Manifest) => mount.mountPath)).toEqual(['/host/home/kubernetes/bin', '/host/etc/cni/net.d', '/tmp']);
    expect(env.map((entry: Manifest) => entry.name)).toEqual([
      'DEST_CNI_NET_DIR',
      'DEST_CNI_BIN_DIR',
      'CNI_NETWORK_CONFIG',
      'LOG_LEVEL',
      'LOG_FORMAT',
    ]);
  });

  it('changes of the configuration replace the pods', () => {
    const checksum = (manifests: readonly Manifest[]): string =>
      find(manifests, 'DaemonSet', 'linkerd-cni').spec.template.metadata.annotations['checksum/config'];
    expect(checksum(render('weft-cni', { proxyUID: 2103 }))).not.toBe(checksum(objects));
  });

  it('[NET-11] the repair controller deletes pods, and has that right only when it is on', () => {
    expect(objects.filter((object) => object.metadata.name === 'linkerd-cni-repair-controller')).toEqual([]);
    const repairing = renderSet(
      'weft-cni',
      CNI_SETS.find((set) => set.name === 'repair controller')!,
    );
    expect(find(repairing, 'ClusterRole', 'linkerd-cni-repair-controller').rules[0]).toEqual({
      apiGroups: [''],
      resources: ['pods'],
      verbs: ['list', 'get', 'watch', 'delete'],
    });
    const controller = find(repairing, 'DaemonSet', 'linkerd-cni').spec.template.spec.containers[1];
    expect(controller.ports).toEqual([{ containerPort: 9990, name: 'repair-admin' }]);
    expect(controller.securityContext).toMatchObject({ runAsNonRoot: true, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
  });
});

describe('[CH-01] weft-crds', () => {
  const names = (values: Manifest): string[] => sorted(render('weft-crds', values).map((object) => object.metadata.name));
  const own = [
    'authorizationpolicies.policy.linkerd.io',
    'egressnetworks.policy.linkerd.io',
    'externalworkloads.workload.linkerd.io',
    'httplocalratelimitpolicies.policy.linkerd.io',
    'httproutes.policy.linkerd.io',
    'meshtlsauthentications.policy.linkerd.io',
    'networkauthentications.policy.linkerd.io',
    'serverauthorizations.policy.linkerd.io',
    'serviceprofiles.linkerd.io',
    'servers.policy.linkerd.io',
  ];
  const gateway = (...kinds: string[]): string[] => kinds.map((kind) => `${kind}.gateway.networking.k8s.io`);

  it.each([
    [{}, []],
    [{ installGatewayAPI: true }, gateway('httproutes', 'grpcroutes', 'tlsroutes', 'tcproutes')],
    [{ installGatewayAPI: true, enableTlsRoutes: false }, gateway('httproutes', 'grpcroutes', 'tcproutes')],
    [{ enableHttpRoutes: true }, gateway('httproutes', 'grpcroutes')],
    [{ enableTcpRoutes: true, enableTlsRoutes: true }, gateway('tlsroutes', 'tcproutes')],
  ])('with %j the mesh’s own kinds and %j', (values, more) => expect(names(values)).toEqual(sorted([...own, ...more])));

  it('an uninstall leaves the Gateway API’s kinds, which others may use', () => {
    const { version } = chartOf('weft-crds').metadata;
    for (const { metadata } of renderSet('weft-crds', CRD_SETS[1]!)) {
      const isKept = metadata.annotations['helm.sh/resource-policy'] === 'keep';
      expect(isKept).toBe(metadata.name.endsWith('gateway.networking.k8s.io'));
      expect(metadata.labels).toMatchObject({ 'linkerd.io/control-plane-ns': 'linkerd', 'helm.sh/chart': `weft-crds-${version}` });
      expect(metadata.annotations['linkerd.io/created-by']).toBe(`weft-crds/${version}`);
    }
  });
});

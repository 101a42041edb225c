// SPDX-License-Identifier: Apache-2.0
/* What weft-control-plane renders, against control-contract §0, §4.1 and §6: names and immutable fields must be the reference's. */
import { describe, expect, it } from 'vitest';
import { containersOf, find, podTemplates, render, renderSet, sorted, type Manifest } from './testing/objects.ts';
import { CONTROL_PLANE_SETS, KEYS } from './testing/values.ts';

const defaults = render('weft-control-plane');
const container = (name: string, of: string, objects: readonly Manifest[] = defaults): Manifest =>
  containersOf(find(objects, 'Deployment', of).spec.template.spec).find((candidate: Manifest) => candidate.name === name);
const environment = (candidate: Manifest): Record<string, string> =>
  Object.fromEntries(candidate.env.map((entry: Manifest) => [entry.name, entry.value]));

describe('[CH-02] objects', () => {
  it('have the names that the rest of the world looks up', () => {
    const names = (kind: string): string[] =>
      sorted(defaults.filter((object) => object.kind === kind).map((object) => object.metadata.name));
    expect(names('Deployment')).toEqual(['linkerd-destination', 'linkerd-identity', 'linkerd-proxy-injector']);
    expect(names('CronJob')).toEqual(['linkerd-heartbeat']);
    expect(names('Service')).toEqual([
      'linkerd-dst',
      'linkerd-dst-headless',
      'linkerd-identity',
      'linkerd-identity-headless',
      'linkerd-policy',
      'linkerd-policy-validator',
      'linkerd-proxy-injector',
      'linkerd-sp-validator',
    ]);
    expect(names('ConfigMap')).toEqual(['linkerd-config', 'linkerd-identity-trust-roots']);
    expect(names('Secret')).toEqual(['linkerd-identity-issuer']);
    expect(names('ServiceAccount')).toEqual(['linkerd-destination', 'linkerd-heartbeat', 'linkerd-identity', 'linkerd-proxy-injector']);
    expect(names('MutatingWebhookConfiguration')).toEqual(['linkerd-proxy-injector-webhook-config']);
    expect(names('ValidatingWebhookConfiguration')).toEqual([
      'linkerd-policy-validator-webhook-config',
      'linkerd-sp-validator-webhook-config',
    ]);
  });

  it.each(['destination', 'identity', 'proxy-injector'])(
    'Deployment of %s selects what the reference selects, as that cannot be changed',
    (component) => {
      const deployment = find(defaults, 'Deployment', `linkerd-${component}`);
      const selected = {
        'linkerd.io/control-plane-component': component,
        'linkerd.io/control-plane-ns': 'linkerd',
        'linkerd.io/proxy-deployment': `linkerd-${component}`,
      };
      expect(deployment.spec.selector).toEqual({ matchLabels: selected });
      expect(deployment.spec.template.metadata.labels).toEqual({ ...selected, 'linkerd.io/workload-ns': 'linkerd' });
    },
  );

  it.each([
    ['linkerd-dst', 'destination', undefined, 8086, 'dest-grpc', 8086],
    ['linkerd-dst-headless', 'destination', 'None', 8086, 'dest-grpc', 8086],
    ['linkerd-policy', 'destination', 'None', 8090, 'policy-grpc', 8090],
    ['linkerd-sp-validator', 'destination', undefined, 443, 'sp-validator', 8443],
    ['linkerd-policy-validator', 'destination', undefined, 443, 'policy-https', 9443],
    ['linkerd-identity', 'identity', undefined, 8080, 'ident-grpc', 8080],
    ['linkerd-identity-headless', 'identity', 'None', 8080, 'ident-grpc', 8080],
    ['linkerd-proxy-injector', 'proxy-injector', undefined, 443, 'injector', 8443],
  ])('Service %s leads to %s', (name, component, clusterIp, port, targetPort, containerPort) => {
    const { spec } = find(defaults, 'Service', name);
    expect(spec.clusterIP).toBe(clusterIp);
    expect(spec.selector).toEqual({ 'linkerd.io/control-plane-component': component });
    expect(spec.ports).toEqual([expect.objectContaining({ port, targetPort })]);
    expect(spec.publishNotReadyAddresses).toBeUndefined();
    const ports = containersOf(find(defaults, 'Deployment', `linkerd-${component}`).spec.template.spec).flatMap((each) => each.ports ?? []);
    expect(ports).toContainEqual({ name: targetPort, containerPort });
  });

  it('the port of the injector is opaque on its Service', () => {
    expect(find(defaults, 'Service', 'linkerd-proxy-injector').metadata.annotations['config.linkerd.io/opaque-ports']).toBe('443');
  });

  it('every object carries the namespace of its control plane', () => {
    expect(defaults.filter((object) => object.metadata.labels['linkerd.io/control-plane-ns'] !== 'linkerd')).toEqual([]);
  });
});

describe('[MET-36] admin ports', () => {
  it.each([
    ['linkerd-destination', 'destination', 'dest-admin', 9996, '/ping'],
    ['linkerd-destination', 'sp-validator', 'spval-admin', 9997, '/ping'],
    ['linkerd-destination', 'policy', 'policy-admin', 9990, '/live'],
    ['linkerd-identity', 'identity', 'ident-admin', 9990, '/ping'],
    ['linkerd-proxy-injector', 'proxy-injector', 'injector-admin', 9995, '/ping'],
  ])('%s: %s has %s at %d, and its probes go there', (deployment, name, portName, containerPort, live) => {
    const { ports, livenessProbe, readinessProbe } = container(name, deployment);
    expect(ports).toContainEqual({ name: portName, containerPort });
    expect(livenessProbe).toEqual({ httpGet: { path: live, port: portName }, initialDelaySeconds: 10, timeoutSeconds: 1 });
    expect(readinessProbe).toEqual({ httpGet: { path: '/ready', port: portName }, failureThreshold: 7, timeoutSeconds: 1 });
  });
});

describe('[INJ-23] sidecars of the control plane are rendered by the chart', () => {
  it('as native sidecars after proxy-init, but for identity', () => {
    const names = (component: string): string[][] => {
      const { spec } = find(defaults, 'Deployment', `linkerd-${component}`).spec.template;
      return [spec.initContainers, spec.containers].map((list) => list.map((each: Manifest) => each.name));
    };
    expect(names('destination')).toEqual([
      ['linkerd-init', 'linkerd-proxy'],
      ['destination', 'sp-validator', 'policy'],
    ]);
    expect(names('proxy-injector')).toEqual([['linkerd-init', 'linkerd-proxy'], ['proxy-injector']]);
    expect(names('identity')).toEqual([['linkerd-init'], ['identity', 'linkerd-proxy']]);
    expect(container('linkerd-proxy', 'linkerd-destination')).toMatchObject({
      restartPolicy: 'Always',
      startupProbe: { initialDelaySeconds: 0, periodSeconds: 1, failureThreshold: 120 },
    });
    expect(container('linkerd-proxy', 'linkerd-identity')).not.toHaveProperty('startupProbe');
    expect(container('linkerd-proxy', 'linkerd-identity')).not.toHaveProperty('lifecycle');
  });

  it.each([
    [
      'identity',
      {
        IDENTITY_SVC_ADDR: 'localhost.:8080',
        INBOUND_PORTS: '8080,9990',
        INBOUND_PORTS_REQUIRE_TLS: '8080',
        POLICY_SVC_ADDR: 'linkerd-policy.linkerd.svc.cluster.local.:8090',
      },
    ],
    [
      'destination',
      {
        DESTINATION_SVC_ADDR: 'localhost.:8086',
        POLICY_SVC_ADDR: 'localhost.:8090',
        INBOUND_PORTS: '8086,8090,8443,9443,9990,9996,9997',
        IDENTITY_SVC_ADDR: 'linkerd-identity-headless.linkerd.svc.cluster.local.:8080',
      },
    ],
    ['proxy-injector', { INBOUND_PORTS: '8443,9995', DESTINATION_SVC_ADDR: 'linkerd-dst-headless.linkerd.svc.cluster.local.:8086' }],
  ])('that of %s dials what is beside it', (component, expected) => {
    const found = environment(container('linkerd-proxy', `linkerd-${component}`));
    expect(found).toMatchObject(Object.fromEntries(Object.entries(expected).map(([name, value]) => [`LINKERD2_PROXY_${name}`, value])));
  });

  it('reach the API server without a proxy, and are left alone by the injector', () => {
    const { args } = container('linkerd-init', 'linkerd-destination');
    expect(args[args.indexOf('--outbound-ports-to-ignore') + 1]).toBe('443,6443,4567,4568');
    const [{ objectSelector }] = find(defaults, 'MutatingWebhookConfiguration', 'linkerd-proxy-injector-webhook-config').webhooks;
    expect(objectSelector.matchExpressions).toContainEqual({ key: 'linkerd.io/control-plane-component', operator: 'DoesNotExist' });
  });

  it('take the trust anchors from the ConfigMap', () => {
    const anchors = container('linkerd-proxy', 'linkerd-identity').env.find(
      (entry: Manifest) => entry.name === 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS',
    );
    expect(anchors.valueFrom.configMapKeyRef).toEqual({ name: 'linkerd-identity-trust-roots', key: 'ca-bundle.crt' });
  });
});

describe('webhooks', () => {
  const hook = (kind: string, name: string): Manifest => find(defaults, kind, name).webhooks[0];

  it('[INJ-01] the injector sees new pods and Services, and never blocks by default', () => {
    expect(hook('MutatingWebhookConfiguration', 'linkerd-proxy-injector-webhook-config')).toEqual({
      name: 'linkerd-proxy-injector.linkerd.io',
      admissionReviewVersions: ['v1', 'v1beta1'],
      clientConfig: { service: { name: 'linkerd-proxy-injector', namespace: 'linkerd', path: '/', port: 443 } },
      failurePolicy: 'Ignore',
      sideEffects: 'None',
      timeoutSeconds: 10,
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods', 'services'], scope: 'Namespaced' }],
      namespaceSelector: {
        matchExpressions: [
          { key: 'config.linkerd.io/admission-webhooks', operator: 'NotIn', values: ['disabled'] },
          { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system', 'cert-manager'] },
        ],
      },
      objectSelector: {
        matchExpressions: [
          { key: 'linkerd.io/control-plane-component', operator: 'DoesNotExist' },
          { key: 'linkerd.io/cni-resource', operator: 'DoesNotExist' },
        ],
      },
    });
  });

  it('the validators see profiles and policies when they are made and changed', () => {
    expect(hook('ValidatingWebhookConfiguration', 'linkerd-sp-validator-webhook-config')).toMatchObject({
      name: 'linkerd-sp-validator.linkerd.io',
      rules: [
        {
          operations: ['CREATE', 'UPDATE'],
          apiGroups: ['linkerd.io'],
          apiVersions: ['v1alpha1', 'v1alpha2'],
          resources: ['serviceprofiles'],
        },
      ],
    });
    const { name, rules } = hook('ValidatingWebhookConfiguration', 'linkerd-policy-validator-webhook-config');
    expect(name).toBe('linkerd-policy-validator.linkerd.io');
    expect(rules.map(({ apiGroups, resources }: Manifest) => [apiGroups[0], sorted(resources)])).toEqual([
      [
        'policy.linkerd.io',
        [
          'authorizationpolicies',
          'egressnetworks',
          'httplocalratelimitpolicies',
          'httproutes',
          'meshtlsauthentications',
          'networkauthentications',
          'serverauthorizations',
          'servers',
        ],
      ],
      ['gateway.networking.k8s.io', ['grpcroutes', 'httproutes', 'tcproutes', 'tlsroutes']],
    ]);
  });

  it('their servers make their own certificates, and may touch nothing else', () => {
    expect(container('proxy-injector', 'linkerd-proxy-injector').args).toEqual(
      expect.arrayContaining([
        '-webhook-secret=linkerd-proxy-injector-k8s-tls',
        '-webhook-service=linkerd-proxy-injector',
        '-webhook-config=linkerd-proxy-injector-webhook-config',
      ]),
    );
    expect(container('sp-validator', 'linkerd-destination').args).toEqual(
      expect.arrayContaining([
        '-webhook-secret=linkerd-sp-validator-k8s-tls',
        '-webhook-service=linkerd-sp-validator',
        '-webhook-config=linkerd-sp-validator-webhook-config',
      ]),
    );
    expect(container('policy', 'linkerd-destination').args).toEqual(
      expect.arrayContaining([
        '--webhook-secret=linkerd-policy-validator-k8s-tls',
        '--webhook-service=linkerd-policy-validator',
        '--webhook-config=linkerd-policy-validator-webhook-config',
      ]),
    );
    expect(find(defaults, 'Role', 'linkerd-proxy-injector-k8s-tls').rules).toEqual([
      { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
      {
        apiGroups: [''],
        resources: ['secrets'],
        resourceNames: ['linkerd-proxy-injector-k8s-tls'],
        verbs: ['get', 'list', 'watch', 'update'],
      },
    ]);
    expect(find(defaults, 'ClusterRole', 'linkerd-linkerd-sp-validator-webhook').rules).toEqual([
      {
        apiGroups: ['admissionregistration.k8s.io'],
        resources: ['validatingwebhookconfigurations'],
        resourceNames: ['linkerd-sp-validator-webhook-config'],
        verbs: ['get', 'list', 'watch', 'patch'],
      },
    ]);
  });

  it('[GO-01] external certificates are mounted, announced to cert-manager, and nothing is managed', () => {
    const objects = render('weft-control-plane', { proxyInjector: { externalSecret: true, injectCaFrom: 'linkerd/injector' } });
    expect(find(objects, 'MutatingWebhookConfiguration', 'linkerd-proxy-injector-webhook-config').metadata.annotations).toEqual({
      'cert-manager.io/inject-ca-from': 'linkerd/injector',
    });
    const { args, volumeMounts } = container('proxy-injector', 'linkerd-proxy-injector', objects);
    expect(args.join(' ')).not.toContain('webhook');
    expect(volumeMounts).toContainEqual({ mountPath: '/var/run/linkerd/tls', name: 'tls', readOnly: true });
    expect(
      objects.filter(
        (object) => object.metadata.name.includes('proxy-injector-k8s-tls') || object.metadata.name.endsWith('injector-webhook'),
      ),
    ).toEqual([]);
  });

  it('given certificates are rendered as they are', () => {
    const objects = renderSet(
      'weft-control-plane',
      CONTROL_PLANE_SETS.find((set) => set.name === 'given webhook certificates')!,
    );
    const secret = find(objects, 'Secret', 'linkerd-policy-validator-k8s-tls');
    expect(secret.type).toBe('kubernetes.io/tls');
    expect(Buffer.from(secret.data['tls.key'], 'base64').toString()).toContain(KEYS.webhook);
    const [{ clientConfig }] = find(objects, 'ValidatingWebhookConfiguration', 'linkerd-policy-validator-webhook-config').webhooks;
    expect(Buffer.from(clientConfig.caBundle, 'base64').toString()).toContain('BEGIN CERTIFICATE');
    expect(container('policy', 'linkerd-destination', objects).args).toEqual(
      expect.arrayContaining(['--server-tls-key=/var/run/linkerd/tls/tls.key', '--server-tls-certs=/var/run/linkerd/tls/tls.crt']),
    );
  });
});

describe('identity', () => {
  it('the issuer is rendered as given, in the names of its scheme', () => {
    const { data, type } = find(defaults, 'Secret', 'linkerd-identity-issuer');
    expect(Object.keys(data)).toEqual(['crt.pem', 'key.pem']);
    expect(type).toBeUndefined();
    const managed = render('weft-control-plane', { identity: { issuer: { scheme: 'kubernetes.io/tls' } } });
    expect(managed.filter((object) => object.kind === 'Secret')).toEqual([]);
  });

  it('an external CA renders neither issuer nor anchors', () => {
    const objects = renderSet(
      'weft-control-plane',
      CONTROL_PLANE_SETS.find((set) => set.name === 'external CA')!,
    );
    expect(objects.filter((object) => object.kind === 'Secret' || object.metadata.name === 'linkerd-identity-trust-roots')).toEqual([]);
  });

  it('the stored values hold no key and name the trust domain', () => {
    const { values } = find(defaults, 'ConfigMap', 'linkerd-config').data;
    expect(values).toContain('identityTrustDomain: cluster.local');
    expect(values).toContain('BEGIN CERTIFICATE');
    expect(values).not.toMatch(/PRIVATE KEY|keyPEM/);
  });
});

describe('RBAC', () => {
  const rights = (kind: string, name: string): Record<string, string> =>
    Object.fromEntries(
      find(defaults, kind, name).rules.flatMap((rule: Manifest) =>
        rule.resources.map((resource: string) => [`${rule.apiGroups.join('|')}/${resource}`, sorted(rule.verbs).join(' ')]),
      ),
    );

  it.each([
    ['ClusterRole', 'linkerd-linkerd-identity', { 'authentication.k8s.io/tokenreviews': 'create', '/events': 'create patch' }],
    [
      'ClusterRole',
      'linkerd-linkerd-proxy-injector',
      {
        '/events': 'create patch',
        '/namespaces': 'get list watch',
        '/replicationcontrollers': 'get list watch',
        '/pods': 'list watch',
        'extensions|apps/deployments': 'get list watch',
        'extensions|apps/replicasets': 'get list watch',
        'extensions|apps/daemonsets': 'get list watch',
        'extensions|apps/statefulsets': 'get list watch',
        'extensions|batch/cronjobs': 'get list watch',
        'extensions|batch/jobs': 'get list watch',
      },
    ],
    [
      'ClusterRole',
      'linkerd-linkerd-destination',
      {
        'apps/replicasets': 'get list watch',
        'batch/jobs': 'get list watch',
        '/pods': 'get list watch',
        '/endpoints': 'get list watch',
        '/services': 'get list watch',
        '/nodes': 'get list watch',
        'linkerd.io/serviceprofiles': 'get list watch',
        'workload.linkerd.io/externalworkloads': 'get list watch',
        'coordination.k8s.io/leases': 'create get patch update',
        'discovery.k8s.io/endpointslices': 'create delete get list patch update watch',
      },
    ],
    ['Role', 'remote-discovery', { '/secrets': 'get list watch' }],
    ['Role', 'linkerd-heartbeat', { '/configmaps': 'get' }],
    ['ClusterRole', 'linkerd-heartbeat', { '/namespaces': 'list', 'linkerd.io/serviceprofiles': 'list' }],
    ['Role', 'ext-namespace-metadata-linkerd-config', { '/configmaps': 'get' }],
  ])('%s %s', (kind, name, expected) => expect(rights(kind, name)).toEqual(expected));

  it('the policy controller patches statuses and nothing else', () => {
    const found = rights('ClusterRole', 'linkerd-policy');
    const writable = Object.entries(found).filter(([, verbs]) => /patch|update|create/.test(verbs));
    expect(sorted(writable.map(([resource]) => resource))).toEqual([
      'coordination.k8s.io/leases',
      ...['grpcroutes', 'httproutes', 'tcproutes', 'tlsroutes'].map((name) => `gateway.networking.k8s.io/${name}/status`),
      ...['egressnetworks', 'httplocalratelimitpolicies', 'httproutes'].map((name) => `policy.linkerd.io/${name}/status`),
    ]);
  });

  it('every binding is to a role and an account that exist', () => {
    for (const binding of defaults.filter((object) => object.kind.endsWith('RoleBinding'))) {
      expect(find(defaults, binding.roleRef.kind, binding.roleRef.name)).toBeDefined();
      for (const { name } of binding.subjects) expect(find(defaults, 'ServiceAccount', name)).toBeDefined();
    }
  });
});

/** What in the pods is less strict than it ought to be, but for what the set of values asks for by its name. */
function weaknesses(setName: string, objects: readonly Manifest[]): string[] {
  return podTemplates(objects).flatMap((pod) => {
    const found = [
      ...(pod.spec.automountServiceAccountToken === false ? [] : ['token mounted everywhere']),
      ...(pod.spec.hostNetwork === undefined ? [] : ['on the network of the node']),
    ];
    for (const { name, securityContext } of containersOf(pod.spec)) {
      const demand = (isMet: boolean, what: string): void => void (isMet || found.push(`${pod.name} ${name}: ${what}`));
      demand(securityContext.readOnlyRootFilesystem === true, 'writable root');
      if (setName === 'proxy environment and security context' && name === 'linkerd-proxy') continue;
      demand(securityContext.seccompProfile.type === 'RuntimeDefault', 'no seccomp profile');
      if (setName.startsWith('init ') && name === 'linkerd-init') continue;
      demand(securityContext.runAsNonRoot === true && securityContext.runAsUser > 0, 'root');
      demand(securityContext.allowPrivilegeEscalation === false, 'may gain privileges');
      const { add = [], drop } = securityContext.capabilities;
      demand(
        drop.includes('ALL') && add.every((capability: string) => name === 'linkerd-init' && capability.startsWith('NET_')),
        'capabilities',
      );
    }
    return found;
  });
}

describe('security posture, for every set of values', () => {
  it.each(CONTROL_PLANE_SETS.map((set) => [set.name, set] as const))('%s', (name, set) => {
    const objects = renderSet('weft-control-plane', set);
    expect(weaknesses(name, objects)).toEqual([]);
    const others = objects.filter((object) => object.kind !== 'Secret');
    expect(JSON.stringify(others)).not.toMatch(/PRIVATE KEY/);
    expect(JSON.stringify(others)).not.toContain(KEYS.issuer);
    const secrets = objects.filter((object) => object.kind === 'Secret').map((object) => object.metadata.name);
    const isGiven = name === 'given webhook certificates';
    const hasIssuer = name !== 'external CA' && name !== 'issuer of cert-manager';
    expect(sorted(secrets)).toEqual([
      ...(hasIssuer ? ['linkerd-identity-issuer'] : []),
      ...(isGiven ? ['linkerd-policy-validator-k8s-tls', 'linkerd-proxy-injector-k8s-tls', 'linkerd-sp-validator-k8s-tls'] : []),
    ]);
    const trusting = objects.filter((object) => object.webhooks !== undefined && 'caBundle' in object.webhooks[0].clientConfig);
    expect(trusting).toHaveLength(isGiven ? 3 : name.startsWith('external webhook') ? 1 : 0);
  });

  it('[NET-16] with the CNI plugin no container needs more than the restricted profile allows', () => {
    for (const pod of podTemplates(render('weft-control-plane', { cniEnabled: true }))) {
      for (const { securityContext } of containersOf(pod.spec)) {
        expect(securityContext).toMatchObject({ allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: { drop: ['ALL'] } });
        expect(securityContext.capabilities.add).toBeUndefined();
      }
    }
  });
});

describe('[HA-01] values-ha.yaml', () => {
  const objects = renderSet('weft-control-plane', { name: '', values: {}, files: ['values-ha.yaml'] });

  it('gives three replicas on different nodes, one of which may be down', () => {
    for (const component of ['destination', 'identity', 'proxy-injector']) {
      const { spec } = find(objects, 'Deployment', `linkerd-${component}`);
      expect(spec.replicas).toBe(3);
      expect(spec.strategy.rollingUpdate).toEqual({ maxSurge: '25%', maxUnavailable: 1 });
      const { podAntiAffinity } = spec.template.spec.affinity;
      expect(podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey).toBe('kubernetes.io/hostname');
      expect(podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey).toBe(
        'topology.kubernetes.io/zone',
      );
      expect(find(objects, 'PodDisruptionBudget', `linkerd-${component}`).spec).toEqual({
        maxUnavailable: 1,
        selector: { matchLabels: { 'linkerd.io/control-plane-component': component } },
      });
    }
  });

  it('bounds every container and lets no pod past the webhooks', () => {
    const expected = (request: string): object => ({ requests: { cpu: '100m', memory: request }, limits: { memory: '250Mi' } });
    expect(container('identity', 'linkerd-identity', objects).resources).toEqual(expected('10Mi'));
    for (const name of ['destination', 'sp-validator', 'policy'])
      expect(container(name, 'linkerd-destination', objects).resources).toEqual(expected('50Mi'));
    expect(container('linkerd-proxy', 'linkerd-destination', objects).resources).toEqual(expected('20Mi'));
    for (const object of objects.filter(({ kind }) => kind.endsWith('WebhookConfiguration')))
      expect(object.webhooks[0].failurePolicy).toBe('Fail');
  });
});

describe('values', () => {
  it('[CH-07] the namespace of global egress networks', () => {
    const objects = render('weft-control-plane', { egress: { globalEgressNetworkNamespace: 'egress' } });
    expect(container('policy', 'linkerd-destination', objects).args).toContain('--global-egress-network-namespace=egress');
  });

  it('[CH-05] settings of proxy-init and of the network validator', () => {
    const legacy = renderSet(
      'weft-control-plane',
      CONTROL_PLANE_SETS.find((set) => set.name === 'legacy iptables')!,
    );
    expect(container('linkerd-init', 'linkerd-identity', legacy).args).toEqual([
      ...[
        '--ipv6=false',
        '--incoming-proxy-port',
        '4143',
        '--outgoing-proxy-port',
        '4140',
        '--proxy-uid',
        '2102',
        '--inbound-ports-to-ignore',
        '4190,4191,22',
      ],
      ...[
        '--outbound-ports-to-ignore',
        '443,6443',
        '--log-format',
        'json',
        '--log-level',
        'debug',
        '--subnets-to-ignore',
        '10.1.0.0/16,10.2.0.0/16',
      ],
    ]);
    const ipv6 = renderSet(
      'weft-control-plane',
      CONTROL_PLANE_SETS.find((set) => set.name === 'CNI and IPv6')!,
    );
    expect(container('linkerd-network-validator', 'linkerd-identity', ipv6).args).toEqual([
      '--log-format',
      'json',
      '--log-level',
      'info',
      '--connect-addr',
      '[fd00::1]:20001',
      '--listen-addr',
      '[::]:4140',
      '--timeout',
      '5s',
    ]);
  });

  it('[CH-04] settings of the proxy reach its environment', () => {
    const objects = renderSet(
      'weft-control-plane',
      CONTROL_PLANE_SETS.find((set) => set.name === 'proxy settings')!,
    );
    expect(environment(container('linkerd-proxy', 'linkerd-destination', objects))).toMatchObject({
      LINKERD2_PROXY_ACCESS_LOG: 'json',
      LINKERD2_PROXY_LOG: 'debug',
      LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD: '30s',
      LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES: '.',
      LINKERD2_PROXY_OUTBOUND_DETECT_TIMEOUT: '365d',
      LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY: '8443,9000-9010',
    });
  });

  it('[CH-03] switches of the control plane reach its processes', () => {
    const objects = renderSet(
      'weft-control-plane',
      CONTROL_PLANE_SETS.find((set) => set.name === 'discovery switches')!,
    );
    expect(container('destination', 'linkerd-destination', objects).args).toEqual(
      expect.arrayContaining([
        '-enable-h2-upgrade=false',
        '-enable-endpoint-slices=false',
        '-outbound-transport-mode=transparent',
        '-meshed-http2-client-params={"keep_alive":{"interval":{"seconds":20},"timeout":{"seconds":3},"while_idle":true}}',
      ]),
    );
    expect(container('policy', 'linkerd-destination', objects).args).toEqual(
      expect.arrayContaining(['--default-policy=deny', '--cluster-networks=10.0.0.0/8']),
    );
  });

  it('[CH-06] arguments, environment and resources of each controller', () => {
    const objects = renderSet(
      'weft-control-plane',
      CONTROL_PLANE_SETS.find((set) => set.name === 'arguments and environment of controllers')!,
    );
    expect(container('destination', 'linkerd-destination', objects)).toMatchObject({
      env: [{ name: 'D', value: 'd' }],
      args: expect.arrayContaining(['-stream-queue-capacity=200', '-x=1']),
    });
    expect(container('policy', 'linkerd-destination', objects)).toMatchObject({
      env: [{ name: 'P', value: 'p' }],
      args: expect.arrayContaining(['--patch-timeout-ms=9', '--probe-networks=10.0.0.0/8']),
    });
  });
});

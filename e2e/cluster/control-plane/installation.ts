// SPDX-License-Identifier: Apache-2.0
/*
 * The control plane's part of an installation that needs no nodes: the chart's own service accounts, rights and Deployments (without
 * replicas), and the arguments that it gives each container.
 */
import { chartDirectory, loadChart, renderChart } from '@weft/chart';
import { createTestMesh, type TestMesh } from '@weft/pki/testing';
import {
  allKinds,
  isResourceError,
  NamespaceKind,
  parseApiVersion,
  type Resource,
  type ResourceInput,
  type ResourceKind,
} from '@weft/resources';
import { parseAllDocuments } from 'yaml';

import type { TestApiServer } from './api-server.ts';

export const CONTROL_PLANE_NAMESPACE = 'linkerd';

const RBAC_GROUP = 'rbac.authorization.k8s.io';
const RBAC_KINDS: readonly ResourceKind[] = [
  { group: RBAC_GROUP, version: 'v1', kind: 'ClusterRole', plural: 'clusterroles', isNamespaced: false },
  { group: RBAC_GROUP, version: 'v1', kind: 'ClusterRoleBinding', plural: 'clusterrolebindings', isNamespaced: false },
  { group: RBAC_GROUP, version: 'v1', kind: 'Role', plural: 'roles', isNamespaced: true },
  { group: RBAC_GROUP, version: 'v1', kind: 'RoleBinding', plural: 'rolebindings', isNamespaced: true },
];
const APPLIED = new Set(['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding', 'Deployment']);

/** What is installed. */
export interface Installation {
  /** Trust anchors and issuer that the chart was given. */
  readonly mesh: TestMesh;
  /** Arguments of a container, sub-command first. */
  argsOf(deployment: string, container: string): readonly string[];
}

/** Installs it into an API server; what is there already is changed to this. */
export async function install(api: TestApiServer, values: Readonly<Record<string, unknown>> = {}): Promise<Installation> {
  const mesh = createTestMesh();
  const issuer = { tls: { crtPEM: mesh.issuer.certificatePem, keyPEM: mesh.issuer.privateKeyPem } };
  const files = renderChart(loadChart(chartDirectory('weft-control-plane')), {
    values: { identityTrustAnchorsPEM: mesh.anchor.certificatePem, identity: { issuer }, ...values },
    release: { name: 'linkerd-control-plane', namespace: CONTROL_PLANE_NAMESPACE },
  });
  const objects = files
    .flatMap(({ text }) => parseAllDocuments(text).map((document) => document.toJS() as ResourceInput | null))
    .filter((object) => object !== null);
  await api.source
    .create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: CONTROL_PLANE_NAMESPACE } })
    .catch((error: unknown) => {
      if (!isResourceError(error, 'ERR_ALREADY_EXISTS')) throw error;
    });
  for (const object of objects) {
    if (APPLIED.has(object.kind)) await api.source.apply(kindOf(object), withoutReplicas(object), 'weft-e2e');
  }
  return {
    mesh,
    argsOf(deployment, container) {
      const found = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === deployment) as Resource | undefined;
      const spec = found?.spec as
        | { readonly template: { readonly spec: { readonly containers: readonly { readonly name: string; readonly args: string[] }[] } } }
        | undefined;
      const args = spec?.template.spec.containers.find(({ name }) => name === container)?.args;
      if (args === undefined) throw new Error(`the chart has no container ${deployment}/${container}`);
      return args;
    },
  };
}

function kindOf(object: ResourceInput): ResourceKind {
  const { group, version } = parseApiVersion(object.apiVersion);
  const found = [...allKinds, ...RBAC_KINDS].find((kind) => kind.kind === object.kind && kind.group === group && kind.version === version);
  if (found === undefined) throw new Error(`no kind ${object.apiVersion} ${object.kind}`);
  return found;
}

function withoutReplicas(object: ResourceInput): ResourceInput {
  return object.kind === 'Deployment' ? { ...object, spec: { ...(object['spec'] as object), replicas: 0 } } : object;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Which policies admit clients to the ports of pods (features CLI-28; control-contract §3.2): Servers by their selectors, and what names
 * them: ServerAuthorizations, AuthorizationPolicies on the Server, its namespace, or a route. Pure.
 */
import { matchesLabelSelector } from '@weft/resources';
import type { AuthorizationPolicy, GRPCRoute, HTTPRoute, LocalTargetRef, Server, ServerAuthorization } from '@weft/resources';
import type { MeshPod } from './workloads.ts';

/** The policies of one namespace. */
export interface NamespacePolicies {
  readonly servers: readonly Server[];
  readonly serverAuthorizations: readonly ServerAuthorization[];
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  /** Of either group. */
  readonly routes: readonly (HTTPRoute | GRPCRoute)[];
}

/** One line: who is admitted to a Server, or to one route of it. `-` where there is none. */
export interface AuthorizationRow {
  /** `*` for the Server as a whole. */
  readonly route: string;
  readonly server: string;
  readonly authorizationPolicy: string;
  readonly serverAuthorization: string;
}

const NONE = '-';
const WHOLE_SERVER = '*';

/** Rows of the Servers that select any of these pods. A Server that nobody is admitted to has one row of dashes. */
export function authorizationRows(pods: readonly MeshPod[], policies: NamespacePolicies): AuthorizationRow[] {
  const servers = policies.servers
    .filter(({ spec }) => spec?.podSelector !== undefined && pods.some(({ labels }) => matchesLabelSelector(labels, spec.podSelector)))
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  return servers.flatMap((server) => {
    const rows = [...serverRows(server, policies), ...routeRows(server, policies)];
    const none = { route: WHOLE_SERVER, server: server.metadata.name, authorizationPolicy: NONE, serverAuthorization: NONE };
    return rows.length === 0 ? [none] : rows;
  });
}

function serverRows(server: Server, { authorizationPolicies, serverAuthorizations }: NamespacePolicies): AuthorizationRow[] {
  const { name, namespace, labels } = server.metadata;
  const row = { route: WHOLE_SERVER, server: name, authorizationPolicy: NONE, serverAuthorization: NONE };
  const policies = authorizationPolicies.filter(({ spec }) => {
    if (spec === undefined) return false;
    return isTarget(spec.targetRef, 'policy.linkerd.io', 'Server', name) || isTarget(spec.targetRef, '', 'Namespace', namespace);
  });
  const authorizations = serverAuthorizations.filter(({ spec }) => {
    const target = spec?.server;
    return target !== undefined && (target.name === undefined ? matchesLabelSelector(labels, target.selector) : target.name === name);
  });
  return [
    ...names(policies).map((authorizationPolicy) => ({ ...row, authorizationPolicy })),
    ...names(authorizations).map((serverAuthorization) => ({ ...row, serverAuthorization })),
  ];
}

function routeRows(server: Server, { authorizationPolicies, routes }: NamespacePolicies): AuthorizationRow[] {
  const attached = routes.filter(({ spec }) =>
    (spec?.parentRefs ?? []).some(
      ({ group = '', kind = '', name }) => group === 'policy.linkerd.io' && kind === 'Server' && name === server.metadata.name,
    ),
  );
  return attached
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .flatMap(({ kind, apiVersion, metadata: { name } }) => {
      const group = apiVersion.split('/')[0] ?? '';
      const policies = authorizationPolicies.filter(({ spec }) => spec !== undefined && isTarget(spec.targetRef, group, kind, name));
      const row = { route: name, server: server.metadata.name, serverAuthorization: NONE };
      return names(policies).map((authorizationPolicy) => ({ ...row, authorizationPolicy }));
    });
}

/** As the policy controller compares: without case, the core group by either of its names. */
function isTarget(ref: LocalTargetRef, group: string, kind: string, name: string): boolean {
  const given = (ref.group ?? '').toLowerCase();
  return (given === 'core' ? '' : given) === group && ref.kind.toLowerCase() === kind.toLowerCase() && ref.name === name;
}

function names(objects: readonly { readonly metadata: { readonly name: string } }[]): string[] {
  return objects.map(({ metadata: { name } }) => name).toSorted();
}

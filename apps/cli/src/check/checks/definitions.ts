// SPDX-License-Identifier: Apache-2.0
/* The custom resources that an installation brings (control-contract §5), and which of a set are not served as they must be. */
import type { CustomResourceDefinition } from '../../kube/kinds.ts';

/** Definition → versions that must be served. */
export const CONTROL_PLANE_DEFINITIONS: Readonly<Record<string, readonly string[]>> = {
  'authorizationpolicies.policy.linkerd.io': ['v1alpha1'],
  'egressnetworks.policy.linkerd.io': ['v1alpha1'],
  'externalworkloads.workload.linkerd.io': ['v1beta1'],
  'httplocalratelimitpolicies.policy.linkerd.io': ['v1alpha1'],
  'httproutes.policy.linkerd.io': ['v1beta3'],
  'meshtlsauthentications.policy.linkerd.io': ['v1alpha1'],
  'networkauthentications.policy.linkerd.io': ['v1alpha1'],
  'serverauthorizations.policy.linkerd.io': ['v1beta1'],
  'servers.policy.linkerd.io': ['v1beta3'],
  'serviceprofiles.linkerd.io': ['v1alpha2'],
};

/** Names, with the version where only that is missing. */
export function missingDefinitions(
  wanted: Readonly<Record<string, readonly string[]>>,
  found: readonly CustomResourceDefinition[],
): string[] {
  const missing: string[] = [];
  for (const [name, versions] of Object.entries(wanted)) {
    const definition = found.find(({ metadata }) => metadata.name === name);
    if (definition === undefined) {
      missing.push(name);
      continue;
    }
    const served = new Set((definition.spec?.versions ?? []).filter((version) => version.served !== false).map((version) => version.name));
    for (const version of versions) if (!served.has(version)) missing.push(`${name} (version ${version})`);
  }
  return missing;
}

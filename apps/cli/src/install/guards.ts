// SPDX-License-Identifier: Apache-2.0
/* Reasons not to print an installation (features CLI-07, CLI-09), each with what to do instead. */
import { valueAt } from '../kube/mesh-config.ts';
import { CommandFailure } from '../command-context.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import type { Dictionary } from '@weft/chart';

/** Whether the Gateway API's definitions are to be part of the output of `--crds`, from who owns them. */
export function installsGatewayApi(facts: Pick<ClusterFacts, 'gatewayOwner'>): boolean {
  return facts.gatewayOwner === 'mesh';
}

/** Throws CommandFailure when the control plane should not be installed into this cluster. `values`: the whole, defaults included. */
export function guardInstall(facts: ClusterFacts, namespace: string, values: Dictionary): void {
  if (facts.isInstalled) {
    throw new CommandFailure(
      `a control plane is already installed in namespace ${namespace} (ConfigMap linkerd-config is there).\nTo change it: weft upgrade | kubectl apply -f -\nTo print an installation all the same: weft install --ignore-cluster`,
    );
  }
  guardDefinitions(facts);
  if (facts.hasDockerNodes && valueAt(values, 'proxyInit.runAsRoot') !== true && valueAt(values, 'cniEnabled') !== true) {
    throw new CommandFailure(
      'there are nodes using the docker container runtime and proxy-init container must run as root user.\ntry installing with --set proxyInit.runAsRoot=true',
    );
  }
}

/** Throws CommandFailure when definitions are missing without which the control plane cannot start. */
export function guardDefinitions(facts: Pick<ClusterFacts, 'missingDefinitions' | 'missingGatewayDefinitions'>): void {
  if (facts.missingGatewayDefinitions.length > 0) throw gatewayMissing(facts.missingGatewayDefinitions);
  if (facts.missingDefinitions.length > 0) {
    throw new CommandFailure(
      `CustomResourceDefinitions of the control plane are missing: ${facts.missingDefinitions.join(', ')}.\nInstall them first: weft install --crds | kubectl apply -f -`,
    );
  }
}

/** Throws CommandFailure when the Gateway API would be missing after `--crds`. `gatewaySetting`: what the user said of it. */
export function guardGatewayApi(facts: Pick<ClusterFacts, 'missingGatewayDefinitions'>, isInstalledByUs: boolean): void {
  if (!isInstalledByUs && facts.missingGatewayDefinitions.length > 0) throw gatewayMissing(facts.missingGatewayDefinitions);
}

function gatewayMissing(missing: readonly string[]): CommandFailure {
  return new CommandFailure(
    `the Gateway API CRDs are missing: ${missing.join(', ')}.\nInstall them from their project, or together with the mesh's:\n  weft install --crds --set installGatewayAPI=true | kubectl apply -f -`,
  );
}

// SPDX-License-Identifier: Apache-2.0
/* Versions of this program, of the control plane and of its proxies: CK-11 to CK-13. */
import type { Pod } from '@weft/resources';
import { proxyContainer, proxyStatus, proxyVersion, textAt } from '../../kube/mesh-config.ts';
import { CheckFailure, failIfAny } from '../check.ts';
import type { Category } from '../check.ts';
import type { Lookups } from '../lookups.ts';
import { CONFIG_MAP_EXISTS, CONTROL_PLANE_VERSION_KNOWN, LATEST_VERSION_KNOWN, PODS_READY } from './ids.ts';

async function mustBeLatest(lookups: Lookups, version: string): Promise<void> {
  const latest = await lookups.latestVersion();
  if (version !== latest) throw new CheckFailure(`is running version ${version} but the latest version is ${latest}`);
}

async function controlPlaneVersion(lookups: Lookups): Promise<string> {
  const version = textAt((await lookups.config()).values, 'linkerdVersion');
  if (version === '') throw new CheckFailure('ConfigMap linkerd-config does not say linkerdVersion');
  return version;
}

export const cliVersion: Category = {
  name: 'linkerd-version',
  checks: [
    {
      id: LATEST_VERSION_KNOWN,
      description: 'can determine the latest version',
      hintAnchor: 'l5d-version-latest',
      isWarning: true,
      run: async (lookups) => void (await lookups.latestVersion()),
    },
    {
      id: 'linkerd-version/cli',
      description: 'cli is up-to-date',
      hintAnchor: 'l5d-version-cli',
      isWarning: true,
      needs: [LATEST_VERSION_KNOWN],
      run: (lookups) => mustBeLatest(lookups, lookups.settings.cliVersion),
    },
  ],
};

export const controlPlaneVersions: Category = {
  name: 'control-plane-version',
  checks: [
    {
      id: CONTROL_PLANE_VERSION_KNOWN,
      description: 'can retrieve the control plane version',
      hintAnchor: 'l5d-version-control',
      needs: [CONFIG_MAP_EXISTS],
      run: async (lookups) => void (await controlPlaneVersion(lookups)),
    },
    {
      id: 'control-plane-version/latest',
      description: 'control plane is up-to-date',
      hintAnchor: 'l5d-version-control',
      isWarning: true,
      needs: [CONTROL_PLANE_VERSION_KNOWN, LATEST_VERSION_KNOWN],
      run: async (lookups) => mustBeLatest(lookups, await controlPlaneVersion(lookups)),
    },
    {
      id: 'control-plane-version/cli',
      description: 'control plane and cli versions match',
      hintAnchor: 'l5d-version-control',
      isWarning: true,
      needs: [CONTROL_PLANE_VERSION_KNOWN],
      run: async (lookups) => {
        const version = await controlPlaneVersion(lookups);
        const { cliVersion: own } = lookups.settings;
        if (version !== own) throw new CheckFailure(`control plane running ${version} but cli running ${own}`);
      },
    },
  ],
};

/** Throws for proxies that are not of the newest release. */
export async function proxiesMustBeLatest(lookups: Lookups, pods: readonly Pod[]): Promise<void> {
  const latest = await lookups.latestVersion();
  const old = pods.filter((pod) => proxyVersion(pod) !== latest);
  failIfAny(
    'some proxies are not running the current version:',
    old.map((pod) => `${pod.metadata.name} (${proxyVersion(pod) ?? 'unknown'})`),
  );
}

/** Throws for a proxy that is not of this program's release. */
export function proxiesMustMatch(lookups: Lookups, pods: readonly Pod[]): void {
  const { cliVersion: own } = lookups.settings;
  const other = pods.find((pod) => proxyVersion(pod) !== own);
  if (other !== undefined) {
    throw new CheckFailure(`${other.metadata.name} running ${proxyVersion(other) ?? 'an unknown version'} but cli running ${own}`);
  }
}

/** Throws for a pod that has no proxy, or one that does not work. */
export function proxiesMustBeReady(pods: readonly Pod[]): void {
  for (const pod of pods) {
    const { name } = pod.metadata;
    if (proxyContainer(pod) === undefined) throw new CheckFailure(`pod "${name}" has no "linkerd-proxy" container`);
    const phase = pod.status?.phase ?? 'Unknown';
    if (phase !== 'Running') throw new CheckFailure(`pod "${name}" status is ${phase}`);
    if (proxyStatus(pod)?.ready !== true) throw new CheckFailure(`container "linkerd-proxy" in pod "${name}" is not ready`);
  }
}

export const controlPlaneProxies: Category = {
  name: 'linkerd-control-plane-proxy',
  checks: [
    {
      id: 'linkerd-control-plane-proxy/healthy',
      description: 'control plane proxies are healthy',
      hintAnchor: 'l5d-cp-proxy-healthy',
      isAwaited: true,
      needs: [PODS_READY],
      run: async (lookups) => proxiesMustBeReady(await meshedComponents(lookups)),
    },
    {
      id: 'linkerd-control-plane-proxy/latest',
      description: 'control plane proxies are up-to-date',
      hintAnchor: 'l5d-cp-proxy-version',
      isWarning: true,
      needs: [PODS_READY, LATEST_VERSION_KNOWN],
      run: async (lookups) => proxiesMustBeLatest(lookups, await meshedComponents(lookups)),
    },
    {
      id: 'linkerd-control-plane-proxy/cli',
      description: 'control plane proxies and cli versions match',
      hintAnchor: 'l5d-cp-proxy-cli-version',
      isWarning: true,
      needs: [PODS_READY],
      run: async (lookups) => proxiesMustMatch(lookups, await meshedComponents(lookups)),
    },
  ],
};

/** The heartbeat runs without a proxy, and a pod on its way out is no matter. */
async function meshedComponents(lookups: Lookups): Promise<readonly Pod[]> {
  const pods = await lookups.controlPlanePods();
  return pods.filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined && metadata.labels['linkerd.io/control-plane-component'] !== 'heartbeat',
  );
}

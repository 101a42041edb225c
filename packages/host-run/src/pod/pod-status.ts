// SPDX-License-Identifier: Apache-2.0
/*
 * What a kubelet reports of a pod (core/v1 PodStatus): phase, addresses, conditions, containers.
 */
import type { Condition, ContainerStatus, PodStatus } from '@weft/resources';

/** The part of a container that the pod's status follows from. */
export interface ContainerView {
  readonly status: ContainerStatus;
  readonly isReady: boolean;
  readonly isEnded: boolean;
  readonly hasFailed: boolean;
}

export interface PodView {
  readonly address: string;
  readonly hostAddress: string;
  readonly isInitialized: boolean;
  readonly containers: readonly ContainerView[];
  readonly initContainers: readonly ContainerView[];
  readonly sidecars: readonly ContainerView[];
}

export function podStatus(view: PodView): PodStatus {
  const { containers, initContainers, sidecars } = view;
  const isReady = view.isInitialized && [...containers, ...sidecars].every((one) => one.isReady);
  const condition = (type: string, isTrue: boolean): Condition => ({ type, status: isTrue ? 'True' : 'False' });
  return {
    phase: phaseOf(view),
    hostIP: view.hostAddress,
    hostIPs: [{ ip: view.hostAddress }],
    podIP: view.address,
    podIPs: [{ ip: view.address }],
    conditions: [
      condition('PodScheduled', true),
      condition('Initialized', view.isInitialized),
      condition('ContainersReady', isReady),
      condition('Ready', isReady),
    ],
    containerStatuses: containers.map(({ status }) => status),
    ...(initContainers.length === 0 ? {} : { initContainerStatuses: initContainers.map(({ status }) => status) }),
  };
}

function phaseOf({ isInitialized, containers, initContainers, sidecars }: PodView): string {
  if (initContainers.some((one) => one.hasFailed && !sidecars.includes(one))) return 'Failed';
  if (!isInitialized) return 'Pending';
  if (!containers.every((one) => one.isEnded)) return 'Running';
  return containers.some((one) => one.hasFailed) ? 'Failed' : 'Succeeded';
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What discovery keeps of a Server: which ports of which workloads it makes opaque (control-contract §1.7). Servers of other protocols have no
 * effect here; they are kept so that a change from or to opaque is seen.
 */
import { matchesLabelSelector, type IntOrString, type LabelSelector, type Server } from '@weft/resources';

import type { ExternalWorkloadRecord } from './external-workload-record.ts';
import type { PodRecord } from './pod-record.ts';
import { recordOf, type ClusterRecord } from './record.ts';

/** A Server. */
export interface ServerRecord extends ClusterRecord {
  readonly isOpaque: boolean;
  readonly port: IntOrString;
  readonly podSelector: LabelSelector | undefined;
  readonly externalWorkloadSelector: LabelSelector | undefined;
}

/** Projects a Server. */
export function serverRecord(server: Server): ServerRecord {
  return {
    ...recordOf(server),
    isOpaque: server.spec?.proxyProtocol === 'opaque',
    port: server.spec?.port ?? 0,
    podSelector: server.spec?.podSelector,
    externalWorkloadSelector: server.spec?.externalWorkloadSelector,
  };
}

/** Whether an opaque `server` selects `port` of `pod`; `port` may be a container's or a host port. */
export function makesPodPortOpaque(server: ServerRecord, pod: PodRecord, port: number): boolean {
  if (!server.isOpaque || server.namespace !== pod.namespace || server.podSelector === undefined) return false;
  const isPort =
    typeof server.port === 'number'
      ? server.port === port
      : pod.ports.some(({ name, containerPort, hostPort }) => name === server.port && (containerPort === port || hostPort === port));
  return isPort && matchesLabelSelector(pod.labels, server.podSelector);
}

/** Whether an opaque `server` selects `port` of `workload`. */
export function makesWorkloadPortOpaque(server: ServerRecord, workload: ExternalWorkloadRecord, port: number): boolean {
  if (!server.isOpaque || server.namespace !== workload.namespace || server.externalWorkloadSelector === undefined) return false;
  const isPort =
    typeof server.port === 'number'
      ? server.port === port
      : workload.ports.some((declared) => declared.name === server.port && declared.port === port);
  return isPort && matchesLabelSelector(workload.labels, server.externalWorkloadSelector);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The workload kinds of apps/v1 and batch/v1, the owners that give a pod its `deployment`, `statefulset`, `daemonset`, `job` labels in
 * metrics and in discovery answers (control-contract §1.6), and the lease by which replicas elect a writer (§3.4).
 */
import type { Resource, ResourceKind } from '../types.ts';
import { namespacedKind } from './meta.ts';
import type { Condition, LabelSelector } from './meta.ts';
import type { PodTemplate } from './pods.ts';

/** Spec of the kinds that keep a number of pods running. */
export interface ReplicatedSpec {
  readonly replicas?: number;
  readonly selector?: LabelSelector;
  readonly template?: PodTemplate;
  readonly serviceName?: string;
  readonly [field: string]: unknown;
}

export interface ReplicatedStatus {
  readonly replicas?: number;
  readonly readyReplicas?: number;
  readonly availableReplicas?: number;
  readonly updatedReplicas?: number;
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
  readonly [field: string]: unknown;
}

export type Deployment = Resource<ReplicatedSpec, ReplicatedStatus>;
export type ReplicaSet = Resource<ReplicatedSpec, ReplicatedStatus>;
/** Its `selector` is a plain map of labels. */
export type ReplicationController = Resource<
  { readonly replicas?: number; readonly selector?: Readonly<Record<string, string>>; readonly template?: PodTemplate },
  ReplicatedStatus
>;
export type StatefulSet = Resource<ReplicatedSpec, ReplicatedStatus>;
export type DaemonSet = Resource<ReplicatedSpec, Readonly<Record<string, unknown>>>;

export interface JobSpec {
  readonly template?: PodTemplate;
  readonly parallelism?: number;
  readonly completions?: number;
  readonly backoffLimit?: number;
  readonly suspend?: boolean;
  readonly [field: string]: unknown;
}

export interface JobStatus {
  readonly active?: number;
  readonly succeeded?: number;
  readonly failed?: number;
  readonly conditions?: readonly Condition[];
  readonly [field: string]: unknown;
}

export type Job = Resource<JobSpec, JobStatus>;
export type CronJob = Resource<
  { readonly schedule?: string; readonly jobTemplate?: { readonly spec?: JobSpec }; readonly [field: string]: unknown },
  Readonly<Record<string, unknown>>
>;

/** A lock with a holder and an expiry (coordination.k8s.io/v1). Times are RFC 3339 with microseconds. */
export interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

export type Lease = Resource<LeaseSpec>;

/** apps/v1 Deployment. */
export const DeploymentKind: ResourceKind<Deployment> = namespacedKind('apps', 'v1', 'Deployment', 'deployments');
/** apps/v1 ReplicaSet. */
export const ReplicaSetKind: ResourceKind<ReplicaSet> = namespacedKind('apps', 'v1', 'ReplicaSet', 'replicasets');
/** core/v1 ReplicationController. */
export const ReplicationControllerKind: ResourceKind<ReplicationController> = namespacedKind(
  '',
  'v1',
  'ReplicationController',
  'replicationcontrollers',
);
/** apps/v1 StatefulSet. */
export const StatefulSetKind: ResourceKind<StatefulSet> = namespacedKind('apps', 'v1', 'StatefulSet', 'statefulsets');
/** apps/v1 DaemonSet. */
export const DaemonSetKind: ResourceKind<DaemonSet> = namespacedKind('apps', 'v1', 'DaemonSet', 'daemonsets');
/** batch/v1 Job. */
export const JobKind: ResourceKind<Job> = namespacedKind('batch', 'v1', 'Job', 'jobs');
/** batch/v1 CronJob. */
export const CronJobKind: ResourceKind<CronJob> = namespacedKind('batch', 'v1', 'CronJob', 'cronjobs');
/** coordination.k8s.io/v1 Lease. */
export const LeaseKind: ResourceKind<Lease> = namespacedKind('coordination.k8s.io', 'v1', 'Lease', 'leases');

// SPDX-License-Identifier: Apache-2.0
/*
 * Pods and what is inside them (core/v1): the parts that discovery, policy and injection read. Ports and probes decide inbound policy
 * (control-contract §3.2), labels and addresses decide discovery (§1.5), environment values of a proxy container are parsed back (§1.6).
 */
import type { Resource, ResourceKind } from '../types.ts';
import { namespacedKind } from './meta.ts';
import type { Condition, IntOrString } from './meta.ts';

/** A declared port of a container. */
export interface ContainerPort {
  readonly containerPort: number;
  readonly name?: string;
  readonly protocol?: string;
  readonly hostPort?: number;
  readonly hostIP?: string;
}

/** An environment variable; `valueFrom` is kept untyped. */
export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: unknown;
}

/** A liveness, readiness or startup probe. */
export interface Probe {
  readonly httpGet?: {
    readonly path?: string;
    readonly port: IntOrString;
    readonly host?: string;
    readonly scheme?: string;
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
  };
  readonly tcpSocket?: { readonly port: IntOrString; readonly host?: string };
  readonly grpc?: { readonly port: number; readonly service?: string };
  readonly exec?: { readonly command?: readonly string[] };
  readonly initialDelaySeconds?: number;
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly successThreshold?: number;
  readonly failureThreshold?: number;
}

/** A container, init containers and native sidecars (`restartPolicy: Always`) included. */
export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly workingDir?: string;
  readonly env?: readonly EnvVar[];
  readonly ports?: readonly ContainerPort[];
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly startupProbe?: Probe;
  readonly restartPolicy?: string;
  readonly [field: string]: unknown;
}

/** What a pod asks for. */
export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly nodeName?: string;
  readonly hostNetwork?: boolean;
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly restartPolicy?: string;
  readonly terminationGracePeriodSeconds?: number;
  readonly hostname?: string;
  readonly subdomain?: string;
  readonly [field: string]: unknown;
}

/** What became of a container. */
export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount?: number;
  readonly state?: Readonly<Record<string, unknown>>;
  /** How it ended the last time. */
  readonly lastState?: Readonly<Record<string, unknown>>;
}

/** What a kubelet reports about a pod. */
export interface PodStatus {
  /** Pending, Running, Succeeded, Failed or Unknown. */
  readonly phase?: string;
  readonly podIP?: string;
  readonly podIPs?: readonly { readonly ip: string }[];
  readonly hostIP?: string;
  readonly hostIPs?: readonly { readonly ip: string }[];
  readonly conditions?: readonly Condition[];
  readonly containerStatuses?: readonly ContainerStatus[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
  readonly reason?: string;
  readonly message?: string;
}

export type Pod = Resource<PodSpec, PodStatus>;

/** The pod that a workload stamps out. */
export interface PodTemplate {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: PodSpec;
}

/** core/v1 Pod. */
export const PodKind: ResourceKind<Pod> = namespacedKind('', 'v1', 'Pod', 'pods');

// SPDX-License-Identifier: Apache-2.0
/*
 * What the builders of containers work with: values after the annotations, facts about the installation, and what is copied from the pod
 * (control-contract §4.4: the first container's capabilities and its service account token's mount).
 */
import type { JsonObject } from '../json-object.ts';
import type { ImageValues, InjectorValues } from '../values.ts';

/** Capabilities to give on. */
export interface Capabilities {
  readonly add: readonly string[];
  readonly drop: readonly string[];
}

export interface ContainerContext {
  readonly values: InjectorValues;
  /** Namespace of the control plane. */
  readonly controlPlaneNamespace: string;
  /** PEM. */
  readonly trustAnchors: string;
  /** Ports whose policy the proxy fetches at once, `80,8080`. */
  readonly inboundPorts: string;
  readonly isIngress: boolean;
  /** The proxy is told who may tap it. */
  readonly isTapped: boolean;
  /** Of the first container, if it has any. */
  readonly capabilities: Capabilities | undefined;
  /** The pod's mount of its service account token, if there is one. */
  readonly tokenMount: JsonObject | undefined;
}

/** `name:version`. */
export function imageReference({ name, version }: ImageValues): string {
  return `${name}:${version}`;
}

/** The image's own policy, or the installation's. */
export function pullPolicyOf(image: ImageValues, values: InjectorValues): string {
  return image.pullPolicy || values.imagePullPolicy;
}

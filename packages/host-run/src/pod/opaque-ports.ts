// SPDX-License-Identifier: Apache-2.0
/*
 * The annotation `config.linkerd.io/opaque-ports` as the injector completes it on pods and services (control-contract §4.5), and what it means
 * for a proxy (§4.3: names become numbers).
 */
import type { Namespace, PodSpec, Service } from '@weft/resources';
import { DEFAULT_OPAQUE_PORTS } from './proxy-settings.ts';

export const OPAQUE_PORTS = 'config.linkerd.io/opaque-ports';

const DEFAULT_SET: ReadonlySet<string> = new Set(DEFAULT_OPAQUE_PORTS.split(','));

/** The value to add to a pod that lacks the annotation; undefined for none. */
export function defaultOpaquePortsOfPod(spec: PodSpec, namespace: Namespace | undefined): string | undefined {
  const inherited = namespace?.metadata.annotations[OPAQUE_PORTS];
  if (inherited !== undefined) return inherited;
  const ports = [...(spec.initContainers ?? []), ...spec.containers]
    .flatMap((container) => container.ports ?? [])
    .map(({ containerPort }) => String(containerPort))
    .filter((port) => DEFAULT_SET.has(port));
  return ports.length === 0 ? undefined : ports.join(',');
}

/** The value to add to a service that lacks the annotation; undefined for none. */
export function defaultOpaquePortsOfService(service: Service, namespace: Namespace | undefined): string | undefined {
  const inherited = namespace?.metadata.annotations[OPAQUE_PORTS];
  if (inherited !== undefined) return inherited;
  const ports = (service.spec?.ports ?? [])
    .filter(({ port, targetPort = port }) => typeof targetPort === 'number' && DEFAULT_SET.has(String(targetPort)))
    .map(({ port }) => String(port));
  return ports.length === 0 ? undefined : ports.join(',');
}

/** The annotation's value with port names resolved and what is neither name nor range left out. */
export function numericOpaquePorts(value: string, spec: PodSpec): string {
  const named = new Map(
    [...(spec.initContainers ?? []), ...spec.containers]
      .flatMap((container) => container.ports ?? [])
      .map(({ name, containerPort }) => [name ?? '', containerPort]),
  );
  return value
    .split(',')
    .map((item) => item.trim())
    .flatMap((item) => {
      const port = item === '' ? undefined : named.get(item);
      if (port !== undefined) return [String(port)];
      return /^\d{1,5}(-\d{1,5})?$/.test(item) ? [item] : [];
    })
    .join(',');
}

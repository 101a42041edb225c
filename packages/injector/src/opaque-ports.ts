// SPDX-License-Identifier: Apache-2.0
/*
 * The `opaque-ports` annotation that pods and services get where they have none (control-contract §4.5, feature INJ-07): their namespace's,
 * or of the default ports those that they have.
 */
import { isPortOrRange, listItems } from './annotations/formats.ts';
import { OPAQUE_PORTS_ANNOTATION } from './annotations/names.ts';
import { objectsOf, type JsonObject } from './json-object.ts';

/** A port as a number in JSON; undefined for anything else. */
export function parsePort(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 65_535 ? value : undefined;
}

export interface OpaqueDefaulting {
  readonly annotations: ReadonlyMap<string, string>;
  readonly namespaceAnnotations: ReadonlyMap<string, string>;
  /** The installation's default, ports and ranges. */
  readonly defaultPorts: string;
}

/** The annotation for a pod with these container ports; undefined where nothing is to be added. */
export function defaultPodOpaquePorts(ports: readonly number[], input: OpaqueDefaulting): string | undefined {
  return defaulted(input, () => ports.filter(matcherOf(input.defaultPorts)));
}

/** The annotation for a service; undefined where nothing is to be added. */
export function defaultServiceOpaquePorts(spec: JsonObject, input: OpaqueDefaulting): string | undefined {
  return defaulted(input, () => {
    const isOpaque = matcherOf(input.defaultPorts);
    return objectsOf(spec['ports']).flatMap(({ port, targetPort }) => {
      const servicePort = parsePort(port);
      // A named target is a different port in each pod: it never counts. 0 and '' are Kubernetes' "not set".
      const isUnset = targetPort === undefined || targetPort === null || targetPort === 0 || targetPort === '';
      const target = isUnset ? servicePort : parsePort(targetPort);
      return servicePort !== undefined && target !== undefined && isOpaque(target) ? [servicePort] : [];
    });
  });
}

function defaulted(input: OpaqueDefaulting, ports: () => readonly number[]): string | undefined {
  if (input.annotations.has(OPAQUE_PORTS_ANNOTATION)) return undefined;
  const ofNamespace = input.namespaceAnnotations.get(OPAQUE_PORTS_ANNOTATION);
  const value = ofNamespace ?? [...new Set(ports())].join(',');
  return value === '' ? undefined : value;
}

function matcherOf(list: string): (port: number) => boolean {
  const ranges = listItems(list)
    .filter(isPortOrRange)
    .map((item) => item.split('-').map(Number))
    .map(([low = 0, high = low]) => ({ low, high }));
  return (port) => ranges.some(({ low, high }) => port >= low && port <= high);
}

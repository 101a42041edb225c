// SPDX-License-Identifier: Apache-2.0
/*
 * What the webhook does to a Service (control-contract §4.5, feature INJ-07): it has no proxy to get, but the same `opaque-ports` default as
 * the pods behind it, so that clients treat those ports as the servers do.
 */
import { decideByAnnotation } from './decision.ts';
import { opaquePortsPatch, type Injection, type NamespaceFacts } from './inject-pod.ts';
import { objectOf, textMap, textOf, type JsonObject } from './json-object.ts';
import { defaultServiceOpaquePorts } from './opaque-ports.ts';
import type { InjectorValues } from './values.ts';

export interface InjectServiceInput {
  readonly service: JsonObject;
  readonly namespace: NamespaceFacts;
  readonly values: InjectorValues;
}

/** The patch of a Service. */
export function injectService({ service, namespace, values }: InjectServiceInput): Injection {
  const metadata = objectOf(service['metadata']);
  const annotations = textMap(metadata['annotations']);
  const namespaceAnnotations = textMap(namespace.annotations);
  const opaquePorts = defaultServiceOpaquePorts(objectOf(service['spec']), {
    annotations,
    namespaceAnnotations,
    defaultPorts: values.proxy.opaquePorts,
  });
  return {
    patch: opaquePorts === undefined ? [] : opaquePortsPatch(service, opaquePorts),
    report: {
      kind: 'Service',
      name: textOf(metadata['name']),
      isInjected: false,
      annotatedAt: decideByAnnotation(annotations, namespaceAnnotations).annotatedAt,
      skipReasons: ['unsupported_resource'],
      ...(opaquePorts === undefined ? {} : { opaquePorts }),
      problems: [],
      hasUdpPorts: false,
    },
  };
}

// SPDX-License-Identifier: Apache-2.0
/* Opaque ports that only one of service and pod declares (CK-15): such traffic is treated differently by service name and by pod address. */
import { NamespaceKind, ServiceKind } from '@weft/resources';
import type { Pod, Service, ServicePort } from '@weft/resources';
import { textAt } from '../../kube/mesh-config.ts';
import { CheckFailure } from '../check.ts';
import type { Category } from '../check.ts';
import type { Lookups } from '../lookups.ts';
import { CONFIG_MAP_EXISTS } from './ids.ts';

/** The annotation that makes ports opaque: numbers and ranges, comma-separated. */
export const OPAQUE_PORTS = 'config.linkerd.io/opaque-ports';

export const opaquePorts: Category = {
  name: 'linkerd-opaque-ports-definition',
  checks: [
    {
      id: 'linkerd-opaque-ports-definition/annotated',
      description: 'opaque ports are properly annotated',
      hintAnchor: 'linkerd-opaque-ports-definition',
      isWarning: true,
      needs: [CONFIG_MAP_EXISTS],
      run: async (lookups) => {
        const problems = await findMismatches(lookups);
        if (problems.length > 0) throw new CheckFailure(problems.map((problem) => `    * ${problem}`).join('\n'));
      },
    },
  ],
};

async function findMismatches(lookups: Lookups): Promise<string[]> {
  const defaults = textAt((await lookups.config()).values, 'proxy.opaquePorts');
  const namespaces = new Map(
    (await lookups.list(NamespaceKind)).map(({ metadata }) => [metadata.name, metadata.annotations[OPAQUE_PORTS]]),
  );
  const pods = await lookups.dataPlanePods();
  const { dataPlaneNamespace: namespace } = lookups.settings;
  const problems = new Set<string>();
  for (const service of await lookups.list(ServiceKind, namespace === '' ? {} : { namespace })) {
    const fallback = namespaces.get(service.metadata.namespace) ?? defaults;
    for (const pod of pods) {
      if (!isSelected(service, pod)) continue;
      for (const port of service.spec?.ports ?? []) {
        const problem = mismatch(service, pod, port, fallback);
        if (problem !== undefined) problems.add(problem);
      }
    }
  }
  return [...problems];
}

function isSelected({ metadata, spec }: Service, pod: Pod): boolean {
  const selector = Object.entries(spec?.selector ?? {});
  return (
    metadata.namespace === pod.metadata.namespace &&
    selector.length > 0 &&
    selector.every(([name, value]) => pod.metadata.labels[name] === value)
  );
}

/** In the words of the reference, or undefined. */
function mismatch(service: Service, pod: Pod, port: ServicePort, fallback: string): string | undefined {
  const target = targetPort(pod, port);
  if (target === undefined) return undefined;
  const isServiceOpaque = hasPort(service.metadata.annotations[OPAQUE_PORTS] ?? fallback, port.port);
  const isPodOpaque = hasPort(pod.metadata.annotations[OPAQUE_PORTS] ?? fallback, target);
  if (isServiceOpaque === isPodOpaque) return undefined;
  return isPodOpaque
    ? `service ${service.metadata.name} targets the opaque port ${target} through ${port.port}; add ${port.port} to its ${OPAQUE_PORTS} annotation`
    : `pod ${pod.metadata.name} is targeted by the opaque port ${port.port} of service ${service.metadata.name}; add ${target} to its ${OPAQUE_PORTS} annotation`;
}

function targetPort(pod: Pod, { port, targetPort: target = port }: ServicePort): number | undefined {
  if (typeof target === 'number') return target;
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  return containers.flatMap(({ ports }) => ports ?? []).find(({ name }) => name === target)?.containerPort;
}

/** Whether a list of ports and ranges holds a port. What is no number in it holds nothing. */
export function hasPort(list: string, port: number): boolean {
  return list.split(',').some((item) => {
    const [from, to = from] = item.trim().split('-');
    return port >= Number(from) && port <= Number(to) && from !== '';
  });
}

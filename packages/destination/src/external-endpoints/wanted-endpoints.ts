// SPDX-License-Identifier: Apache-2.0
/*
 * Which endpoints a Service gets from ExternalWorkloads (control-contract §1.12): the workloads that its selector takes, per address family,
 * grouped by the ports that they resolve to. Pure.
 */
import { hasLabels, type Endpoint, type EndpointPort, type ExternalWorkload, type IntOrString, type Service } from '@weft/resources';

import { parseIp } from '../ip-address.ts';
import { SYSTEM_NAMESPACE, ZONE_LABEL } from '../records/annotations.ts';

/** Address family as EndpointSlices name it. */
export type AddressType = 'IPv4' | 'IPv6';

/** Workloads that share a family and resolved ports, and so may share slices. */
export interface EndpointGroup {
  readonly addressType: AddressType;
  readonly ports: readonly EndpointPort[];
  /** By workload name. */
  readonly endpoints: ReadonlyMap<string, Endpoint>;
}

const BOTH: readonly AddressType[] = ['IPv4', 'IPv6'];

/** Whether slices are written for a Service at all. */
export function isEligible({ metadata, spec }: Service): boolean {
  return (
    metadata.namespace !== SYSTEM_NAMESPACE &&
    metadata.deletionTimestamp === undefined &&
    spec?.type !== 'ExternalName' &&
    Object.keys(spec?.selector ?? {}).length > 0
  );
}

/** Whether a Service's selector takes a workload. */
export function isSelected({ metadata, spec }: Service, workload: ExternalWorkload): boolean {
  return workload.metadata.namespace === metadata.namespace && hasLabels(workload.metadata.labels, spec?.selector ?? {});
}

/** Whether a Service has no cluster IP. */
export function isHeadless({ spec }: Service): boolean {
  return spec?.clusterIP === 'None';
}

/** The groups of a Service; none where it has no workloads or is not eligible. */
export function wantedEndpoints(service: Service, workloads: Iterable<ExternalWorkload>): readonly EndpointGroup[] {
  if (!isEligible(service)) return [];
  const groups = new Map<string, EndpointGroup & { readonly endpoints: Map<string, Endpoint> }>();
  for (const workload of workloads) {
    if (!isSelected(service, workload) || workload.metadata.deletionTimestamp !== undefined) continue;
    const ports = resolvePorts(service, workload);
    if (ports === undefined) continue;
    for (const addressType of familiesOf(service)) {
      const addresses = addressesOf(workload, addressType);
      if (addresses.length === 0) continue;
      const key = `${addressType} ${portsKey(ports)}`;
      let group = groups.get(key);
      if (group === undefined) {
        group = { addressType, ports, endpoints: new Map() };
        groups.set(key, group);
      }
      group.endpoints.set(workload.metadata.name, endpointOf(service, workload, addresses));
    }
  }
  return [...groups.values()];
}

/** Tells sets of ports apart, in whatever order they are. */
export function portsKey(ports: readonly EndpointPort[]): string {
  const texts = ports.map(({ name, port, protocol, appProtocol }) =>
    [name ?? '', port ?? '', protocol ?? 'TCP', appProtocol ?? ''].join('/'),
  );
  return texts.toSorted().join(',');
}

function familiesOf({ spec }: Service): readonly AddressType[] {
  const families = (spec?.ipFamilies ?? []).filter((family) => family === 'IPv4' || family === 'IPv6');
  return families.length === 0 ? BOTH : families;
}

function addressesOf({ spec }: ExternalWorkload, addressType: AddressType): readonly string[] {
  const family = addressType === 'IPv6' ? 6 : 4;
  return (spec?.workloadIPs ?? []).map(({ ip }) => ip).filter((ip) => parseIp(ip)?.family === family);
}

/** Undefined where the Service has ports and the workload offers none of them. */
function resolvePorts({ spec }: Service, workload: ExternalWorkload): readonly EndpointPort[] | undefined {
  const wanted = spec?.ports ?? [];
  const ports = wanted.flatMap(({ name = '', port, targetPort, protocol = 'TCP', appProtocol }): EndpointPort[] => {
    const found = offeredPort(workload, targetPort === undefined || targetPort === 0 || targetPort === '' ? port : targetPort, protocol);
    if (found === undefined) return [];
    return [{ name, port: found, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }];
  });
  return ports.length === 0 && wanted.length > 0 ? undefined : ports;
}

function offeredPort({ spec }: ExternalWorkload, target: IntOrString, protocol: string): number | undefined {
  const offered = (spec?.ports ?? []).filter((port) => (port.protocol ?? 'TCP') === protocol);
  return offered.find(({ name, port }) => (typeof target === 'number' ? port === target : name === target))?.port;
}

function endpointOf(service: Service, { metadata, status }: ExternalWorkload, addresses: readonly string[]): Endpoint {
  const isReady = status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
  const zone = metadata.labels[ZONE_LABEL];
  return {
    addresses,
    conditions: { ready: isReady, serving: isReady, terminating: false },
    ...(isHeadless(service) ? { hostname: metadata.name } : {}),
    targetRef: { kind: 'ExternalWorkload', namespace: metadata.namespace, name: metadata.name, uid: metadata.uid },
    ...(zone === undefined || zone === '' ? {} : { zone }),
  };
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The names of a cluster (Kubernetes "DNS for Services and Pods", as CoreDNS answers them): services, their named ports, endpoints by
 * hostname or dashed address, pods by dashed address. Nothing is forwarded: every other name does not exist. Pure over a view of the world.
 */
import type { EndpointSlice, Service } from '@weft/resources';
import { type DnsAnswer, type DnsRecord, RCODE_NAME_ERROR, RCODE_OK, TYPE_A, TYPE_ANY, TYPE_CNAME, TYPE_SOA, TYPE_SRV } from './message.ts';

/** Seconds that an answer may be remembered: endpoints move. */
export const TTL_SECONDS = 5;

/** What the zone reads. */
export interface ZoneView {
  service(namespace: string, name: string): Service | undefined;
  /** Slices of one service. */
  slices(namespace: string, service: string): readonly EndpointSlice[];
  hasNamespace(name: string): boolean;
}

interface Address {
  readonly ip: string;
  /** First label of its own name. */
  readonly label: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

/** Answers for one domain, such as `cluster.local`. */
export class ClusterZone {
  private readonly domain: string;
  private readonly view: ZoneView;

  constructor(domain: string, view: ZoneView) {
    this.domain = domain;
    this.view = view;
  }

  /** `name` in lower case without trailing dot. */
  answer(name: string, type: number): DnsAnswer {
    const suffix = `.${this.domain}`;
    if (!name.endsWith(suffix)) return this.none(name === this.domain ? RCODE_OK : RCODE_NAME_ERROR);
    const labels = name.slice(0, -suffix.length).split('.');
    const branch = labels.pop();
    const namespace = labels.pop();
    if (namespace === undefined) return this.none(branch === 'svc' || branch === 'pod' ? RCODE_OK : RCODE_NAME_ERROR);
    if (branch === 'pod') return this.podAnswer(name, type, namespace, labels);
    if (branch !== 'svc') return this.none(RCODE_NAME_ERROR);
    const serviceName = labels.pop();
    if (serviceName === undefined) return this.none(this.view.hasNamespace(namespace) ? RCODE_OK : RCODE_NAME_ERROR);
    const service = this.view.service(namespace, serviceName);
    if (service === undefined) return this.none(RCODE_NAME_ERROR);
    return this.serviceAnswer(name, type, service, labels);
  }

  private serviceAnswer(name: string, type: number, service: Service, labels: readonly string[]): DnsAnswer {
    const base = `${service.metadata.name}.${service.metadata.namespace}.svc.${this.domain}`;
    const { spec } = service;
    if (spec?.type === 'ExternalName') {
      if (labels.length > 0) return this.none(RCODE_NAME_ERROR);
      return this.found([{ type: TYPE_CNAME, name, ttlSeconds: TTL_SECONDS, target: (spec.externalName ?? '').replace(/\.$/, '') }]);
    }
    const addresses = this.addresses(service);
    const isHeadless = spec?.clusterIP === 'None';
    const portLabels = labels.length === 2 && labels.every((label) => label.startsWith('_')) ? labels : undefined;
    if (labels.length === 0 || portLabels !== undefined) {
      if (isHeadless && addresses.length === 0) return this.none(RCODE_NAME_ERROR);
      const records = srvRecords(name, base, service, addresses, portLabels);
      if (portLabels !== undefined && records.srv.length === 0) return this.none(RCODE_NAME_ERROR);
      if (type === TYPE_SRV) return { ...this.found(records.srv), additional: records.additional };
      const ips = portLabels !== undefined ? [] : isHeadless ? addresses.map(({ ip }) => ip) : [spec?.clusterIP ?? ''];
      return this.addressAnswer(name, type, ips);
    }
    if (labels.length > 1) return this.none(RCODE_NAME_ERROR);
    const ips = addresses.filter(({ label }) => label === labels[0]).map(({ ip }) => ip);
    return ips.length === 0 ? this.none(RCODE_NAME_ERROR) : this.addressAnswer(name, type, ips);
  }

  private podAnswer(name: string, type: number, namespace: string, labels: readonly string[]): DnsAnswer {
    if (!this.view.hasNamespace(namespace)) return this.none(RCODE_NAME_ERROR);
    if (labels.length === 0) return this.none(RCODE_OK);
    const ip = /^\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}$/.test(labels[0] ?? '') ? (labels[0] ?? '').replaceAll('-', '.') : '';
    if (labels.length > 1 || ip.split('.').some((part) => Number(part) > 255) || ip === '') return this.none(RCODE_NAME_ERROR);
    return this.addressAnswer(name, type, [ip]);
  }

  private addresses(service: Service): Address[] {
    const found = new Map<string, Address>();
    for (const slice of this.view.slices(service.metadata.namespace, service.metadata.name)) {
      const ports = (slice.ports ?? []).flatMap(({ name, port, protocol }) =>
        port === undefined || port === null ? [] : [{ name: name ?? '', port, protocol: (protocol ?? 'TCP').toLowerCase() }],
      );
      for (const { addresses, conditions, hostname } of slice.endpoints ?? []) {
        if (conditions?.ready === false) continue;
        for (const ip of addresses) {
          if (slice.addressType === 'IPv4') found.set(ip, { ip, label: hostname ?? ip.replaceAll('.', '-'), ports });
        }
      }
    }
    return [...found.values()];
  }

  private addressAnswer(name: string, type: number, ips: readonly string[]): DnsAnswer {
    if (type !== TYPE_A && type !== TYPE_ANY) return this.none(RCODE_OK);
    return this.found(ips.filter((ip) => /^\d+\./.test(ip)).map((address) => ({ type: TYPE_A, name, ttlSeconds: TTL_SECONDS, address })));
  }

  private found(answers: readonly DnsRecord[]): DnsAnswer {
    return answers.length === 0 ? this.none(RCODE_OK) : { code: RCODE_OK, answers, authority: [], additional: [] };
  }

  /** No such record, or no such name: the zone's SOA says how long that may be remembered (RFC 2308). */
  private none(code: number): DnsAnswer {
    return { code, answers: [], authority: [{ type: TYPE_SOA, name: this.domain, ttlSeconds: TTL_SECONDS }], additional: [] };
  }
}

function srvRecords(
  name: string,
  base: string,
  service: Service,
  addresses: readonly Address[],
  portLabels: readonly string[] | undefined,
): { srv: DnsRecord[]; additional: DnsRecord[] } {
  const srv: DnsRecord[] = [];
  const additional = new Map<string, DnsRecord>();
  const isAsked = (portName: string, protocol: string): boolean =>
    portLabels === undefined || (portLabels[0] === `_${portName}` && portLabels[1] === `_${protocol}`);
  const add = (target: string, port: number, address: string): void => {
    srv.push({ type: TYPE_SRV, name, ttlSeconds: TTL_SECONDS, priority: 0, weight: 100, port, target });
    additional.set(target, { type: TYPE_A, name: target, ttlSeconds: TTL_SECONDS, address });
  };
  if (service.spec?.clusterIP === 'None') {
    for (const { ip, label, ports } of addresses) {
      for (const port of ports) if (isAsked(port.name, port.protocol)) add(`${label}.${base}`, port.port, ip);
    }
  } else {
    for (const { name: portName = '', protocol = 'TCP', port } of service.spec?.ports ?? []) {
      if (isAsked(portName, protocol.toLowerCase())) add(base, port, service.spec?.clusterIP ?? '');
    }
  }
  return { srv, additional: [...additional.values()] };
}

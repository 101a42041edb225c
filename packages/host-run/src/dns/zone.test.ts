// SPDX-License-Identifier: Apache-2.0
import type { EndpointSlice, Service } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { RCODE_NAME_ERROR, RCODE_OK, TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_SOA, TYPE_SRV } from './message.ts';
import { ClusterZone } from './zone.ts';

const service = (name: string, spec: Record<string, unknown>): Service =>
  ({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec }) as unknown as Service;
const PORTS = [{ name: 'grpc', port: 8086, protocol: 'TCP' }];
const SERVICES = new Map(
  [
    service('web', { clusterIP: '10.96.0.7', ports: [{ name: 'http', port: 80, protocol: 'TCP' }] }),
    service('db', { clusterIP: 'None', ports: PORTS }),
    service('empty', { clusterIP: 'None', ports: PORTS }),
    service('far', { type: 'ExternalName', externalName: 'example.com.' }),
  ].map((one) => [one.metadata.name, one]),
);
const SLICES: Record<string, unknown[]> = {
  db: [
    {
      addressType: 'IPv4',
      ports: PORTS,
      endpoints: [
        { addresses: ['10.244.0.5'], conditions: { ready: true } },
        { addresses: ['10.244.0.6'], conditions: { ready: true }, hostname: 'db-0' },
        { addresses: ['10.244.0.7'], conditions: { ready: false } },
      ],
    },
  ],
};
const zone = new ClusterZone('cluster.local', {
  service: (namespace, name) => (namespace === 'shop' ? SERVICES.get(name) : undefined),
  slices: (_namespace, name) => (SLICES[name] ?? []) as EndpointSlice[],
  hasNamespace: (name) => name === 'shop',
});

/** Code and records in short. */
function ask(name: string, type: number): unknown {
  const { code, answers, additional } = zone.answer(name, type);
  const text = [...answers, ...additional].map((record) => {
    if (record.type === TYPE_A) return `${record.name} A ${record.address}`;
    if (record.type === TYPE_SRV) return `${record.name} SRV ${record.port} ${record.target}`;
    return record.type === TYPE_CNAME ? `${record.name} CNAME ${record.target}` : '';
  });
  return code === RCODE_OK ? text : code;
}

describe('names of a cluster', () => {
  const db = 'db.shop.svc.cluster.local';
  const web = 'web.shop.svc.cluster.local';
  it.each([
    ['a service has its cluster IP', web, TYPE_A, [`${web} A 10.96.0.7`]],
    ['a service has no IPv6 address, but exists', web, TYPE_AAAA, []],
    ['SRV of a service points at itself', web, TYPE_SRV, [`${web} SRV 80 ${web}`, `${web} A 10.96.0.7`]],
    ['a named port', `_http._tcp.${web}`, TYPE_SRV, [`_http._tcp.${web} SRV 80 ${web}`, `${web} A 10.96.0.7`]],
    ['a port that the service lacks', `_ftp._tcp.${web}`, TYPE_SRV, RCODE_NAME_ERROR],
    ['a headless service has its ready endpoints', db, TYPE_A, [`${db} A 10.244.0.5`, `${db} A 10.244.0.6`]],
    [
      'SRV of a headless service names each endpoint by address or hostname',
      db,
      TYPE_SRV,
      [`${db} SRV 8086 10-244-0-5.${db}`, `${db} SRV 8086 db-0.${db}`, `10-244-0-5.${db} A 10.244.0.5`, `db-0.${db} A 10.244.0.6`],
    ],
    ['an endpoint by address', `10-244-0-5.${db}`, TYPE_A, [`10-244-0-5.${db} A 10.244.0.5`]],
    ['[LB-07] an endpoint by hostname', `db-0.${db}`, TYPE_A, [`db-0.${db} A 10.244.0.6`]],
    ['an endpoint that is not ready', `10-244-0-7.${db}`, TYPE_A, RCODE_NAME_ERROR],
    ['a headless service without endpoints', 'empty.shop.svc.cluster.local', TYPE_A, RCODE_NAME_ERROR],
    ['[LB-08] an external name is an alias', 'far.shop.svc.cluster.local', TYPE_A, ['far.shop.svc.cluster.local CNAME example.com']],
    ['a pod by address', '10-244-0-9.shop.pod.cluster.local', TYPE_A, ['10-244-0-9.shop.pod.cluster.local A 10.244.0.9']],
    ['no pod address', '10-244-0-999.shop.pod.cluster.local', TYPE_A, RCODE_NAME_ERROR],
    ['a namespace exists, without records', 'shop.svc.cluster.local', TYPE_A, []],
    ['the zone exists', 'cluster.local', TYPE_A, []],
    ['a service of another namespace', 'web.other.svc.cluster.local', TYPE_A, RCODE_NAME_ERROR],
    ['a service that is not', 'nothing.shop.svc.cluster.local', TYPE_A, RCODE_NAME_ERROR],
    ['a name too deep', `a.b.${web}`, TYPE_A, RCODE_NAME_ERROR],
    ['the world outside', 'example.com', TYPE_A, RCODE_NAME_ERROR],
    ['a search suffix added to a name of outside', 'example.com.shop.svc.cluster.local', TYPE_A, RCODE_NAME_ERROR],
  ])('%s', (_title, name, type, wanted) => {
    expect(ask(name, type)).toEqual(wanted);
  });

  it('says with the zone’s SOA how long nothing may be remembered', () => {
    const soa = [{ type: TYPE_SOA, name: 'cluster.local', ttlSeconds: 5 }];
    expect(zone.answer('nothing.shop.svc.cluster.local', TYPE_A).authority).toEqual(soa);
    expect(zone.answer(web, TYPE_AAAA).authority).toEqual(soa);
    expect(zone.answer(web, TYPE_A).authority).toEqual([]);
  });
});

// SPDX-License-Identifier: Apache-2.0
import type { EndpointSlice, Service } from '@weft/resources';
import { expect, it } from 'vitest';
import { serviceRules } from './service-rules.ts';

const service = (name: string, clusterIP: string): Service =>
  ({
    metadata: { name, namespace: 'shop' },
    spec: { clusterIP, ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
  }) as unknown as Service;
const slice = (name: string, ...addresses: readonly (readonly [string, boolean])[]): EndpointSlice =>
  ({
    metadata: { namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
    ports: [{ name: 'http', port: 8080 }],
    endpoints: addresses.map(([address, ready]) => ({ addresses: [address], conditions: { ready } })),
  }) as unknown as EndpointSlice;

it('spreads a cluster IP evenly over its ready endpoints, in one transaction', () => {
  const rules = serviceRules(
    [service('web', '10.96.0.7'), service('none', '10.96.0.8'), service('headless', 'None')],
    [slice('web', ['10.244.0.3', true], ['10.244.0.2', true], ['10.244.0.4', false]), slice('headless', ['10.244.0.5', true])],
  );
  const match = '-A WEFT_SERVICES -d 10.96.0.7/32 -p tcp -m tcp --dport 80';
  expect(rules.split('\n')).toEqual([
    '*nat',
    ':WEFT_SERVICES - [0:0]',
    `${match} -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.244.0.2:8080`,
    `${match} -j DNAT --to-destination 10.244.0.3:8080`,
    'COMMIT',
    '',
  ]);
});

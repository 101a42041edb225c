// SPDX-License-Identifier: Apache-2.0
/*
 * The law of deltas: whatever happens to the objects, in whatever order, a client that followed a stream from the start has the same endpoints as
 * one that asks now, and as one that asks a service that has only ever seen the final objects.
 */
import type { destination } from '@weft/proto';
import type { ResourceInput } from '@weft/resources';
import { array, assert, asyncProperty, boolean, constantFrom, option, record, subarray, type Arbitrary } from 'fast-check';
import { describe, expect, it } from 'vitest';

import { settled, TestDiscovery, UpdateReader } from './testdata/discovery.ts';
import { node, pod, server, service, slice, type EndpointInput } from './testdata/objects.ts';

const ZONES = [node('node-a', 'zone-a'), node('node-b', 'zone-b')];
const CLIENT_NODES = ['', 'node-a', 'node-b'];
const POD_NAMES = ['a', 'b', 'c', 'd'];
const IPS = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];

interface Step {
  readonly isDelete: boolean;
  readonly object: ResourceInput;
}

const anyEndpoint: Arbitrary<EndpointInput> = record(
  {
    ip: constantFrom(...IPS),
    pod: constantFrom(...POD_NAMES),
    zone: constantFrom('zone-a', 'zone-b'),
    hints: subarray(['zone-a', 'zone-b']),
    ready: boolean(),
  },
  { requiredKeys: ['ip'] },
);

const anySlice: Arbitrary<ResourceInput> = record({
  suffix: constantFrom('1', '2', '3'),
  endpoints: array(anyEndpoint, { maxLength: 4 }),
  isV6: boolean(),
}).map(({ suffix, endpoints, isV6 }) => {
  // The same pods under other addresses.
  const sixth = endpoints.map((endpoint) => ({ ...endpoint, ip: `2001:db8::${(endpoint.ip ?? '').at(-1) ?? ''}` }));
  return isV6 ? slice('web', `${suffix}-6`, sixth, { addressType: 'IPv6' }) : slice('web', suffix, endpoints);
});

const anyPod: Arbitrary<ResourceInput> = record({
  name: constantFrom(...POD_NAMES),
  ip: constantFrom(...IPS),
  nodeName: constantFrom('node-a', 'node-b'),
  isMeshed: boolean(),
}).map(({ name, ip, nodeName, isMeshed }) => pod(name, { ip, node: nodeName, mesh: isMeshed ? 'linkerd' : '' }));

const anyService: Arbitrary<ResourceInput> = record({ isLocal: boolean(), portName: constantFrom('http', 'other') }).map(
  ({ isLocal, portName }) =>
    service('web', { internalTrafficPolicy: isLocal ? 'Local' : 'Cluster', ports: [{ name: portName, port: 80 }] }),
);

const anyServer: Arbitrary<ResourceInput> = record({ name: constantFrom('s', 't'), protocol: constantFrom('opaque', 'HTTP/1') }).map(
  ({ name, protocol }) => server(name, 8080, protocol),
);

const anyObject = option(anySlice, { nil: undefined }).chain((object) =>
  object === undefined ? constantFrom(anyPod, anyService, anyServer).chain((arbitrary) => arbitrary) : constantFrom(object),
);

const anySteps: Arbitrary<Step[]> = array(record({ isDelete: boolean(), object: anyObject }), { maxLength: 25 });

function keyOf({ kind, metadata: { name } }: ResourceInput): string {
  return `${kind}/${name}`;
}

/** What a client knows, without what the pod says of itself: a pod's changes reach clients with the next change of its slice only (§1.5). */
function sockets(reader: UpdateReader): string[] {
  reader.take();
  return [...reader.known.keys()].sort();
}

/** What a client knows, in full, but for addresses that several endpoints claim: which of them speaks depends on the order of events. */
function endpoints(reader: UpdateReader, contested: ReadonlySet<string>): [string, destination.WeightedAddr][] {
  reader.take();
  return [...reader.known].filter(([socket]) => !contested.has(socket)).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Addresses that endpoints with different targets claim. */
function contestedSockets(objects: Iterable<ResourceInput>): ReadonlySet<string> {
  const targets = new Map<string, Set<string>>();
  for (const object of objects) {
    if (object.kind !== 'EndpointSlice') continue;
    for (const { addresses, targetRef } of object['endpoints'] as { addresses: string[]; targetRef?: { name: string } }[]) {
      const ip = addresses[0] ?? '';
      const socket = ip.includes(':') ? `[20010db800000000/${ip.at(-1) ?? ''}]:8080` : `${ip}:8080`;
      targets.set(socket, (targets.get(socket) ?? new Set()).add(targetRef?.name ?? ''));
    }
  }
  return new Set([...targets].filter(([, names]) => names.size > 1).map(([socket]) => socket));
}

describe('following a stream', () => {
  it.each([false, true])('[LB-03] [LB-05] ends where asking afresh begins (IPv6 %s)', async (isIpv6Enabled) => {
    const init = { options: { isIpv6Enabled } };
    await assert(
      asyncProperty(anySteps, async (steps) => {
        const discovery = await TestDiscovery.start([...ZONES, service('web')], init);
        const followers = await Promise.all(CLIENT_NODES.map((nodeName) => discovery.get('web:80', nodeName)));
        const present = new Map<string, ResourceInput>([['Service/web', service('web')]]);
        for (const { isDelete, object } of steps) {
          const key = keyOf(object);
          if (!isDelete) {
            await discovery.put(object);
            present.set(key, object);
          } else if (present.delete(key)) {
            await discovery.remove(object);
          }
        }
        // Pod changes without a slice change are not published: touch every slice, so that all is current.
        for (const object of present.values()) {
          if (object.kind === 'EndpointSlice')
            await discovery.put({ ...object, metadata: { ...object.metadata, annotations: { touched: 'yes' } } });
        }
        await settled();
        // A Service that is gone is asked for in vain; its endpoints went with it.
        const hasService = present.has('Service/web');
        const fresh = await TestDiscovery.start([...ZONES, ...present.values()], init);
        const ask = async (of: TestDiscovery): Promise<UpdateReader[]> =>
          hasService ? Promise.all(CLIENT_NODES.map((nodeName) => of.get('web:80', nodeName))) : CLIENT_NODES.map(() => new UpdateReader());
        const [asked, newcomers] = [await ask(discovery), await ask(fresh)];
        const contested = contestedSockets(present.values());
        const full = (readers: readonly UpdateReader[]): unknown => readers.map((reader) => endpoints(reader, contested));
        const short = (readers: readonly UpdateReader[]): unknown => readers.map((reader) => sockets(reader));
        expect(full(followers)).toEqual(full(asked));
        expect(short(followers)).toEqual(short(asked));
        expect(short(followers)).toEqual(short(newcomers));
        discovery.close();
        fresh.close();
      }),
      { numRuns: 300 },
    );
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * The policy APIs over real gRPC on loopback, as a proxy sees them: the first message, one message per change, statuses, and the end of a stream.
 */
import { type DescMessage, type MessageShape, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, type ClientReadableStream, type ServiceError, credentials } from '@grpc/grpc-js';
import { GRPC_CODES, GrpcServer } from '@weft/grpc-server';
import { inbound, net, outbound } from '@weft/proto';
import { HTTPRouteKind, PodKind, type ResourceInput, ServerKind } from '@weft/resources';
import { afterEach, describe, expect, it } from 'vitest';
import { type ManualWorld, settle, startWorld } from './testing/manual-world.ts';

const WATCH_PORT = '/io.linkerd.proxy.inbound.InboundServerPolicies/WatchPort';
const WATCH = '/io.linkerd.proxy.outbound.OutboundPolicies/Watch';

const POD: ResourceInput = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'app', labels: { app: 'web', 'linkerd.io/control-plane-ns': 'linkerd' } },
  spec: { containers: [{ name: 'app', image: 'app', ports: [{ containerPort: 8080, name: 'http' }] }] },
};

const SERVICE: ResourceInput = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'app' },
  spec: { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports: [{ port: 80 }] },
};

const CLIENT = '{"ns":"app","pod":"client"}';

interface Running {
  readonly world: ManualWorld;
  readonly server: GrpcServer;
  readonly client: Client;
}

const running: Running[] = [];

afterEach(async () => {
  for (const { world, server, client } of running.splice(0)) {
    client.close();
    await server.shutdown(100);
    await world.controller.close();
  }
});

async function start(objects: readonly ResourceInput[]): Promise<Running> {
  const world = await startWorld(objects);
  const server = new GrpcServer();
  server.register(inbound.InboundServerPolicies, world.controller.inbound);
  server.register(outbound.OutboundPolicies, world.controller.outbound);
  const port = await server.listen('127.0.0.1:0');
  const started = { world, server, client: new Client(`127.0.0.1:${port}`, credentials.createInsecure()) };
  running.push(started);
  return started;
}

/** What a stream brought, and a way to wait for more. */
class Received<Desc extends DescMessage> {
  readonly messages: MessageShape<Desc>[] = [];
  code: number | undefined;
  private waiters: (() => void)[] = [];
  private readonly stream: ClientReadableStream<MessageShape<Desc>>;

  constructor(stream: ClientReadableStream<MessageShape<Desc>>) {
    this.stream = stream;
    stream.on('data', (message: MessageShape<Desc>) => {
      this.messages.push(message);
      this.wake();
    });
    stream.on('error', (error: ServiceError) => {
      this.code ??= error.code;
      this.wake();
    });
    stream.on('status', (status: { readonly code: number }) => {
      this.code ??= status.code;
      this.wake();
    });
  }

  cancel(): void {
    this.stream.cancel();
  }

  async until(isDone: () => boolean): Promise<void> {
    while (!isDone()) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  private wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}

function watchPort(client: Client, workload: string, port: number): Received<typeof inbound.ServerSchema> {
  return new Received(
    client.makeServerStreamRequest(
      WATCH_PORT,
      (request: inbound.PortSpec) => Buffer.from(toBinary(inbound.PortSpecSchema, request)),
      (bytes) => fromBinary(inbound.ServerSchema, bytes),
      create(inbound.PortSpecSchema, { workload, port }),
    ),
  );
}

function watch(client: Client, port: number): Received<typeof outbound.OutboundPolicySchema> {
  return new Received(
    client.makeServerStreamRequest(
      WATCH,
      (request: outbound.TrafficSpec) => Buffer.from(toBinary(outbound.TrafficSpecSchema, request)),
      (bytes) => fromBinary(outbound.OutboundPolicySchema, bytes),
      create(outbound.TrafficSpecSchema, {
        sourceWorkload: CLIENT,
        target: {
          case: 'addr',
          value: create(net.TcpAddressSchema, { ip: { ip: { case: 'ipv4', value: 0x0a60_000a } }, port }),
        },
      }),
    ),
  );
}

function route(path: string): ResourceInput {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'r', namespace: 'app' },
    spec: {
      parentRefs: [{ group: 'core', kind: 'Service', name: 'web' }],
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: path } }], backendRefs: [{ name: 'web', port: 80 }] }],
    },
  };
}

describe('policy over gRPC', () => {
  it('[AZ-22] [AZ-11] sends one message per change of an inbound policy, and ends with the pod', async () => {
    const { world, client } = await start([POD]);
    const stream = watchPort(client, '{"ns":"app","pod":"web"}', 8080);
    await stream.until(() => stream.messages.length === 1);
    expect(stream.messages[0]?.labels['name']).toBe('all-unauthenticated');
    await world.source.create(ServerKind, {
      apiVersion: 'policy.linkerd.io/v1beta3',
      kind: 'Server',
      metadata: { name: 's', namespace: 'app' },
      spec: { podSelector: { matchLabels: { app: 'web' } }, port: 'http', proxyProtocol: 'HTTP/1' },
    });
    await stream.until(() => stream.messages.length === 2);
    expect(stream.messages[1]?.labels).toEqual({ group: 'policy.linkerd.io', kind: 'server', name: 's' });
    await world.source.delete(PodKind, 'app', 'web');
    await stream.until(() => stream.code !== undefined);
    expect(stream.code).toBe(GRPC_CODES.OK);
    expect(stream.messages).toHaveLength(2);
  });

  it('[RT-27] [RT-14] sends a route once its status accepts it, and nothing when only the status changes', async () => {
    const { world, client } = await start([SERVICE]);
    const stream = watch(client, 80);
    await stream.until(() => stream.messages.length === 1);
    await world.source.create(HTTPRouteKind, route('/a'));
    await stream.until(() => stream.messages.length === 2);
    await world.source.apply(HTTPRouteKind, route('/b'), 'test');
    await stream.until(() => stream.messages.length === 3);
    await settle();
    expect(stream.messages.map(({ protocol }) => pathsOf(protocol))).toEqual([['/'], ['/a'], ['/b']]);
    stream.cancel();
  });

  it('[AZ-22] answers unknown workloads and malformed requests with the codes that stop a proxy or let it retry', async () => {
    const { client } = await start([POD]);
    const unknown = watchPort(client, 'app:nobody', 8080);
    const malformed = watchPort(client, 'nonsense', 8080);
    await Promise.all([unknown.until(() => unknown.code !== undefined), malformed.until(() => malformed.code !== undefined)]);
    expect([unknown.code, malformed.code]).toEqual([GRPC_CODES.NOT_FOUND, GRPC_CODES.INVALID_ARGUMENT]);
  });

  it('ends every stream with OK when the server shuts down', async () => {
    const { client, server } = await start([POD, SERVICE]);
    const streams = [watchPort(client, 'app:web', 8080), watch(client, 80)];
    for (const stream of streams) await stream.until(() => stream.messages.length === 1);
    const done = server.shutdown(1000);
    for (const stream of streams) await stream.until(() => stream.code !== undefined);
    await done;
    expect(streams.map(({ code }) => code)).toEqual([GRPC_CODES.OK, GRPC_CODES.OK]);
  });
});

/** The prefixes that an HTTP policy matches. */
function pathsOf(protocol: outbound.ProxyProtocol | undefined): (string | undefined)[] {
  if (protocol?.kind.case !== 'detect') return [];
  return (protocol.kind.value.http1?.routes ?? []).flatMap(({ rules }) =>
    rules.flatMap(({ matches }) => matches.map(({ path }) => (path?.kind.case === 'prefix' ? path.kind.value : undefined))),
  );
}

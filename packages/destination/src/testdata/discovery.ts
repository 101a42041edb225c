// SPDX-License-Identifier: Apache-2.0
/* A destination service over objects in memory, with streams whose messages read as short lines. For tests only. */
import { create } from '@bufbuild/protobuf';
import { GrpcStatusError } from '@weft/grpc-server';
import { destination, type net } from '@weft/proto';
import { createMemorySource, kindOf, type LocalSource, type ResourceInput } from '@weft/resources';

import { createDestinationService, type DestinationService, type DestinationServiceInit } from '../index.ts';
import { NAMESPACE } from './objects.ts';
import { RecordingStream } from './recording-stream.ts';

/** A stream of updates as `add a,b` and `remove a` lines. */
export class UpdateReader {
  readonly stream: RecordingStream<typeof destination.UpdateSchema> = new RecordingStream(destination.UpdateSchema);
  /** The endpoints that a client of this stream has, by `ip:port`. */
  readonly known: Map<string, destination.WeightedAddr> = new Map();

  /** What came since the last call. */
  lines(): string[] {
    return this.take().map(({ update }) => {
      const addrs = (update.case === 'add' ? update.value.addrs.map(({ addr }) => addr) : update.case === 'remove' ? update.value.addrs : []) as net.TcpAddress[];
      return `${update.case ?? 'nothing'} ${addrs.map(socketText).sort().join(',')}`;
    });
  }

  /** The messages that came since the last call, applied to `known`. */
  take(): destination.Update[] {
    const updates = this.stream.messages.splice(0);
    for (const { update } of updates) {
      if (update.case === 'add') for (const addr of update.value.addrs) this.known.set(socketText(addr.addr), addr);
      if (update.case === 'remove') for (const addr of update.value.addrs) this.known.delete(socketText(addr));
    }
    return updates;
  }

  /** What the client knows of an endpoint. */
  endpoint(socket: string): destination.WeightedAddr | undefined {
    this.take();
    return this.known.get(socket);
  }
}

/** `ip:port` of an address message. */
export function socketText(address: net.TcpAddress | undefined): string {
  const ip = address?.ip?.ip;
  const text =
    ip?.case === 'ipv4'
      ? [ip.value >>> 24, (ip.value >>> 16) & 0xff, (ip.value >>> 8) & 0xff, ip.value & 0xff].join('.')
      : ip?.case === 'ipv6'
        ? `[${ip.value.first.toString(16)}/${ip.value.last.toString(16)}]`
        : '?';
  return `${text}:${address?.port ?? 0}`;
}

/** A running service and its objects. */
export class TestDiscovery {
  readonly source: LocalSource;
  readonly service: DestinationService;

  private constructor(source: LocalSource, service: DestinationService) {
    this.source = source;
    this.service = service;
  }

  static async start(objects: readonly ResourceInput[], init: Omit<DestinationServiceInit, 'source'> = {}): Promise<TestDiscovery> {
    const source = createMemorySource({ objects });
    const service = createDestinationService({ ...init, source });
    await service.ready;
    return new TestDiscovery(source, service);
  }

  close(): void {
    this.service.close();
  }

  /** Puts objects as they stand, then lets every watch deliver. */
  async put(...objects: readonly ResourceInput[]): Promise<void> {
    for (const object of objects) this.source.store.seed(object);
    await settled();
  }

  /** Deletes objects, then lets every watch deliver. */
  async remove(...objects: readonly ResourceInput[]): Promise<void> {
    for (const object of objects) {
      const kind = kindOf(object);
      if (kind !== undefined) this.source.store.delete(kind, object.metadata.namespace ?? '', object.metadata.name);
    }
    await settled();
  }

  /** Opens Get for a path below `NAMESPACE`'s services, `web:80` say, from a node. */
  async get(path: string, nodeName = ''): Promise<UpdateReader> {
    const reader = new UpdateReader();
    await this.service.handlers.get(request(path, { nodeName }), reader.stream);
    return reader;
  }

  /** Opens GetProfile for a path, from a namespace. */
  async profile(path: string, namespace = ''): Promise<RecordingStream<typeof destination.DestinationProfileSchema>> {
    const stream = new RecordingStream(destination.DestinationProfileSchema);
    await this.service.handlers.getProfile(request(path, { ns: namespace }), stream);
    return stream;
  }
}

/** The status that a call ends with, as `code details`. */
export async function statusOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'open';
  } catch (error) {
    if (error instanceof GrpcStatusError) return `${error.code} ${error.details}`;
    throw error;
  }
}

/** Lets every watch deliver. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function request(path: string, token: object): destination.GetDestination {
  const isShort = /^[a-z0-9-]+(\.[a-z0-9-]+)?:\d+$/.test(path) && !/^\d/.test(path);
  const full = isShort ? path.replace(':', `.${NAMESPACE}.svc.cluster.local:`) : path;
  return create(destination.GetDestinationSchema, { path: full, contextToken: JSON.stringify(token) });
}

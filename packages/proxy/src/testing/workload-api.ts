// SPDX-License-Identifier: Apache-2.0
/* A stand-in for the agent of a SPIFFE workload API: answers on a Unix socket, and messages as agents write them. */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import http2 from 'node:http2';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Fields of an X509SVID. */
export interface SvidParts {
  readonly id: string;
  readonly chain: Uint8Array;
  readonly key: Uint8Array;
  readonly bundle: Uint8Array;
}

/** An X509SVIDResponse, with fields that the proxy does not read. */
export function svidResponse(svids: readonly SvidParts[]): Uint8Array {
  const writer = new BinaryWriter();
  const { LengthDelimited } = WireType;
  for (const { id, chain, key, bundle } of svids) {
    const svid = new BinaryWriter().tag(1, LengthDelimited).string(id).tag(2, LengthDelimited).bytes(chain);
    svid.tag(3, LengthDelimited).bytes(key).tag(4, LengthDelimited).bytes(bundle).tag(5, LengthDelimited).string('hint');
    writer.tag(1, LengthDelimited).bytes(svid.finish());
  }
  return writer
    .tag(2, LengthDelimited)
    .bytes(new Uint8Array([1]))
    .finish();
}

export interface WorkloadApi {
  readonly socketPath: string;
  /** Headers of each call so far. */
  readonly calls: readonly http2.IncomingHttpHeaders[];
  /** Sends to every open stream. */
  send(message: Uint8Array): void;
  close(): void;
}

/** Listens; each call gets `message` at once. */
export async function startWorkloadApi(message: Uint8Array): Promise<WorkloadApi> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-spire-'));
  const socketPath = join(directory, 'agent.sock');
  const calls: http2.IncomingHttpHeaders[] = [];
  const streams: http2.ServerHttp2Stream[] = [];
  const sessions: http2.ServerHttp2Session[] = [];
  const framed = (bytes: Uint8Array): Buffer => {
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([prefix, bytes]);
  };
  const server = http2.createServer();
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    calls.push(headers);
    streams.push(stream);
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(framed(message));
  });
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    socketPath,
    calls,
    send: (next) => {
      for (const stream of streams) stream.write(framed(next));
    },
    close: () => {
      for (const session of sessions) session.destroy();
      server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

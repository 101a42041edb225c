// SPDX-License-Identifier: Apache-2.0
/*
 * One call of `Tap.Observe` over mTLS, on node:http2: a proxy offers no ALPN on its tap port (proxy-contract §3.6), which gRPC libraries insist
 * upon. gRPC over HTTP/2: PROTOCOL-HTTP2.md.
 */
import { Buffer } from 'node:buffer';
import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ObserveRequest, ObserveRequestSchema, type TapEvent, TapEventSchema } from '@weft/proto/tap';
import type { TapCredentials } from './tap-identity.ts';

/** From connecting to the end of the handshake. */
export const HANDSHAKE_MS = 10_000;
/** An event beyond this is an error. */
export const MAX_EVENT_BYTES: number = 4 * 1024 * 1024;
const PREFIX_BYTES = 5;

/** Where a proxy's tap port is, and who it must be. */
export interface TapTarget {
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
  readonly trustAnchorsPem: string;
}

/** The end of a call. */
export interface CallEnd {
  /** gRPC status; 0 = the proxy has shown as many requests as asked for. */
  readonly status: number;
  readonly message: string;
}

/** A connection to one proxy. */
export class TapConnection {
  private readonly session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.session = session;
  }

  /** Rejects with Error where the proxy cannot be reached or is another than it must be. */
  static async open(
    { host, port, serverName, trustAnchorsPem }: TapTarget,
    { keyPem, certificatesPem }: TapCredentials,
  ): Promise<TapConnection> {
    const socket = connectTls({
      host,
      port,
      servername: serverName,
      key: keyPem,
      cert: certificatesPem,
      ca: trustAnchorsPem,
      minVersion: 'TLSv1.3',
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => socket.destroy(new Error(`no handshake within ${HANDSHAKE_MS} ms`)), HANDSHAKE_MS);
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the connection was closed before the handshake ended')));
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
    const session = connectHttp2(`https://${serverName}`, { createConnection: () => socket });
    // Streams tell what becomes of the session.
    session.on('error', () => undefined);
    return new TapConnection(session);
  }

  get isOpen(): boolean {
    return !this.session.closed && !this.session.destroyed;
  }

  /** Calls; resolves with how it ended. `signal` cancels. */
  async observe(request: ObserveRequest, onEvent: (event: TapEvent) => void, signal: AbortSignal): Promise<CallEnd> {
    const stream = this.session.request({
      ':method': 'POST',
      ':path': '/io.linkerd.proxy.tap.Tap/Observe',
      te: 'trailers',
      'content-type': 'application/grpc',
    });
    const message = toBinary(ObserveRequestSchema, request);
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([prefix, message]));
    const cancel = (): void => stream.close();
    signal.addEventListener('abort', cancel);
    try {
      return await readEvents(stream, onEvent);
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  close(): void {
    this.session.destroy();
  }
}

async function readEvents(stream: ClientHttp2Stream, onEvent: (event: TapEvent) => void): Promise<CallEnd> {
  const { promise, resolve } = Promise.withResolvers<CallEnd>();
  let end: CallEnd | undefined;
  let gathered: Buffer = Buffer.alloc(0);
  const readStatus = (headers: Readonly<Record<string, string | string[] | number | undefined>>): void => {
    const status = headers['grpc-status'];
    if (status !== undefined) end = { status: Number(status), message: String(headers['grpc-message'] ?? '') };
    else if (headers[':status'] !== undefined && headers[':status'] !== 200)
      end = { status: 2, message: `HTTP status ${String(headers[':status'])}` };
  };
  stream.on('response', readStatus);
  stream.on('trailers', readStatus);
  stream.on('data', (chunk: Buffer) => {
    gathered = gathered.length === 0 ? chunk : Buffer.concat([gathered, chunk]);
    while (gathered.length >= PREFIX_BYTES) {
      const length = gathered.readUInt32BE(1);
      if (gathered[0] !== 0 || length > MAX_EVENT_BYTES) {
        end = { status: 13, message: 'the proxy sent a message that cannot be read' };
        stream.close();
        return;
      }
      if (gathered.length < PREFIX_BYTES + length) return;
      const message = gathered.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
      gathered = gathered.subarray(PREFIX_BYTES + length);
      onEvent(fromBinary(TapEventSchema, message));
    }
  });
  stream.on('error', (error) => (end ??= { status: 14, message: error.message }));
  stream.on('close', () => resolve(end ?? { status: 14, message: 'the connection was closed' }));
  return promise;
}

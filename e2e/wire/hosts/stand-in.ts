// SPDX-License-Identifier: Apache-2.0
/*
 * A stand-in for a meshed peer: a TLS 1.3 server with a certificate of the mesh that records what a proxy sends it (ClientHello, transport
 * header, HTTP/2 frames and requests, bytes) and answers as the one did that stood in for the captures.
 */
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { TLSSocket, createSecureContext } from 'node:tls';
import type { Credentials } from './caller.ts';

const MAGIC = Buffer.from('transport.l5d.io/v1\r\n\r\n', 'latin1');
const ALPN = 'transport.l5d.io/v1';

/** What one connection brought. */
export interface Recorded {
  readonly port: number;
  /** First record of the client, whole. */
  clientHelloHex: string;
  tls: { protocol: string; cipher: string; alpn: string | false; sni: string; san: string; isAuthorized: boolean } | undefined;
  /** The transport header, where there was one. */
  headerHex: string | undefined;
  /** Everything inside TLS after the header. */
  clearHex: string;
  requests: RecordedRequest[];
}

export interface RecordedRequest {
  readonly headers: readonly string[];
  readonly trailers: readonly string[] | undefined;
  readonly bodyHex: string;
}

const records: Recorded[] = [];

/** Records since the last call. */
export function takeRecords(): Recorded[] {
  return records.splice(0);
}

/** Listens as a proxy of another pod does: `isDirect` = with the transport ALPN, as on 4143. */
export async function serveStandIn(ip: string, port: number, isDirect: boolean, credentials: Credentials, ca: string): Promise<void> {
  const context = createSecureContext({ ...credentials, ca, minVersion: 'TLSv1.3' });
  const server = createTcpServer((socket) => {
    const record: Recorded = { port, clientHelloHex: '', tls: undefined, headerHex: undefined, clearHex: '', requests: [] };
    records.push(record);
    keepFirstRecord(socket, record, () => {
      const secure = new TLSSocket(socket, {
        isServer: true,
        secureContext: context,
        requestCert: true,
        rejectUnauthorized: false,
        ...(isDirect ? { ALPNProtocols: [ALPN] } : {}),
      });
      secure.on('error', () => secure.destroy());
      secure.once('secure', () => {
        record.tls = {
          protocol: secure.getProtocol() ?? '',
          cipher: secure.getCipher().name,
          alpn: secure.alpnProtocol === null ? false : secure.alpnProtocol,
          sni: String((secure as unknown as { servername?: string }).servername),
          san: secure.getPeerCertificate().subjectaltname ?? '',
          isAuthorized: secure.authorizationError === undefined || secure.authorizationError === null,
        };
        readHeader(secure, record, secure.alpnProtocol === ALPN);
      });
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(port, ip, resolve);
  });
}

/** Copies the ClientHello's record aside, then lets TLS have it. */
function keepFirstRecord(socket: Socket, record: Recorded, start: () => void): void {
  socket.on('error', () => socket.destroy());
  let seen: Buffer = Buffer.alloc(0);
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = Buffer.concat([seen, chunk]);
    if (seen.length < 5 || seen.length < 5 + seen.readUInt16BE(3)) return;
    socket.removeListener('readable', onReadable);
    record.clientHelloHex = seen.subarray(0, 5 + seen.readUInt16BE(3)).toString('hex');
    socket.unshift(seen);
    start();
  };
  socket.on('readable', onReadable);
}

function readHeader(secure: TLSSocket, record: Recorded, hasHeader: boolean): void {
  let seen: Buffer = Buffer.alloc(0);
  let session: Duplex | undefined;
  secure.on('data', (chunk: Buffer) => {
    if (session !== undefined) {
      record.clearHex += chunk.toString('hex');
      session.push(chunk);
      return;
    }
    seen = Buffer.concat([seen, chunk]);
    let start = 0;
    if (hasHeader) {
      if (seen.length < MAGIC.length + 4) return;
      start = MAGIC.length + 4 + seen.readUInt32BE(MAGIC.length);
      if (seen.length < start) return;
      record.headerHex = seen.subarray(0, start).toString('hex');
    }
    const rest = seen.subarray(start);
    if (rest.length === 0) return;
    record.clearHex = rest.toString('hex');
    session = throughTo(secure);
    if (rest.subarray(0, 3).toString('latin1') === 'PRI') http2Application(record).emit('connection', session);
    else answerBytes(session);
    session.push(rest);
  });
  secure.on('end', () => session?.push(null));
  secure.on('close', () => session?.destroy());
}

/** What was read is pushed by hand; what is written goes to the TLS socket. */
function throughTo(secure: TLSSocket): Duplex {
  return new Duplex({
    read() {
      // Pushed as it comes.
    },
    write(chunk: Buffer, _encoding, done) {
      secure.write(chunk, () => done());
    },
    final(done) {
      secure.end();
      done();
    },
  });
}

/** HTTP/1 upgrade and CONNECT, an HTTP request, or an echo. */
function answerBytes(session: Duplex): void {
  let isTunnel = false;
  session.on('error', () => session.destroy());
  session.on('data', (chunk: Buffer) => {
    const text = chunk.toString('latin1');
    if (isTunnel || !/^[A-Z]+ \S+ HTTP\//.test(text)) {
      session.write(`echo:${text}`, 'latin1');
    } else if (/\r\nupgrade: websocket\r\n/i.test(text)) {
      isTunnel = true;
      session.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      const [, early = ''] = text.split('\r\n\r\n');
      if (early !== '') session.write(`echo:${early}`, 'latin1');
    } else {
      session.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-standin: 1\r\n\r\nhello');
    }
  });
}

function http2Application(record: Recorded): Http2Server {
  const server = createHttp2Server();
  server.on('stream', (stream: ServerHttp2Stream, headers, _flags, rawHeaders) => {
    stream.on('error', () => stream.destroy());
    const chunks: Buffer[] = [];
    let trailers: readonly string[] | undefined;
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('trailers', (_trailers: unknown, _flags: unknown, raw: readonly string[]) => {
      trailers = raw;
    });
    stream.on('end', () => {
      record.requests.push({ headers: rawHeaders, trailers, bodyHex: Buffer.concat(chunks).toString('hex') });
      if (headers['content-type'] === 'application/grpc') {
        stream.respond({ ':status': 200, 'x-standin': '1', 'content-type': 'application/grpc', 'grpc-status': '0' }, { endStream: true });
        return;
      }
      const origProto = headers['l5d-orig-proto'];
      stream.respond({
        ':status': 200,
        'x-standin': '1',
        'l5d-proxy-error': 'spoofed',
        'l5d-server-id': 'spoofed',
        ...(origProto === undefined ? {} : { 'l5d-orig-proto': String(origProto).split(';')[0] }),
      });
      stream.end('hello');
    });
  });
  server.on('sessionError', () => {
    // A proxy may go away at any time.
  });
  return server;
}

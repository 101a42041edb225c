// SPDX-License-Identifier: Apache-2.0
/*
 * Many pod addresses on one host whose workloads change: each address is served under one identity at a time (or none: a pod without proxy), and what
 * it answers is the identity of the connection that the request came by. An address that changes hands says goodbye to its connections as a pod
 * does that ends in order.
 */
import { type Http2Server, type Http2Session, type ServerHttp2Stream, createServer as createHttp2Server } from 'node:http2';
import { type Server, type Socket, createServer as createTcpServer } from 'node:net';
import { Duplex } from 'node:stream';
import { type SecureContext, TLSSocket, createSecureContext } from 'node:tls';

export interface Credentials {
  readonly key: string;
  readonly cert: string;
}

/** Who holds an address: an identity, `bare` (plaintext), or nobody. */
type Holder = string | undefined;

const contexts = new Map<string, SecureContext>();
const addresses = new Map<string, Address>();
let opaquePort = 0;

/** Listens on all addresses at both ports; nobody holds any yet. */
export async function serve(
  ips: readonly string[],
  httpPort: number,
  opaque: number,
  credentials: Readonly<Record<string, Credentials>>,
  ca: string,
): Promise<void> {
  opaquePort = opaque;
  for (const [identity, { key, cert }] of Object.entries(credentials))
    contexts.set(identity, createSecureContext({ key, cert, ca, minVersion: 'TLSv1.3' }));
  for (const ip of ips) {
    const address = new Address();
    addresses.set(ip, address);
    await address.listen(ip, httpPort);
    await address.listen(ip, opaque);
  }
}

/** From now on `holder` has the address; the connections of the one before are ended in order. */
export function hand(ip: string, holder: string | null): void {
  addresses.get(ip)?.hand(holder ?? undefined);
}

/** Requests and connections that were answered, by holder. */
export function answered(): Record<string, number> {
  return Object.fromEntries(counts);
}

const counts = new Map<string, number>();

class Address {
  private holder: Holder = undefined;
  private readonly servers: Server[] = [];
  private readonly sessions = new Set<Http2Session>();
  private readonly plain = new Set<Socket>();

  async listen(ip: string, port: number): Promise<void> {
    const server = createTcpServer((socket) => this.accept(socket, port));
    this.servers.push(server);
    await new Promise<void>((resolve) => {
      server.listen(port, ip, 1024, resolve);
    });
  }

  hand(holder: Holder): void {
    this.holder = holder;
    for (const session of this.sessions) session.close();
    this.sessions.clear();
    for (const socket of this.plain) socket.end();
    this.plain.clear();
  }

  private accept(socket: Socket, port: number): void {
    const { holder } = this;
    socket.on('error', () => socket.destroy());
    const context = holder === undefined ? undefined : contexts.get(holder);
    if (holder === undefined) {
      socket.resetAndDestroy();
    } else if (context === undefined) {
      this.plain.add(socket);
      socket.on('close', () => this.plain.delete(socket));
      socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${holder.length}\r\n\r\n${holder}`));
    } else {
      const secure = new TLSSocket(socket, { isServer: true, secureContext: context, requestCert: true, rejectUnauthorized: false });
      secure.on('error', () => secure.destroy());
      secure.once('secure', () => {
        if (port === opaquePort) this.answerOpaque(secure, holder);
        else this.answerHttp(secure, holder);
      });
    }
  }

  /** One line, one answer, goodbye. */
  private answerOpaque(secure: TLSSocket, holder: string): void {
    secure.once('data', () => {
      count(holder);
      secure.end(`${holder}\n`);
    });
  }

  private answerHttp(secure: TLSSocket, holder: string): void {
    const server: Http2Server = createHttp2Server();
    server.on('session', (session) => {
      // The address may have changed hands while the connection was being made.
      if (this.holder !== holder) {
        session.close();
        return;
      }
      this.sessions.add(session);
      session.on('close', () => this.sessions.delete(session));
      session.on('error', () => session.destroy());
    });
    server.on('stream', (stream: ServerHttp2Stream) => {
      count(holder);
      stream.on('error', () => stream.destroy());
      stream.resume();
      // A request takes its time, so that some are always under way when an address changes hands.
      setTimeout(() => {
        if (stream.destroyed) return;
        stream.respond({ ':status': 200, 'content-type': 'text/plain' });
        stream.end(holder);
      }, 3);
    });
    server.on('sessionError', () => {});
    server.emit('connection', plainEnd(secure));
  }
}

function count(holder: string): void {
  counts.set(holder, (counts.get(holder) ?? 0) + 1);
}

/** HTTP/2 wants a stream that has not negotiated anything; this is one over the TLS socket. */
function plainEnd(secure: TLSSocket): Duplex {
  const duplex = new Duplex({
    read() {
      secure.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      secure.write(chunk, () => done());
    },
    final(done) {
      secure.end();
      done();
    },
    destroy(error, done) {
      secure.destroy();
      done(error);
    },
  });
  secure.on('data', (chunk: Buffer) => {
    if (!duplex.push(chunk)) secure.pause();
  });
  secure.on('end', () => duplex.push(null));
  secure.on('close', () => duplex.destroy());
  return duplex;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A client on a host of the rig: requests written byte for byte, HTTP/2 requests, and TLS connections as a meshed or a hostile peer makes them.
 * What comes back has the shape of the captured answers in testdata.
 */
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';

/** How long nothing comes before a connection counts as still open. */
const QUIET_MS = 300;
const CONNECT_TIMEOUT_MS = 5000;
const EXCHANGE_TIMEOUT_MS = 8000;
const PIECE_PAUSE_MS = 2;

export interface TextCall {
  readonly host: string;
  readonly port: number;
  /** Latin-1. */
  readonly text: string;
  /** Sent once the first bytes have come back. */
  readonly followUp?: string;
  /** Longest wait for a first byte or the end. Default 8 s. */
  readonly maxMs?: number;
  /** Goes away with RST in the end. */
  readonly resets?: boolean;
}

export interface TextAnswer {
  /** Everything that came, latin-1. */
  readonly raw: string;
  /** `still open`, `closed` or `error CODE`. */
  readonly end: string;
}

export async function callText(call: TextCall): Promise<TextAnswer> {
  const socket = connectTcp({ host: call.host, port: call.port, allowHalfOpen: true });
  const answer = readUntilQuiet(socket, (call.maxMs ?? EXCHANGE_TIMEOUT_MS) + (call.resets === true ? QUIET_MS : 0), call.followUp);
  socket.write(call.text, 'latin1');
  if (call.resets !== true) return answer;
  // Before the reader's own, orderly end.
  setTimeout(() => socket.resetAndDestroy(), call.maxMs ?? EXCHANGE_TIMEOUT_MS);
  return answer;
}

/** Collects bytes until the peer ends, an error, or quiet after the first of them. */
async function readUntilQuiet(socket: Duplex, maxMs: number, followUp: string | undefined): Promise<TextAnswer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let isOver = false;
    let wasFollowUpSent = followUp === undefined;
    const finish = (end: string): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      resolve({ raw: Buffer.concat(chunks).toString('latin1'), end });
      socket.destroy();
    };
    let timer = setTimeout(() => finish('still open'), maxMs);
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (!wasFollowUpSent) {
        wasFollowUpSent = true;
        socket.write(followUp ?? '', 'latin1');
      }
      clearTimeout(timer);
      timer = setTimeout(() => finish('still open'), QUIET_MS);
    });
    socket.on('end', () => finish('closed'));
    socket.on('close', () => finish('closed'));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(`error ${error.code ?? error.message}`));
  });
}

export interface Http2Call {
  readonly host: string;
  readonly port: number;
  readonly headers: readonly string[];
  readonly bodyHex?: string;
}

export interface Http2Answer {
  /** Names and values in turn; undefined where there was no answer. */
  readonly headers: readonly string[] | undefined;
  readonly trailers: readonly string[] | undefined;
  /** Latin-1. */
  readonly body: string;
  /** Code of a GOAWAY. */
  readonly goaway: number | undefined;
  /** `end of stream`, or why not. */
  readonly end: string;
}

export async function callHttp2(call: Http2Call): Promise<Http2Answer> {
  const socket = connectTcp({ host: call.host, port: call.port });
  const { session, goaway } = openSession(socket);
  const answer = await exchange(session, call.headers, call.bodyHex);
  await pause(20);
  session.destroy();
  socket.destroy();
  return { ...answer, goaway: goaway() };
}

function openSession(socket: Duplex): { session: ClientHttp2Session; goaway: () => number | undefined } {
  const session = connectHttp2('http://peer', { createConnection: () => socket });
  let code: number | undefined;
  session.on('error', () => {
    // The exchange says what it means.
  });
  session.on('goaway', (received: number) => {
    code = received;
  });
  return { session, goaway: () => code };
}

type Exchanged = Omit<Http2Answer, 'goaway'>;

async function exchange(session: ClientHttp2Session, headers: readonly string[], bodyHex = ''): Promise<Exchanged> {
  return new Promise((resolve) => {
    let head: readonly string[] | undefined;
    let trailers: readonly string[] | undefined;
    const chunks: Buffer[] = [];
    let isOver = false;
    const finish = (end: string): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      resolve({ headers: head, trailers, body: Buffer.concat(chunks).toString('latin1'), end });
    };
    const timer = setTimeout(() => finish('no answer'), EXCHANGE_TIMEOUT_MS);
    let stream;
    try {
      stream = session.request(headers, { endStream: bodyHex === '' });
    } catch (error) {
      finish((error as Error).message);
      return;
    }
    stream.on('response', (_headers, _flags, raw?: readonly string[]) => {
      head = raw;
    });
    stream.on('trailers', (_headers: unknown, _flags: unknown, raw?: readonly string[]) => {
      trailers = raw;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => finish('end of stream'));
    stream.on('error', (error: Error) => finish(error.message));
    stream.on('close', () => finish(`closed with ${stream.rstCode}`));
    if (bodyHex !== '') stream.end(Buffer.from(bodyHex, 'hex'));
  });
}

/** A key and its certificates, PEM. */
export interface Credentials {
  readonly key: string;
  readonly cert: string;
}

export interface TlsCall {
  readonly host: string;
  readonly port: number;
  readonly sni: string;
  readonly alpn: readonly string[];
  readonly credentials?: Credentials;
  readonly ca: string;
  /** Named groups. Default X25519. */
  readonly groups?: string;
  readonly ciphers?: string;
  /** A session of an earlier connection. */
  readonly sessionHex?: string;
  /** The first record goes out in pieces that end at these offsets. */
  readonly cuts?: readonly number[];
  readonly version?: 'TLSv1.2' | 'TLSv1.3';
  /** First bytes inside TLS. */
  readonly headerHex?: string;
  /** Then either this text … */
  readonly text?: string;
  readonly followUp?: string;
  /** … or HTTP/2 requests, one after another. */
  readonly requests?: readonly { readonly headers: readonly string[]; readonly bodyHex?: string }[];
  readonly maxMs?: number;
}

export interface TlsAnswer {
  readonly handshake:
    | {
        readonly protocol: string;
        readonly cipher: string;
        readonly alpn: string;
        readonly serverSan: string;
        /** Curve of the server's key. */
        readonly serverKey: string;
      }
    | undefined;
  /** A session that the server offered for another connection. */
  readonly sessionHex: string | undefined;
  /** The server took up the session of `TlsCall.sessionHex`. */
  readonly isResumed: boolean;
  readonly clientHelloBytes: number;
  readonly raw: string;
  readonly exchanges: readonly Exchanged[];
  readonly goaway: number | undefined;
  /** `still open`, `closed` or `error CODE`. */
  readonly end: string;
}

/** TLS to a proxy, and what follows inside. */
export async function callTls(call: TlsCall): Promise<TlsAnswer> {
  const transport = connectTcp({ host: call.host, port: call.port, noDelay: true });
  const pieces = call.cuts === undefined ? undefined : new InPieces(transport, call.cuts);
  const socket = connectTls({
    socket: pieces ?? transport,
    servername: call.sni,
    ...(call.alpn.length > 0 ? { ALPNProtocols: [...call.alpn] } : {}),
    ...call.credentials,
    ca: call.ca,
    ecdhCurve: call.groups ?? 'X25519',
    ...(call.sessionHex === undefined ? {} : { session: Buffer.from(call.sessionHex, 'hex') }),
    ...(call.ciphers === undefined ? {} : { ciphers: call.ciphers }),
    minVersion: call.version ?? 'TLSv1.3',
    maxVersion: call.version ?? 'TLSv1.3',
    checkServerIdentity: () => undefined,
  });
  let offered: Buffer | undefined;
  socket.on('session', (received: Buffer) => {
    offered = received;
  });
  const failure = await handshake(socket);
  const nothing = {
    raw: '',
    exchanges: [],
    goaway: undefined,
    sessionHex: undefined,
    isResumed: socket.isSessionReused(),
    clientHelloBytes: pieces?.firstBytes ?? 0,
  };
  if (failure !== undefined) {
    socket.destroy();
    return { handshake: undefined, ...nothing, end: `error ${failure}` };
  }
  const shown = {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    alpn: String(socket.alpnProtocol),
    serverSan: socket.getPeerCertificate().subjectaltname ?? '',
    serverKey: socket.getPeerCertificate().nistCurve ?? '',
  };
  if (call.headerHex !== undefined) await written(socket, Buffer.from(call.headerHex, 'hex'));
  if (call.requests === undefined) {
    if (call.text !== undefined) socket.write(call.text, 'latin1');
    const read = await readUntilQuiet(socket, call.maxMs ?? EXCHANGE_TIMEOUT_MS, call.followUp);
    return { handshake: shown, ...nothing, ...read, sessionHex: offered?.toString('hex') };
  }
  let end = 'still open';
  socket.on('error', (error: NodeJS.ErrnoException) => {
    end = `error ${error.code ?? error.message}`;
  });
  socket.on('close', () => {
    if (end === 'still open') end = 'closed';
  });
  const { session, goaway } = openSession(socket);
  const exchanges: Exchanged[] = [];
  for (const { headers, bodyHex } of call.requests) exchanges.push(await exchange(session, headers, bodyHex));
  await pause(50);
  const answer = { ...nothing, handshake: shown, exchanges, goaway: goaway(), end };
  session.destroy();
  socket.destroy();
  return answer;
}

/** node's HTTP/2 takes the socket's handle over: nothing may be under way on it then. */
async function written(socket: TLSSocket, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve) => {
    socket.write(bytes, () => resolve());
  });
}

async function handshake(socket: TLSSocket): Promise<string | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('HANDSHAKE_TIMEOUT'), CONNECT_TIMEOUT_MS);
    const finish = (code: string | undefined): void => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      socket.removeAllListeners('close');
      socket.on('error', () => {
        // After the handshake whoever reads listens for itself.
      });
      resolve(code);
    };
    socket.once('secureConnect', () => finish(undefined));
    socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.once('close', () => finish('CLOSED'));
  });
}

/** A transport whose first write goes out in pieces, each a segment of its own. */
class InPieces extends Duplex {
  firstBytes = 0;
  private readonly socket: Socket;
  private readonly cuts: readonly number[];

  constructor(socket: Socket, cuts: readonly number[]) {
    super();
    this.socket = socket;
    this.cuts = cuts;
    socket.on('data', (chunk: Buffer) => this.push(chunk));
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    // Pushed as it comes.
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.firstBytes > 0) {
      this.socket.write(chunk, done);
      return;
    }
    this.firstBytes = chunk.length;
    void this.writePieces(chunk).then(() => done(), done);
  }

  override _final(done: () => void): void {
    this.socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }

  private async writePieces(chunk: Buffer): Promise<void> {
    let from = 0;
    for (const to of [...this.cuts, chunk.length]) {
      this.socket.write(chunk.subarray(from, to));
      from = to;
      if (to < chunk.length) await pause(PIECE_PAUSE_MS);
    }
  }
}

/** The first record of a TLS client that asks for `sni`. */
export function clientHello(sni: string): Promise<string> {
  return new Promise((resolve) => {
    const sink = new Duplex({
      read() {
        // Nobody answers.
      },
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk.toString('hex'));
        done();
        sink.destroy();
      },
    });
    const socket = connectTls({ socket: sink, servername: sni, minVersion: 'TLSv1.3', ecdhCurve: 'X25519' });
    socket.on('error', () => {
      // Destroyed on purpose.
    });
  });
}

export interface RawCall {
  readonly host: string;
  readonly port: number;
  /** Written one after another, with a pause between. */
  readonly writesHex: readonly string[];
  /** Sends FIN after the last write. */
  readonly isHalfClosed?: boolean;
  readonly maxMs?: number;
}

/** Bytes in several writes. */
export async function callRaw(call: RawCall): Promise<TextAnswer> {
  const socket: Socket = connectTcp({ host: call.host, port: call.port, allowHalfOpen: true, noDelay: true });
  const answer = readUntilQuiet(socket, call.maxMs ?? EXCHANGE_TIMEOUT_MS, undefined);
  for (const [index, hex] of call.writesHex.entries()) {
    if (index > 0) await pause(30);
    socket.write(Buffer.from(hex, 'hex'));
  }
  if (call.isHalfClosed === true) socket.end();
  return answer;
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * TLS over an open plain stream, either side (proxy-contract §3.4–3.5; design §3, "Identity fails closed"). The peer is judged in the
 * event that ends the handshake, before a byte of the application is read or written:
 *
 *   server: no certificate ─► TLS without identity;  certificate ─► must verify to the anchors, identities from its DER
 *   client: certificate must verify to the anchors and its SAN must contain the expected identity
 *
 * Handshakes are bounded: so many at a time, so many begun per turn, each with a deadline that includes its wait (design §3, "Storms").
 */
import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { connect as connectTlsSocket, type TLSSocket } from 'node:tls';
import { readSubjectAltNames, type SubjectAltNames } from '@weft/pki/lean';
import { netConfig, netCounters, reportInternalError } from './config.ts';
import type {
  AcceptTlsOptions,
  ConnectTlsOptions,
  PendingConnection,
  TlsCallbacks,
  TlsClientContext,
  TlsServerContext,
} from './options.ts';
import { errorCodeOf } from './socket-driver.ts';
import { SocketStream } from './socket-stream.ts';
import { deadlines, type TimerHandle } from './timer-wheel.ts';
import { ClientContext, ServerContext } from './tls-context.ts';
import type { ByteStream, NetError, TlsPeer } from './types.ts';

/**
 * Server side. `stream` is plain, with whatever was peeked put back by `unread`. Throws a TypeError for a stream or context that is
 * not from this package, or already TLS.
 */
export function acceptTls(
  stream: ByteStream,
  context: TlsServerContext,
  options: AcceptTlsOptions,
  callbacks: TlsCallbacks,
): PendingConnection {
  if (!(context instanceof ServerContext)) throw new TypeError('acceptTls needs a context of createTlsServerContext');
  return new ServerHandshake(plainStream(stream), context, options.timeoutMs ?? netConfig.handshakeTimeoutMs, callbacks).begin();
}

/** Client side. Throws a TypeError for a stream or context that is not from this package, or already TLS. */
export function connectTls(
  stream: ByteStream,
  context: TlsClientContext,
  options: ConnectTlsOptions,
  callbacks: TlsCallbacks,
): PendingConnection {
  if (!(context instanceof ClientContext)) throw new TypeError('connectTls needs a context of createTlsClientContext');
  return new ClientHandshake(plainStream(stream), context, options, callbacks).begin();
}

function plainStream(stream: ByteStream): SocketStream {
  if (!(stream instanceof SocketStream) || stream.isTls) throw new TypeError('TLS needs a plain stream of this package');
  return stream;
}

const waiting: Handshake[] = [];
let startsThisTurn = 0;
let isTurnArmed = false;

/** Begins handshakes while both limits allow. */
function startWaiting(): void {
  while (waiting.length > 0 && netCounters.handshakesInFlight < netConfig.maxConcurrentHandshakes) {
    if (startsThisTurn >= netConfig.maxHandshakeStartsPerTurn) break;
    const next = waiting.shift() as Handshake;
    netCounters.handshakesQueued -= 1;
    startsThisTurn += 1;
    next.start();
  }
  if (startsThisTurn > 0 && !isTurnArmed) {
    isTurnArmed = true;
    setImmediate(() => {
      isTurnArmed = false;
      startsThisTurn = 0;
      startWaiting();
    });
  }
}

const WAITING = 0;
const RUNNING = 1;
const DONE = 2;
type Phase = typeof WAITING | typeof RUNNING | typeof DONE;

abstract class Handshake implements PendingConnection {
  private readonly stream: SocketStream;
  private readonly callbacks: TlsCallbacks;
  private readonly timeoutMs: number;
  private deadline: TimerHandle | undefined = undefined;
  private tcpSocket: Socket | undefined = undefined;
  private held: Buffer[] = [];
  private phase: Phase = WAITING;

  constructor(stream: SocketStream, timeoutMs: number, callbacks: TlsCallbacks) {
    this.stream = stream;
    this.timeoutMs = timeoutMs;
    this.callbacks = callbacks;
  }

  /** Takes the socket over and joins the queue. */
  begin(): this {
    const detached = this.stream.detach();
    netCounters.handshakesQueued += 1;
    waiting.push(this);
    if (detached === undefined) {
      this.stream.destroy();
      this.failLater('ECONNRESET', 'the connection was already closed');
      return this;
    }
    this.tcpSocket = detached.socket;
    this.held = detached.held;
    this.tcpSocket.on('error', ignore);
    this.tcpSocket.on('close', this.handleTcpClose);
    this.deadline = deadlines.schedule(this.timeoutMs, () => {
      this.fail('ERR_TLS_HANDSHAKE_TIMEOUT', `no TLS handshake with ${this.peerText()} within ${this.timeoutMs} ms`);
    });
    startWaiting();
    return this;
  }

  cancel(): void {
    if (this.finish()) this.tcpSocket?.destroy();
  }

  /** Called by `startWaiting`, which has taken this off the list. */
  start(): void {
    this.phase = RUNNING;
    netCounters.handshakesInFlight += 1;
    const { tcpSocket } = this;
    // Only a stream that was already closed has no socket, and its failure is on the way.
    if (tcpSocket === undefined) return;
    for (const chunk of this.held.reverse()) tcpSocket.unshift(chunk);
    this.held = [];
    // A FIN amid the handshake ends it; the TLS socket takes this setting over, and `secured` turns it back.
    tcpSocket.allowHalfOpen = false;
    try {
      this.wrap(tcpSocket);
    } catch (error) {
      this.failLater('ERR_TLS_HANDSHAKE', (error as Error).message);
    }
  }

  /** Puts TLS on the socket and sees to it that `secured` or `failed` gets called. */
  protected abstract wrap(tcpSocket: Socket): void;
  /** Judges the peer: its facts, or why it is turned away. Must not throw for anything that a peer can send. */
  protected abstract judge(tlsSocket: TLSSocket): TlsPeer | NetError;

  /** The handshake is complete. Called within OpenSSL's callback, before anything of the application is read. */
  secured(tlsSocket: TLSSocket): void {
    const { tcpSocket } = this;
    // Cancelled or failed: the TCP socket has been destroyed, and the TLS socket follows it. Destroyed here, within the callback of
    // OpenSSL, it would free the state that OpenSSL is using.
    if (this.phase !== RUNNING || tcpSocket === undefined) return;
    let verdict: TlsPeer | NetError;
    try {
      verdict = this.judge(tlsSocket);
    } catch (error) {
      reportInternalError('tls', error);
      verdict = { code: 'ERR_TLS_CERTIFICATE', message: 'the certificate of the peer could not be judged' };
    }
    if ('code' in verdict) {
      this.fail(verdict.code, verdict.message);
      return;
    }
    this.finish();
    netCounters.handshakesTotal += 1;
    tcpSocket.off('close', this.handleTcpClose);
    tlsSocket.allowHalfOpen = true;
    const stream = new SocketStream(tlsSocket, tcpSocket, this.stream.remote, this.stream.local);
    try {
      this.callbacks.onSecure(stream, verdict);
    } catch (error) {
      reportInternalError('onSecure', error);
      stream.destroy();
    }
  }

  /** The handshake failed. `note` goes behind the message. */
  failed(error: Error, note = ''): void {
    const code = errorCodeOf(error);
    // Errno names pass; the many codes of OpenSSL are one to our callers, with the text for operators.
    this.fail(
      /^E[A-Z0-9]+$/.test(code) ? code : 'ERR_TLS_HANDSHAKE',
      `TLS handshake with ${this.peerText()} failed: ${error.message}${note}`,
    );
  }

  protected peerText(): string {
    return `${this.stream.remote.ip}:${this.stream.remote.port}`;
  }

  private failLater(code: string, message: string): void {
    setImmediate(() => this.fail(code, message));
  }

  private fail(code: string, message: string): void {
    if (!this.finish()) return;
    this.tcpSocket?.destroy();
    netCounters.handshakeErrorsTotal += 1;
    try {
      this.callbacks.onError({ code, message });
    } catch (error) {
      reportInternalError('onError', error);
    }
  }

  /** Leaves the books, once; false if that had happened before. */
  private finish(): boolean {
    const { phase } = this;
    if (phase === DONE) return false;
    this.phase = DONE;
    this.deadline?.cancel();
    if (phase === RUNNING) {
      netCounters.handshakesInFlight -= 1;
      startWaiting();
    } else {
      waiting.splice(waiting.indexOf(this), 1);
      netCounters.handshakesQueued -= 1;
    }
    return true;
  }

  private readonly handleTcpClose = (): void => {
    this.fail('ECONNRESET', `the connection with ${this.peerText()} was closed during the TLS handshake`);
  };
}

/** By the TCP socket below, which is what the events of `tls.Server` lead back to. */
const serverHandshakes: WeakMap<Socket, ServerHandshake> = new WeakMap();

class ServerHandshake extends Handshake {
  private readonly context: ServerContext;

  constructor(stream: SocketStream, context: ServerContext, timeoutMs: number, callbacks: TlsCallbacks) {
    super(stream, timeoutMs, callbacks);
    this.context = context;
  }

  protected override wrap(tcpSocket: Socket): void {
    const { server } = this.context;
    if (server.listenerCount('secureConnection') === 0) {
      server.on('secureConnection', (tlsSocket) => {
        const handshake = handshakeOf(tlsSocket);
        // Unknown can only mean that Node's insides have changed: fail closed, but not within OpenSSL's callback.
        if (handshake === undefined) setImmediate(() => tlsSocket.destroy());
        else handshake.secured(tlsSocket);
      });
      server.on('tlsClientError', (error, tlsSocket) => handshakeOf(tlsSocket)?.failed(error));
    }
    serverHandshakes.set(tcpSocket, this);
    server.emit('connection', tcpSocket);
  }

  protected override judge(tlsSocket: TLSSocket): TlsPeer | NetError {
    const certificate = tlsSocket.getPeerX509Certificate();
    if (certificate === undefined) return peerOf(tlsSocket, []);
    if (!tlsSocket.authorized) return unverified(tlsSocket, this.peerText());
    const names = readSubjectAltNames(certificate.raw);
    if (names.isMalformed) return malformed(this.peerText());
    return peerOf(tlsSocket, identitiesOf(names));
  }
}

function handshakeOf(tlsSocket: TLSSocket): ServerHandshake | undefined {
  const parent = (tlsSocket as unknown as { _parent?: Socket })._parent;
  return parent === undefined ? undefined : serverHandshakes.get(parent);
}

class ClientHandshake extends Handshake {
  private readonly context: ClientContext;
  private readonly options: ConnectTlsOptions;

  constructor(stream: SocketStream, context: ClientContext, options: ConnectTlsOptions, callbacks: TlsCallbacks) {
    super(stream, options.timeoutMs ?? netConfig.handshakeTimeoutMs, callbacks);
    this.context = context;
    this.options = options;
  }

  protected override wrap(tcpSocket: Socket): void {
    const { serverName, alpn } = this.options;
    const tlsSocket = connectTlsSocket({
      socket: tcpSocket,
      secureContext: this.context.secureContext,
      servername: serverName,
      ...(alpn === undefined ? {} : { ALPNProtocols: [alpn] }),
      rejectUnauthorized: true,
      // The SNI is not matched against the certificate (proxy-contract §3.4); `judge` matches the expected identity.
      checkServerIdentity: () => undefined,
    });
    let note = '';
    const onError = (error: Error): void => this.failed(error, note);
    // Before Node's own listener, which destroys the socket, and the certificate with it, where it does not verify.
    tlsSocket.prependOnceListener('secure', () => {
      const { ssl } = tlsSocket as unknown as { readonly ssl?: { verifyError?(): NodeJS.ErrnoException | null | undefined } };
      note = timesOf(tlsSocket, ssl?.verifyError?.()?.code ?? '');
    });
    tlsSocket.on('error', onError);
    tlsSocket.once('secureConnect', () => {
      tlsSocket.off('error', onError);
      // A socket that is being destroyed may still have an error to tell.
      tlsSocket.on('error', ignore);
      this.secured(tlsSocket);
    });
  }

  protected override judge(tlsSocket: TLSSocket): TlsPeer | NetError {
    const certificate = tlsSocket.getPeerX509Certificate();
    if (certificate === undefined || !tlsSocket.authorized) return unverified(tlsSocket, this.peerText());
    const names = readSubjectAltNames(certificate.raw);
    if (names.isMalformed) return malformed(this.peerText());
    const { expectedIdentity } = this.options;
    const isExpected = URI_PATTERN.test(expectedIdentity)
      ? names.uris.includes(expectedIdentity)
      : names.dns.includes(expectedIdentity.toLowerCase());
    if (!isExpected) {
      const found = [...names.dns, ...names.uris].join(', ') || 'no name';
      return { code: 'ERR_TLS_IDENTITY', message: `expected ${expectedIdentity} at ${this.peerText()}, its certificate has ${found}` };
    }
    return peerOf(tlsSocket, identitiesOf(names));
  }
}

const URI_PATTERN = /^[A-Za-z][A-Za-z0-9+.-]*:/;
const DNS_PATTERN = /^[a-z0-9_*]([a-z0-9_.*-]*[a-z0-9_])?$/;

/** Names of a kind whose text could be mistaken for the other kind are left out. */
function identitiesOf(names: SubjectAltNames): string[] {
  return names.identities.filter((name) => (names.uris.includes(name) ? URI_PATTERN.test(name) : DNS_PATTERN.test(name)));
}

function peerOf(tlsSocket: TLSSocket, identities: readonly string[]): TlsPeer {
  const { alpnProtocol } = tlsSocket;
  return {
    identities,
    alpn: typeof alpnProtocol === 'string' ? alpnProtocol : undefined,
    protocol: tlsSocket.getProtocol() ?? '',
  };
}

function unverified(tlsSocket: TLSSocket, peer: string): NetError {
  // Typed as an Error, but it is a code such as CERT_HAS_EXPIRED.
  const reason: unknown = tlsSocket.authorizationError;
  const code = typeof reason === 'string' ? reason : 'no certificate';
  return {
    code: 'ERR_TLS_CERTIFICATE',
    message: `the certificate of ${peer} does not verify against the trust anchors: ${code}${timesOf(tlsSocket, code)}`,
  };
}

/** Where time is what is wrong, the times of the certificate and of this host: it may be either clock. */
function timesOf(tlsSocket: TLSSocket, code: string): string {
  const certificate = tlsSocket.getPeerX509Certificate();
  if (certificate === undefined || !TIME_CODES.has(code)) return '';
  const { validFromDate, validToDate } = certificate;
  return ` (valid from ${validFromDate.toISOString()} to ${validToDate.toISOString()}, but this host's clock says ${new Date().toISOString()}: check both clocks)`;
}

/** OpenSSL's names for a certificate, of the peer or on its path, outside its time. */
const TIME_CODES: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);

function malformed(peer: string): NetError {
  return { code: 'ERR_TLS_CERTIFICATE', message: `the certificate of ${peer} is not strict DER` };
}

function ignore(): void {}

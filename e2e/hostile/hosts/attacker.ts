// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile client: bytes exactly as a test writes them, in the order, the pieces and the tempo it says; and a bystander, an ordinary client whose
 * connections were open before and must go on being served.
 */
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';

/** One thing to do on the connection. */
export interface Step {
  /** Bytes as base64. */
  readonly base64?: string;
  /** Bytes as latin-1. */
  readonly text?: string;
  /** The bytes are sent this often, back-pressure observed. Default 1. */
  readonly repeat?: number;
  /** Each octet is a write of its own. */
  readonly bytewise?: boolean;
  /** Wait afterwards. */
  readonly pauseMs?: number;
  /** Wait afterwards until so many bytes have come in all, or the peer has closed. */
  readonly awaitBytes?: number;
  /** Stop or go on reading. */
  readonly reading?: 'stop' | 'go';
  /** Close: our half, or by RST. */
  readonly close?: 'fin' | 'rst';
}

export interface Attack {
  readonly host: string;
  readonly port: number;
  readonly steps: readonly Step[];
  /** After the last step, this long without a byte ends it. Default 300. */
  readonly quietMs?: number;
  /** The longest wait for an end. Default 10,000. */
  readonly maxMs?: number;
  /** The steps go on inside TLS. */
  readonly tls?: TlsSettings;
}

export interface TlsSettings {
  readonly sni: string;
  readonly alpn?: string;
  /** PEM of a key and its certificates. */
  readonly key?: string;
  readonly cert?: string;
  readonly ca: string;
}

export interface Outcome {
  /** What came, as base64, up to MAX_KEPT_BYTES. */
  readonly received: string;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** `closed` by FIN, `error CODE`, or `open`. */
  readonly end: string;
}

const MAX_KEPT_BYTES = 1 << 20;

/** A connection whose bytes and end are noted as they come. */
class Watched {
  readonly socket: Socket;
  receivedBytes = 0;
  end: string | undefined = undefined;
  lastMs: number = Date.now();
  private readonly chunks: Buffer[] = [];
  private wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    this.socket.on('data', (chunk: Buffer) => {
      if (this.receivedBytes < MAX_KEPT_BYTES) this.chunks.push(chunk);
      this.receivedBytes += chunk.length;
      this.changed();
    });
    this.socket.on('end', () => this.ended('closed'));
    this.socket.on('error', (error: NodeJS.ErrnoException) => this.ended(`error ${error.code ?? error.message}`));
    this.socket.on('close', () => this.ended('closed'));
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks);
  }

  forget(): void {
    this.chunks.length = 0;
    this.receivedBytes = 0;
  }

  /** Waits for something to happen, at most so long. */
  async change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** The first reason stands: a FIN that is followed by RST because our bytes came too late is still the FIN. */
  private ended(reason: string): void {
    this.end ??= reason;
    this.changed();
  }

  private changed(): void {
    this.lastMs = Date.now();
    this.wake();
  }
}

function tcp(host: string, port: number): Socket {
  return connectTcp({ host, port, noDelay: true, allowHalfOpen: true });
}

function inTls(host: string, port: number, { sni, alpn, key, cert, ca }: TlsSettings): Socket {
  return connectTls({
    socket: tcp(host, port),
    servername: sni,
    ...(alpn === undefined ? {} : { ALPNProtocols: [alpn] }),
    ...(key === undefined ? {} : { key, cert }),
    ca,
    minVersion: 'TLSv1.3',
    checkServerIdentity: () => undefined,
  });
}

/** The first flight of a client that asks for `sni`, as base64. */
export async function clientHello(sni: string): Promise<string> {
  return new Promise((resolve) => {
    const transport = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        resolve(chunk.toString('base64'));
        done();
      },
    });
    connectTls({ socket: transport, servername: sni, rejectUnauthorized: false }).on('error', () => {});
  });
}

/** Runs the steps on a new connection. */
export async function attack({ host, port, steps, quietMs = 300, maxMs = 10_000, tls }: Attack): Promise<Outcome> {
  const peer = new Watched(tls === undefined ? tcp(host, port) : inTls(host, port, tls));
  const { socket } = peer;
  const deadlineMs = Date.now() + maxMs;
  const isOver = (): boolean => peer.end !== undefined || Date.now() > deadlineMs;
  for (const step of steps) {
    if (isOver()) break;
    await send(peer, step, isOver, deadlineMs);
    if (step.reading === 'stop') socket.pause();
    else if (step.reading === 'go') socket.resume();
    if (step.pauseMs !== undefined) await pause(step.pauseMs);
    while (step.awaitBytes !== undefined && peer.receivedBytes < step.awaitBytes && !isOver()) await peer.change(100);
    if (step.close === 'fin') socket.end();
    else if (step.close === 'rst') socket.resetAndDestroy();
  }
  peer.lastMs = Date.now();
  while (!isOver() && Date.now() - peer.lastMs < quietMs) await peer.change(quietMs);
  const sentBytes = socket.bytesWritten;
  socket.destroy();
  return { received: peer.received.toString('base64'), receivedBytes: peer.receivedBytes, sentBytes, end: peer.end ?? 'open' };
}

async function send({ socket }: Watched, step: Step, isOver: () => boolean, deadlineMs: number): Promise<void> {
  const bytes = step.base64 === undefined ? Buffer.from(step.text ?? '', 'latin1') : Buffer.from(step.base64, 'base64');
  if (step.bytewise === true) {
    for (let at = 0; at < bytes.length && !isOver(); at++) {
      socket.write(bytes.subarray(at, at + 1));
      await pause(1);
    }
  } else if (bytes.length > 0) {
    for (let count = step.repeat ?? 1; count > 0 && !isOver(); count--) {
      if (!socket.write(bytes)) await drained(socket, deadlineMs - Date.now());
    }
  }
}

/** Several at once. */
export async function attackAll(attacks: readonly Attack[]): Promise<Outcome[]> {
  return Promise.all(attacks.map(attack));
}

async function drained(socket: Socket, maxMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, maxMs));
    socket.on('drain', done);
    socket.on('close', done);
  });
}

async function pause(ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, ms);
  });
}

// ---- the bystander

interface Bystander {
  readonly ask: () => Promise<string>;
  readonly close: () => void;
}

const bystanders: Bystander[] = [];

/** Opens a keep-alive HTTP/1 connection and an HTTP/2 one, and serves itself once on each. */
export async function openBystander(host: string, http1Port: number, http2Port: number): Promise<string[]> {
  bystanders.push(http1Bystander(host, http1Port), http2Bystander(host, http2Port));
  return askBystanders();
}

/** One request on every bystander's connection; what each got: `200`, another status, or why none. */
export async function askBystanders(): Promise<string[]> {
  return Promise.all(bystanders.map(async (each) => each.ask()));
}

const ASK_TIMEOUT_MS = 8000;

function http1Bystander(host: string, port: number): Bystander {
  const peer = new Watched(tcp(host, port));
  return {
    ask: async () => {
      peer.forget();
      peer.socket.write('GET /bystander HTTP/1.1\r\nhost: bystander\r\n\r\n');
      const deadlineMs = Date.now() + ASK_TIMEOUT_MS;
      let text = '';
      while (!text.endsWith('ok') && peer.end === undefined && Date.now() < deadlineMs) {
        await peer.change(200);
        text = peer.received.toString('latin1');
      }
      return /^HTTP\/1.1 (\d+)/.exec(text)?.[1] ?? peer.end ?? 'no answer';
    },
    close: () => peer.socket.destroy(),
  };
}

function http2Bystander(host: string, port: number): Bystander {
  const session: ClientHttp2Session = connectHttp2(`http://${host}:${port}`);
  let end: string | undefined;
  session.on('error', (error: Error) => (end = error.message));
  session.on('close', () => (end ??= 'closed'));
  return {
    ask: async () =>
      new Promise((resolve) => {
        if (end !== undefined) {
          resolve(end);
          return;
        }
        const timer = setTimeout(() => resolve('no answer'), ASK_TIMEOUT_MS);
        const finish = (text: string): void => {
          clearTimeout(timer);
          resolve(text);
        };
        const stream = session.request({ ':path': '/bystander' });
        stream.on('response', (headers) => {
          stream.resume();
          finish(String(headers[':status']));
        });
        stream.on('error', (error: Error) => finish(error.message));
        stream.end();
      }),
    close: () => session.destroy(),
  };
}

// ---- many connections

const crowd: Socket[] = [];

/** Opens connections that send `text` and then nothing; answers how many were accepted and are open. */
export async function openCrowd(host: string, port: number, count: number, text: string): Promise<number> {
  const batch = 200;
  for (let opened = 0; opened < count; opened += batch) {
    await Promise.all(
      Array.from({ length: Math.min(batch, count - opened) }, async () => {
        const socket = connectTcp({ host, port });
        crowd.push(socket);
        await new Promise<void>((resolve) => {
          socket.on('connect', () => {
            if (text !== '') socket.write(text, 'latin1');
            resolve();
          });
          socket.on('error', () => resolve());
          setTimeout(resolve, 3000).unref();
        });
        socket.resume();
      }),
    );
  }
  return crowdSize();
}

/** Connections of the crowd that are still open. */
export function crowdSize(): number {
  return crowd.filter((socket) => !socket.destroyed && socket.readyState === 'open').length;
}

export function closeCrowd(): void {
  for (const socket of crowd.splice(0)) socket.destroy();
}

// ---- storms

/** So many TLS handshakes at once, to their end; answers how many succeeded. */
export async function handshakeStorm(host: string, port: number, count: number, tls: TlsSettings): Promise<number> {
  const done = await Promise.all(
    Array.from(
      { length: count },
      async () =>
        new Promise<number>((resolve) => {
          const socket = inTls(host, port, tls);
          const finish = (secured: number): void => {
            resolve(secured);
            socket.destroy();
          };
          socket.on('secureConnect', () => finish(1));
          socket.on('error', () => finish(0));
          socket.on('close', () => finish(0));
        }),
    ),
  );
  return done.reduce((sum, secured) => sum + secured, 0);
}

export interface Latencies {
  readonly requests: number;
  readonly failures: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const measuring = { isOn: false };

/** Requests on ten keep-alive connections, each every 20 ms, until `stopMeasuring`. */
export async function measure(host: string, port: number): Promise<Latencies> {
  measuring.isOn = true;
  const latencies: number[] = [];
  let failures = 0;
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      const client = http1Bystander(host, port);
      while (measuring.isOn) {
        const startedMs = performance.now();
        if ((await client.ask()) !== '200') failures += 1;
        latencies.push(performance.now() - startedMs);
        await pause(20);
      }
      client.close();
    }),
  );
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => Number((latencies[Math.floor(share * (latencies.length - 1))] ?? 0).toFixed(2));
  return { requests: latencies.length, failures, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

export function stopMeasuring(): void {
  measuring.isOn = false;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The part that knows the insides of node:net (Node is pinned, design §3): one shared read buffer instead of a fresh one per read,
 * and writes without stream objects. Whatever is missing in a runtime is found out once, and the public API takes its place.
 */
import { Buffer } from 'node:buffer';
import { Socket } from 'node:net';
import process from 'node:process';
import { getSystemErrorName } from 'node:util';
import { netConfig } from './config.ts';

/** The fields of `socket._handle` that are used here. */
export interface SocketHandle {
  readonly fd: number;
  reading: boolean;
  readStart(): number;
  readStop(): number;
  useUserBuffer?(buffer: Uint8Array): void;
  writeBuffer?(request: null, buffer: Uint8Array): number | WriteRequest;
  getpeername?(out: SocketName): number;
  getsockname?(out: SocketName): number;
}

interface SocketName {
  address?: string;
  port?: number;
  family?: string;
}

interface WriteRequest {
  handle: SocketHandle | null;
  oncomplete: ((status: number) => void) | null;
  writeStatus: number | null;
  error?: string;
  buffer: Uint8Array | null;
  owner?: WriteOwner;
}

/** Who is told that a write has completed. */
export interface WriteOwner {
  /** `errorCode` is an errno name, or undefined for success. May be called before `startWrite` returns. */
  writeCompleted(errorCode: string | undefined): void;
}

/** Who receives what a socket reads. */
export interface ReadOwner {
  /** `chunk[0, bytes)` is valid during the call. */
  received(chunk: Buffer, bytes: number): void;
}

interface StreamBinding {
  readonly streamBaseState: Int32Array;
  readonly kLastWriteErr: number;
}

/** Consumers copy what they keep, so the whole thread shares it. */
let readBuffer: Buffer = Buffer.allocUnsafeSlow(netConfig.readBufferBytes);

const OWNER: unique symbol = Symbol('weft.readOwner');

type OpenSocket = Socket & { _handle?: SocketHandle | null; [OWNER]?: ReadOwner } & Record<symbol, unknown>;

const probe = new Socket({ onread: { buffer: readBuffer, callback: () => true } });
const bufferSymbol: symbol | undefined = Object.getOwnPropertySymbols(probe).find((symbol) => symbol.description === 'kBuffer');
const callbackSymbol: symbol | undefined = Object.getOwnPropertySymbols(probe).find((symbol) => symbol.description === 'kBufferCb');
const binding: StreamBinding | undefined = findBinding();

/** What this runtime offers; tests switch the fast ways off to prove the fallbacks. */
export const driver: { sharedReads: boolean; directWrites: boolean } = {
  sharedReads: bufferSymbol !== undefined && callbackSymbol !== undefined,
  directWrites: binding !== undefined && process.version === 'v26.10.0',
};

/** The handle of `socket`, or undefined once closed. */
export function handleOf(socket: Socket): SocketHandle | undefined {
  return (socket as OpenSocket)._handle ?? undefined;
}

/** Reads of `socket` go to `owner` from now on. Reading is stopped; `startReading` starts it. */
export function attachReader(socket: Socket, owner: ReadOwner): void {
  const open = socket as OpenSocket;
  const handle = handleOf(socket);
  open[OWNER] = owner;
  socket.pause();
  if (driver.sharedReads && handle?.useUserBuffer !== undefined) {
    if (readBuffer.length !== netConfig.readBufferBytes) readBuffer = Buffer.allocUnsafeSlow(netConfig.readBufferBytes);
    open[bufferSymbol as symbol] = readBuffer;
    open[callbackSymbol as symbol] = receive;
    handle.useUserBuffer(readBuffer);
    // What was read before this call is in the stream's own queue.
    while (socket.readableLength > 0) {
      const early = socket.read() as Buffer | null;
      if (early === null) break;
      owner.received(early, early.length);
    }
    stopReading(socket);
  } else {
    socket.on('data', (chunk: Buffer) => owner.received(chunk, chunk.length));
    socket.pause();
  }
}

export function startReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle === undefined) return;
  if (isShared(socket)) {
    if (handle.reading) return;
    handle.reading = true;
    if (handle.readStart() !== 0) socket.destroy();
  } else {
    socket.resume();
  }
}

export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle === undefined) return;
  if (isShared(socket)) {
    if (!handle.reading) return;
    handle.reading = false;
    handle.readStop();
  } else {
    socket.pause();
  }
}

/**
 * Writes `buffer`, which must stay untouched until `owner.writeCompleted`. One write per socket at a time.
 */
export function startWrite(socket: Socket, buffer: Buffer, owner: WriteOwner): void {
  const handle = handleOf(socket);
  if (handle === undefined) {
    owner.writeCompleted('EPIPE');
  } else if (driver.directWrites && handle.writeBuffer !== undefined) {
    const result = handle.writeBuffer(null, buffer);
    if (typeof result === 'number') {
      owner.writeCompleted(result === 0 ? undefined : getSystemErrorName(result));
      return;
    }
    const { streamBaseState, kLastWriteErr } = binding as StreamBinding;
    const failure = streamBaseState[kLastWriteErr] as number;
    if (failure !== 0) {
      owner.writeCompleted(getSystemErrorName(failure));
      return;
    }
    result.handle = handle;
    result.owner = owner;
    result.buffer = buffer;
    result.oncomplete = completeWrite;
    const status = result.writeStatus;
    if (status !== null) {
      result.writeStatus = null;
      result.oncomplete(status);
    }
  } else {
    socket.write(buffer, (error) => {
      owner.writeCompleted(error === undefined || error === null ? undefined : errorCodeOf(error));
    });
  }
}

/** The code of an error of Node. */
export function errorCodeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'ERR_NET_SOCKET';
}

function isShared(socket: Socket): boolean {
  return callbackSymbol !== undefined && (socket as OpenSocket)[callbackSymbol] === receive;
}

/** Called by node:net with the socket as `this`. */
function receive(this: OpenSocket, bytes: number, buffer: Buffer): boolean {
  this[OWNER]?.received(buffer, bytes);
  return true;
}

function completeWrite(this: WriteRequest, status: number): void {
  this.owner?.writeCompleted(status < 0 ? getSystemErrorName(status) : undefined);
}

function findBinding(): StreamBinding | undefined {
  try {
    const found = (process as unknown as { binding(name: string): Partial<StreamBinding> }).binding('stream_wrap');
    const { streamBaseState, kLastWriteErr } = found;
    if (streamBaseState === undefined || kLastWriteErr === undefined) return undefined;
    return { streamBaseState, kLastWriteErr };
  } catch {
    return undefined;
  }
}

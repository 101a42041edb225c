// SPDX-License-Identifier: Apache-2.0
/*
 * The two socket options that Node does not offer, through node:ffi on the descriptor (proxy-contract §2.2, §11.2). Memory that
 * native code writes to is a page of its own ArrayBuffer, which lies outside the V8 heap, and stays referenced by this module: a
 * small typed array would move, and a collected one would be overwritten (design §3).
 */
import process from 'node:process';
import { ipv6Text } from './socket-address.ts';
import type { SocketAddress } from './types.ts';

const PAGE_BYTES = 4096;
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SOL_TCP = 6;
const SO_ORIGINAL_DST = 80;
const TCP_USER_TIMEOUT = 18;
const AF_INET = 2;
const AF_INET6 = 10;
/** The value starts here; the length, a socklen_t, is at the start of the page. */
const VALUE_OFFSET = 64;

interface Libc {
  readonly getsockopt: (fd: number, level: number, name: number, value: bigint, length: bigint) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: bigint, length: number) => number;
}

let libc: Libc | undefined;
let page: DataView<ArrayBuffer> | undefined;
let pageAddress = 0n;

/**
 * Where a redirected connection was going, from the kernel's connection tracking. For a connection that was not redirected Linux
 * answers the local address. `family` is that of the peer: 4 also for a v4 peer of a v6 socket. Undefined if the kernel refuses.
 */
export function getOriginalDestination(fd: number, family: 4 | 6): SocketAddress | undefined {
  const { getsockopt } = load();
  const view = page as DataView<ArrayBuffer>;
  view.setUint32(0, 128, true);
  const level = family === 4 ? SOL_IP : SOL_IPV6;
  if (getsockopt(fd, level, SO_ORIGINAL_DST, pageAddress + BigInt(VALUE_OFFSET), pageAddress) !== 0) return undefined;
  const port = view.getUint16(VALUE_OFFSET + 2, false);
  const found = view.getUint16(VALUE_OFFSET, true);
  if (found === AF_INET) {
    const at = VALUE_OFFSET + 4;
    return { ip: `${view.getUint8(at)}.${view.getUint8(at + 1)}.${view.getUint8(at + 2)}.${view.getUint8(at + 3)}`, port };
  }
  if (found === AF_INET6) return { ip: ipv6Text(view, VALUE_OFFSET + 8), port };
  return undefined;
}

/** TCP_USER_TIMEOUT (RFC 5482), in milliseconds. False if the kernel refuses. */
export function setUserTimeout(fd: number, timeoutMs: number): boolean {
  const { setsockopt } = load();
  const view = page as DataView<ArrayBuffer>;
  view.setUint32(VALUE_OFFSET, timeoutMs, true);
  return setsockopt(fd, SOL_TCP, TCP_USER_TIMEOUT, pageAddress + BigInt(VALUE_OFFSET), 4) === 0;
}

function load(): Libc {
  if (libc !== undefined) return libc;
  // Loaded at first use: node:ffi is experimental and warns on import. Weft runs on a pinned Node that has it.
  const { dlopen, getRawPointer } = process.getBuiltinModule('node:ffi');
  // No path: the symbols of the process itself, whichever C library it was linked with.
  const loaded = dlopen(null, {
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
    setsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' },
  });
  page = new DataView(new ArrayBuffer(PAGE_BYTES));
  pageAddress = getRawPointer(page.buffer);
  libc = loaded.functions as unknown as Libc;
  return libc;
}

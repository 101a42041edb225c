// SPDX-License-Identifier: Apache-2.0
/*
 * Writes DER for the one structure that the proxy makes itself, the certificate request (proxy-contract §3.2), and for the extension
 * values of certificates. Pure functions from parts to bytes; see der-reader.ts for why this is not node-forge.
 */
import { Buffer } from 'node:buffer';
import { DER_BIT_STRING, DER_OID, DER_SEQUENCE, DER_SET } from './der-reader.ts';

/** One element: tag byte, minimal length, the parts one after another. */
export function encodeDer(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const lengthOctets: number[] = [];
  if (length < 0x80) {
    lengthOctets.push(length);
  } else {
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) lengthOctets.unshift(rest & 0xff);
    lengthOctets.unshift(0x80 | lengthOctets.length);
  }
  return Buffer.concat([Buffer.from([tag, ...lengthOctets]), ...parts]);
}

/** SEQUENCE of the parts. */
export function encodeSequence(...parts: readonly Uint8Array[]): Buffer {
  return encodeDer(DER_SEQUENCE, ...parts);
}

/** SET of the parts, which the caller gives in DER order. */
export function encodeSet(...parts: readonly Uint8Array[]): Buffer {
  return encodeDer(DER_SET, ...parts);
}

/** BIT STRING without unused bits. */
export function encodeBitString(bytes: Uint8Array): Buffer {
  return encodeDer(DER_BIT_STRING, Buffer.from([0]), bytes);
}

/** OBJECT IDENTIFIER from dotted form. */
export function encodeOid(dotted: string): Buffer {
  const arcs = dotted.split('.').map(Number);
  const octets: number[] = [(arcs[0] ?? 0) * 40 + (arcs[1] ?? 0)];
  for (const arc of arcs.slice(2)) {
    const base128: number[] = [arc & 0x7f];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) base128.unshift(0x80 | (rest & 0x7f));
    octets.push(...base128);
  }
  return encodeDer(DER_OID, Buffer.from(octets));
}

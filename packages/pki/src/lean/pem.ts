// SPDX-License-Identifier: Apache-2.0
/*
 * PEM as mesh files use it (RFC 7468): blocks between BEGIN and END lines, anything else around them ignored as OpenSSL does. A block
 * that starts and does not end, or whose body is not base64, is an error and not skipped: half a trust bundle must not load.
 */
import { Buffer } from 'node:buffer';
import { PkiError } from './errors.ts';

/** One PEM block, decoded. */
export interface PemBlock {
  /** Such as `CERTIFICATE`. */
  readonly label: string;
  readonly der: Buffer;
}

/** Larger inputs are refused before scanning; a bundle of hundreds of anchors is far below. */
export const MAX_PEM_BYTES = 1_048_576;

/** Splits PEM text into its blocks, in order. Throws PkiError `ERR_PKI_PEM`; text without any block gives an empty list. */
export function splitPem(text: string): PemBlock[] {
  if (text.length > MAX_PEM_BYTES) throw new PkiError('ERR_PKI_PEM', `PEM text is larger than ${MAX_PEM_BYTES} bytes`);
  const blocks: PemBlock[] = [];
  let label: string | undefined;
  let body = '';
  for (const rawLine of text.split('\n')) {
    const line = rawLine.trim();
    if (label === undefined) {
      if (line.startsWith('-----BEGIN ') && line.endsWith('-----')) {
        label = line.slice(11, -5);
        body = '';
      }
      continue;
    }
    if (line === `-----END ${label}-----`) {
      blocks.push({ label, der: decodeBody(label, body, blocks.length + 1) });
      label = undefined;
      continue;
    }
    if (line.startsWith('-----'))
      throw new PkiError('ERR_PKI_PEM', `PEM block ${blocks.length + 1} (${label}) does not end before the next`);
    body += line;
  }
  if (label !== undefined) throw new PkiError('ERR_PKI_PEM', `PEM block ${blocks.length + 1} (${label}) has no END line`);
  return blocks;
}

/** PEM text of one block, with 64-character lines and a final newline. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

function decodeBody(label: string, body: string, ordinal: number): Buffer {
  if (body.length === 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(body) || body.length % 4 !== 0) {
    throw new PkiError('ERR_PKI_PEM', `PEM block ${ordinal} (${label}) is not base64`);
  }
  return Buffer.from(body, 'base64');
}

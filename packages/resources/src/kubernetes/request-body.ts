// SPDX-License-Identifier: Apache-2.0
/*
 * The body of a request to the HTTP face: JSON, or YAML for an apply, within a limit.
 */
import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

import { ResourceError } from '../errors.ts';

/** Aliases that a YAML body may resolve to. */
const MAX_ALIASES = 100;

/** The parsed body, undefined where there is none. Rejects with ResourceError (413, 400). */
export async function readBody(request: IncomingMessage, maxBytes: number, contentType: string): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Leaving early must not destroy the connection: the refusal is still to be sent.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new ResourceError('ERR_INVALID', `limit is ${maxBytes} bytes`, { status: 413, reason: 'RequestEntityTooLarge' });
    }
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  const text = Buffer.concat(chunks).toString('utf8');
  try {
    if (!contentType.endsWith('yaml')) return JSON.parse(text);
    const { parse } = await import('../yaml-text.ts');
    return parse(text, { maxAliasCount: MAX_ALIASES, logLevel: 'error' });
  } catch (cause) {
    throw new ResourceError('ERR_INVALID', 'the body is not valid JSON or YAML', { status: 400, reason: 'BadRequest', cause });
  }
}

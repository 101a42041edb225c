// SPDX-License-Identifier: Apache-2.0
/* Reads a path of an admin server behind a forwarded port: bounded in time and size, since what answers is any pod. */
import { Agent, request } from 'node:http';

/** Named limits of one reading. */
export const ADMIN_LIMITS: { readonly timeoutMs: number; readonly maxBytes: number } = { timeoutMs: 15_000, maxBytes: 128 * 1024 * 1024 };

/** Where to read. */
export interface AdminAddress {
  readonly host: string;
  readonly port: number;
}

/** One connection that is used again, so that a reading every second does not cost a new way through the API server each time. */
export function createAdminAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 });
}

/** The body of a 200 answer. Rejects with Error for anything else. */
export async function readAdmin({ host, port }: AdminAddress, path: string, agent?: Agent): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const attempt = request({ host, port, path, agent: agent ?? false, headers: { host: `localhost:${port}` } }, (response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > ADMIN_LIMITS.maxBytes) attempt.destroy(new Error(`${path} is longer than ${ADMIN_LIMITS.maxBytes} bytes`));
    });
    response.on('error', reject);
    response.on('end', () => {
      if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
      else reject(new Error(`${path} answered ${response.statusCode}`));
    });
  });
  const timer = setTimeout(() => attempt.destroy(new Error(`no answer within ${ADMIN_LIMITS.timeoutMs} ms`)), ADMIN_LIMITS.timeoutMs);
  attempt.on('error', reject);
  attempt.end();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Answers that the proxies make by themselves, and bad requests: how the captured cases of testdata/errors are replayed, and what of them is
 * compared (status, fields, body, how the connection ends).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NamespaceWorker } from '@weft/testkit/sidecar-rig';
import { type Flat, flatHttp1, flatHttp2 } from './comparison.ts';
import type * as Caller from './hosts/caller.ts';

export interface CapturedError {
  readonly name: string;
  readonly request: { readonly to: string; readonly text?: string; readonly headers?: readonly string[]; readonly body_hex?: string };
  readonly response: {
    readonly head?: readonly string[];
    readonly headers?: readonly string[];
    readonly trailers?: readonly string[] | null;
    readonly body: string;
    readonly goaway?: number;
    readonly end: string;
  };
}

/** Says nothing for four seconds in the captures. */
const SHORT_MS = 4000;
/** To a pod that was there for the access log only. */
const LEFT_OUT = /^log-/;

/** The cases of one side. */
export function capturedErrors(name: 'inbound.json' | 'outbound.json'): readonly CapturedError[] {
  const all = JSON.parse(readFileSync(join(import.meta.dirname, 'testdata/errors', name), 'utf8')) as CapturedError[];
  return all.filter(({ name }) => !LEFT_OUT.test(name));
}

/** Cases that go to one address run in their order, since queues and back-off remember; addresses run side by side. */
export async function replayAll(
  caller: NamespaceWorker<typeof Caller>,
  cases: readonly CapturedError[],
): Promise<ReadonlyMap<string, Flat>> {
  const answers = new Map<string, Flat>();
  const byAddress = Map.groupBy(cases, ({ request }) => request.to);
  await Promise.all(
    [...byAddress.values()].map(async (group) => {
      for (const captured of group) answers.set(captured.name, await replay(caller, captured));
    }),
  );
  return answers;
}

async function replay(caller: NamespaceWorker<typeof Caller>, { name, request }: CapturedError): Promise<Flat> {
  const [host = '', port] = request.to.split(':');
  const to = { host, port: Number(port) };
  if (request.headers !== undefined) {
    const headers = [...request.headers];
    if (!headers.includes(':scheme')) headers.splice(2, 0, ':scheme', 'http');
    const answer = await caller.call('callHttp2', {
      ...to,
      headers,
      ...(request.body_hex === undefined ? {} : { bodyHex: request.body_hex }),
    });
    return { ...flatHttp2('', answer), ...flatGoaway(answer.goaway), end: answer.end };
  }
  const text = name === 'bad-request-long-header' ? longHeader() : (request.text ?? '');
  const answer = await caller.call('callText', {
    ...to,
    text,
    ...(text.includes('Upgrade: websocket') ? { followUp: 'raw' } : {}),
    ...(name === 'short' ? { maxMs: SHORT_MS } : {}),
  });
  return { ...flatHttp1(answer.raw), end: answer.end };
}

/** The capture names its length only. */
function longHeader(): string {
  return `GET /x HTTP/1.1\r\nHost: server.vec-net.svc.cluster.local\r\nX-A: ${'a'.repeat(500_000)}\r\n\r\n`;
}

/** The captured answer in the form that is compared. */
export function reference({ response }: CapturedError): Flat {
  const { head, headers, body, goaway, end } = response;
  if (headers !== undefined) return { ...flatHttp2('', { ...response, headers }), ...flatGoaway(goaway), end };
  const raw = head === undefined || head[0] === '' ? body : isHead(head) ? [...head, '', body].join('\r\n') : [...head, body].join('');
  return { ...flatHttp1(raw), end };
}

function isHead(head: readonly string[]): boolean {
  return head[0]?.startsWith('HTTP/') ?? false;
}

function flatGoaway(goaway: number | undefined): Flat {
  return goaway === undefined ? {} : { goaway: String(goaway) };
}

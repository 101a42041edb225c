// SPDX-License-Identifier: Apache-2.0
/* What leaves toward a meshed peer, and what the application gets back, against what was captured (testdata/vectors/wire). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { OutboundWorld } from '../testing/outbound-world.ts';
import { balanceBackend, endpointOf, outboundPolicyOf, targetOf } from '../testing/policies.ts';

interface Captured {
  readonly requests_left: readonly {
    readonly headers: readonly string[];
    readonly trailers?: readonly string[];
    readonly body_hex: string;
  }[];
  readonly answers: Readonly<Record<string, { readonly head: readonly string[]; readonly body: string; readonly end: string }>>;
}

const CAPTURED = JSON.parse(
  readFileSync(new URL('../testdata/vectors/wire/orig-proto-requests.json', import.meta.url), 'utf8'),
) as Captured;
const SERVICE = { ip: '10.96.220.136', port: 8080 };
const HOST = 'standin.vec-net.svc.cluster.local:8080';

/** Name in the vectors, what the application sent, which of the captured requests left for it. */
const CASES: [string, string, number[]][] = [
  [
    'http1-get',
    `GET /a?b=c HTTP/1.1\r\nHost: ${HOST}\r\nuser-agent: test\r\naccept: */*\r\nx-dup: 1\r\nx-dup: 2\r\nl5d-client-id: spoofed\r\nl5d-custom: kept\r\nconnection: x-hop\r\nx-hop: gone\r\nkeep-alive: 5\r\nproxy-connection: x\r\n\r\n`,
    [0],
  ],
  ['http1-post-length', `POST /post HTTP/1.1\r\nHost: ${HOST}\r\ncontent-length: 5\r\n\r\nhello`, [1]],
  [
    'http1-post-chunked',
    `POST /chunked HTTP/1.1\r\nHost: ${HOST}\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n5\r\nhello\r\n0\r\nx-t: v\r\n\r\n`,
    [2],
  ],
  ['http1-absolute', `GET http://${HOST}/abs HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`, [3]],
  ['http10', 'GET /ten HTTP/1.0\r\nhost: standin.vec-net.svc.cluster.local\r\n\r\n', [4]],
  ['http10-no-host', 'GET /ten-nohost HTTP/1.0\r\n\r\n', [5]],
  ['http1-lower-host', 'GET /other HTTP/1.1\r\nhost: Other.Example.com\r\n\r\n', [6]],
  [
    'http1-h2c-offer',
    `GET /h2c HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    [7],
  ],
  ['http1-two-requests', `GET /one HTTP/1.1\r\nHost: ${HOST}\r\n\r\nGET /two HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`, [8, 9]],
];

/** Fields as text, the order of ordinary ones left out of account. */
function sorted(fields: readonly string[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < fields.length; i += 2) lines.push(`${fields[i]}=${fields[i + 1]}`);
  return lines.sort();
}

describe('[PROTO-09] HTTP/1 inside HTTP/2, as captured', () => {
  it.each(CASES)('%s', (name, text, left) => {
    const world = new OutboundWorld();
    world.discovery.target('10.96.220.136:8080').set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('svc.test:80')] }])));
    world.discovery.setEndpoints('svc.test:80', [endpointOf(8080, { protocolHint: 'h2' })]);
    world.onRequest = (stream) => {
      stream.respond(
        200,
        [
          ...['x-standin', '1', 'date', 'Mon, 23 Nov 2026 12:25:02 GMT', 'l5d-proxy-error', 'x', 'l5d-server-id', 'spoofed'],
          ...['l5d-orig-proto', stream.field('l5d-orig-proto')?.slice(0, 8) ?? ''],
        ],
        'hello',
      );
    };
    const client = world.raw(SERVICE);
    client.send(text);
    world.loop.run();
    const seen = world.h2[0]?.streams ?? [];
    expect(seen.map((stream) => ({ headers: sorted(stream.fields ?? []), trailers: stream.trailers, body: stream.body }))).toEqual(
      left.map((index) => {
        const request = CAPTURED.requests_left[index];
        return {
          headers: sorted(request?.headers ?? []),
          trailers: request?.trailers,
          body: Buffer.from(request?.body_hex ?? '', 'hex').toString(),
        };
      }),
    );
    const expected = CAPTURED.answers[name];
    const normal = (answer: string): string => answer.replaceAll(/date: [^\r]*/g, 'date: now');
    const captured = normal(`${expected?.head.join('\r\n')}\r\n\r\n${expected?.body}`);
    expect(normal(client.text)).toBe(captured);
    expect(client.isReadEnded).toBe(expected?.end === 'closed');
  });
});

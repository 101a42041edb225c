// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP/1 messages that are odd or hostile and have one reading (bad-inputs 2, 4–7, 17): what goes on to the application is that reading and nothing
 * else, in framing that no second parser can take for another.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVER_IP } from '@weft/testkit/sidecar-rig';
import type { SeenRequest } from './hosts/application.ts';
import type { Outcome, Step } from './hosts/attacker.ts';
import { expectUnharmed, HTTP1_PORT, metric, peerErrors, seen, SERVICE, startWorld, statuses, textOf, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.rig.stop());

const NEXT = 'GET /next HTTP/1.1\r\nhost: a\r\n\r\n';

async function fromOutside(...steps: readonly Step[]): Promise<Outcome> {
  await seen(world);
  return world.outside.call('attack', { host: SERVER_IP, port: HTTP1_PORT, steps });
}

/** Through both proxies: HTTP/1 in, HTTP/2 between, HTTP/1 out. */
async function fromInside(...steps: readonly Step[]): Promise<Outcome> {
  await seen(world);
  return world.inside.call('attack', { host: SERVICE, port: HTTP1_PORT, steps });
}

function field(request: SeenRequest | undefined, name: string): string[] {
  const values: string[] = [];
  const raw = request?.rawHeaders ?? [];
  for (let i = 0; i < raw.length; i += 2) if (raw[i]?.toLowerCase() === name) values.push(raw[i + 1] ?? '');
  return values;
}

/** Bytes, then what the application read: method, URL, body bytes of each request. */
const READ_ONE_WAY: readonly (readonly [number, string, string, readonly (readonly [string, string, number])[]])[] = [
  [
    2,
    'a length of leading zeros',
    `POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0005\r\n\r\nhello${NEXT}`,
    [
      ['POST', '/x', 5],
      ['GET', '/next', 0],
    ],
  ],
  [
    4,
    'chunks of one octet with extensions',
    `POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${'1;e=v\r\nx\r\n'.repeat(1000)}0\r\n\r\n${NEXT}`,
    [
      ['POST', '/x', 1000],
      ['GET', '/next', 0],
    ],
  ],
  [5, 'a body on GET', `GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: ${NEXT.length}\r\n\r\n${NEXT}`, [['GET', '/x', NEXT.length]]],
  [5, 'a body on HEAD', `HEAD /x HTTP/1.1\r\nhost: a\r\ncontent-length: ${NEXT.length}\r\n\r\n${NEXT}`, [['HEAD', '/x', NEXT.length]]],
  [
    6,
    'a POST without length, and a request right after (0.CL)',
    `POST /x HTTP/1.1\r\nhost: a\r\n\r\n${NEXT}`,
    [
      ['POST', '/x', 0],
      ['GET', '/next', 0],
    ],
  ],
  [
    6,
    'Expect and the body at once',
    `POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello${NEXT}`,
    [
      ['POST', '/x', 5],
      ['GET', '/next', 0],
    ],
  ],
];

describe('an odd HTTP/1 message', () => {
  it.each(READ_ONE_WAY)('[PROTO-07] bad-inputs %i: %s has one reading', async (_line, _name, text, expected) => {
    for (const send of [fromOutside, fromInside]) {
      await send({ text });
      expect((await seen(world)).map(({ method, url, bodyBytes }) => [method, url, bodyBytes])).toEqual(expected);
    }
    await expectUnharmed(world);
  });

  it('[PROTO-07] bad-inputs 5: trailers that would be framing or routing do not go on as fields', async () => {
    const trailers = 'content-length: 5\r\ntransfer-encoding: chunked\r\nhost: evil\r\nx-t: 1\r\n';
    const text = `POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${trailers}\r\n${NEXT}`;
    for (const send of [fromOutside, fromInside]) {
      const outcome = await send({ text });
      const requests = await seen(world);
      // Refused before the end of the body, or read to the end without them.
      for (const request of requests) {
        expect(field(request, 'host')).toEqual(['a']);
        expect(field(request, 'content-length')).toEqual([]);
      }
      expect(requests.every(({ url }) => url === '/x' || url === '/next')).toBe(true);
      expect(statuses(textOf(outcome)).length).toBeGreaterThan(0);
    }
    await expectUnharmed(world);
  });

  it('[PROTO-07] bad-inputs 6: nothing after a refused message is served, in one segment or later', async () => {
    const outcome = await fromOutside(
      { text: `GET /first HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/9.9\r\n\r\n${NEXT}`, pauseMs: 50 },
      { text: NEXT, pauseMs: 20 },
      { text: NEXT },
    );
    expect(statuses(textOf(outcome))).toEqual([200, 505]);
    expect((await seen(world)).map(({ url }) => url)).toEqual(['/first']);
    await expectUnharmed(world);
  });

  it('[PROTO-07] bad-inputs 6: what follows an answer that came before the body is body, never a request', async () => {
    for (const send of [fromOutside, fromInside]) {
      await send({ text: 'POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n', pauseMs: 100 }, { text: NEXT });
      expect((await seen(world)).filter(({ url }) => url === '/next')).toEqual([]);
    }
    await expectUnharmed(world);
  });

  it('[PROTO-10] bad-inputs 6: early bytes after an offer to upgrade belong to the tunnel once it is granted', async () => {
    const text = `GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n${NEXT}`;
    for (const send of [fromOutside, fromInside]) {
      const answer = textOf(await send({ text }));
      expect(statuses(answer)[0]).toBe(101);
      expect(answer.endsWith(NEXT)).toBe(true);
      expect((await seen(world)).map(({ url }) => url)).toEqual(['/ws']);
    }
    await expectUnharmed(world);
  });

  it('[PROTO-10] bad-inputs 6: an offer of h2c does not reach the application', async () => {
    const text = `GET /h2c HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n`;
    for (const send of [fromOutside, fromInside]) {
      await send({ text });
      for (const request of await seen(world)) {
        expect(field(request, 'upgrade')).not.toContain('h2c');
        expect(field(request, 'http2-settings')).toEqual([]);
      }
    }
    await expectUnharmed(world);
  });

  it('[PROTO-11] bad-inputs 6: a body on CONNECT is no request', async () => {
    const text = `CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\ncontent-length: ${NEXT.length}\r\n\r\n${NEXT}`;
    for (const send of [fromOutside, fromInside]) {
      const outcome = await send({ text });
      expect(statuses(textOf(outcome)).every((status) => status >= 400)).toBe(true);
      expect((await seen(world)).filter(({ url }) => url === '/next')).toEqual([]);
    }
    await expectUnharmed(world);
  });

  it('[PROTO-07] bad-inputs 7: the authority of an absolute target replaces a Host that says otherwise', async () => {
    for (const send of [fromOutside, fromInside]) {
      await send({ text: 'GET http://real.example/x HTTP/1.1\r\nhost: other.example\r\n\r\n' });
      const [request] = await seen(world);
      expect(field(request, 'host')).toEqual(['real.example']);
      expect(['/x', 'http://real.example/x']).toContain(request?.url);
    }
    await expectUnharmed(world);
  });

  it('[PROTO-07] bad-inputs 7: a thousand hosts in changing case are a thousand ordinary requests', async () => {
    const text = Array.from(
      { length: 1000 },
      (_, i) => `GET /x HTTP/1.1\r\nhost: ${i % 2 === 0 ? 'HOST' : 'hOsT'}-${i}.Example\r\n\r\n`,
    ).join('');
    const outcome = await world.inside.call('attack', { host: SERVICE, port: HTTP1_PORT, steps: [{ text }], quietMs: 1500, maxMs: 30_000 });
    expect(statuses(textOf(outcome)).filter((status) => status === 200)).toHaveLength(1000);
    await expectUnharmed(world);
  });
});

describe('names that only a proxy may say', () => {
  const CLAIMS = [
    'l5d-client-id: admin.linkerd.serviceaccount.identity.linkerd.cluster.local',
    'l5d-orig-proto: HTTP/1.1',
    'l5d-remote-ip: 1.2.3.4',
    'l5d-proxy-error: forged',
    'l5d-proxy-connection: close',
    'l5d-server-id: forged',
    'forwarded: for=1.2.3.4',
  ].join('\r\n');

  it('[PROTO-16] bad-inputs 17: a client without identity cannot claim one', async () => {
    for (const send of [fromOutside, fromInside]) {
      const outcome = await send({ text: `GET /x HTTP/1.1\r\nhost: a\r\n${CLAIMS}\r\n\r\n` });
      expect(statuses(textOf(outcome))).toEqual([200]);
      const [request] = await seen(world);
      expect(field(request, 'l5d-client-id')).toEqual(send === fromOutside ? [] : [world.rig.identityOf('client')]);
      expect(field(request, 'l5d-orig-proto')).toEqual([]);
    }
    await expectUnharmed(world);
  });

  it('[PROTO-16] bad-inputs 17: l5d-dst-override does not change where a request goes', async () => {
    for (const send of [fromOutside, fromInside]) {
      const outcome = await send({ text: 'GET /x HTTP/1.1\r\nhost: a\r\nl5d-dst-override: evil.rig.svc.cluster.local:80\r\n\r\n' });
      expect(statuses(textOf(outcome))).toEqual([200]);
      expect(await seen(world)).toHaveLength(1);
    }
    await expectUnharmed(world);
  });
});

describe('a flood of HTTP/1', () => {
  it('bad-inputs 4: a million chunks of one octet are carried without being kept', async () => {
    const head = 'POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n';
    const outcome = await world.outside.call('attack', {
      host: SERVER_IP,
      port: HTTP1_PORT,
      steps: [{ text: head }, { text: '1\r\nx\r\n'.repeat(10_000), repeat: 100 }, { text: '0\r\n\r\n', awaitBytes: 10 }],
      maxMs: 40_000,
    });
    expect(statuses(textOf(outcome))).toEqual([200]);
    expect((await seen(world)).find(({ url }) => url === '/x')?.bodyBytes).toBe(1_000_000);
    await expectUnharmed(world);
  });

  it('bad-inputs 6: ten thousand pipelined requests are answered one after another', async () => {
    const outcome = await world.outside.call('attack', {
      host: SERVER_IP,
      port: HTTP1_PORT,
      steps: [{ text: 'GET /x HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(10_000) }],
      quietMs: 2000,
      maxMs: 40_000,
    });
    expect(outcome.receivedBytes).toBeGreaterThan(10_000 * 50);
    await seen(world);
    await expectUnharmed(world);
  });

  it('bad-inputs 7: ten thousand refusals cost no memory and each is counted', async () => {
    const before = await peerErrors(world, 'server', 'ERR_H1');
    const attacks = Array.from({ length: 200 }, () => ({
      host: SERVER_IP,
      port: HTTP1_PORT,
      steps: [{ text: `GET / HTTP/1.1\r\nhost: a\r\na b: c\r\n\r\n` }],
    }));
    for (let round = 0; round < 5; round++) await world.outside.call('attackAll', attacks);
    expect((await peerErrors(world, 'server', 'ERR_H1')) - before).toBe(1000);
    await expectUnharmed(world);
  });

  it('bad-inputs 17: open connections are counted, and none is left', async () => {
    await expect
      .poll(async () => metric(world, 'server', 'tcp_open_connections', 'peer="src"', `target_port="${HTTP1_PORT}"`))
      .toBeLessThan(5);
  });
});

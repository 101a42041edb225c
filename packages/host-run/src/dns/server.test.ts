// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DnsAnswer, type DnsRecord, RCODE_NAME_ERROR, RCODE_OK, TYPE_A, TYPE_CNAME, TYPE_SOA, TYPE_SRV } from './message.ts';
import { answerMessage, type DnsServer, startDnsServer } from './server.ts';

const many: DnsRecord[] = Array.from({ length: 120 }, (_, index) => ({
  type: TYPE_A,
  name: 'many.test',
  ttlSeconds: 5,
  address: `10.0.0.${index}`,
}));

function resolve(name: string, type: number): DnsAnswer {
  const found = (answers: DnsRecord[]): DnsAnswer => ({ code: RCODE_OK, answers, authority: [], additional: [] });
  if (name === 'many.test') return found(type === TYPE_A ? many : []);
  if (name === 'one.test' && type === TYPE_A) return found([{ type: TYPE_A, name, ttlSeconds: 5, address: '10.1.2.3' }]);
  if (name === 'alias.test') {
    return found([
      { type: TYPE_CNAME, name, ttlSeconds: 5, target: 'one.test' },
      { type: TYPE_A, name: 'one.test', ttlSeconds: 5, address: '10.1.2.3' },
    ]);
  }
  if (name === 'srv.test' && type === TYPE_SRV) {
    return found([{ type: TYPE_SRV, name, ttlSeconds: 5, priority: 0, weight: 100, port: 8086, target: '10-1-2-3.srv.test' }]);
  }
  return { code: RCODE_NAME_ERROR, answers: [], authority: [{ type: TYPE_SOA, name: 'test', ttlSeconds: 5 }], additional: [] };
}

describe('name server', () => {
  let server: DnsServer;
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  beforeAll(async () => {
    server = await startDnsServer('127.0.0.1', 0, resolve);
    resolver.setServers([`127.0.0.1:${server.port}`]);
  });
  afterAll(() => server.close());

  it('answers a resolver over UDP', async () => {
    expect(await resolver.resolve4('ONE.test', { ttl: true })).toEqual([{ address: '10.1.2.3', ttl: 5 }]);
    expect(await resolver.resolve4('alias.test')).toEqual(['10.1.2.3']);
    expect(await resolver.resolveSrv('srv.test')).toMatchObject([{ name: '10-1-2-3.srv.test', port: 8086, priority: 0, weight: 100 }]);
  });

  it('says what does not exist', async () => {
    await expect(resolver.resolve4('nothing.test')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(resolver.resolve6('many.test')).rejects.toMatchObject({ code: 'ENODATA' });
  });

  it('lets a resolver come over TCP for what is too long for UDP', async () => {
    expect(await resolver.resolve4('many.test')).toHaveLength(120);
  });

  it('answers several queries on one TCP connection, however they are cut', async () => {
    const socket = connect(server.port, '127.0.0.1');
    const query = queryFor('one.test');
    const framed = Buffer.concat([Buffer.from([0, query.length]), query]);
    let bytes = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => (bytes = Buffer.concat([bytes, chunk])));
    for (const byte of Buffer.concat([framed, framed])) socket.write(Buffer.from([byte]));
    while (bytes.length < 2 * (2 + 12 + 14 + 16)) await once(socket, 'data');
    expect(bytes.readUInt16BE(0)).toBe(12 + 14 + 16);
    socket.destroy();
  });

  it('cuts off a TCP client that announces more than a query can be', async () => {
    const socket = connect(server.port, '127.0.0.1');
    socket.write(Buffer.from([0xff, 0xff, 0]));
    expect(await once(socket, 'close')).toEqual([false]);
  });
});

function queryFor(name: string): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, TYPE_A, 0, 1]);
}

describe('answerMessage', () => {
  const refused = (message: number[]): number | undefined => answerMessage(Buffer.from(message), resolve, false)?.[3];
  const head = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];

  it('gives no answer to an answer or to a scrap', () => {
    expect(refused([0, 1, 0x81, 0, 0, 1, 0, 0, 0, 0, 0, 0])).toBeUndefined();
    expect(refused([0, 1, 2])).toBeUndefined();
  });

  it.each([
    ['another operation', [0, 1, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0], 4],
    ['no question', [0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1],
    ['a name without end', [...head, 3, 97, 98], 1],
    ['a pointer in the question', [...head, 0xc0, 12, 0, 1, 0, 1], 1],
    ['another class', [...head, 0, 0, 1, 0, 3], 5],
  ])('refuses %s', (_title, message, code) => {
    expect(refused(message)).toBe(code);
  });

  it('gives any bytes a bounded answer or none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const answer = answerMessage(Buffer.from(bytes), resolve, false);
        expect(answer === undefined || (answer.length >= 12 && answer.length <= 1232)).toBe(true);
      }),
    );
  });
});

// SPDX-License-Identifier: Apache-2.0
/*
 * TLS and the transport header at a running inbound proxy (bad-inputs 18 and 19). Certificates that must not be believed are in e2e/wire; here are
 * bytes that are no TLS, or almost, names of others, and headers that lie.
 */
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PEER_IP, SERVER_IP } from '@weft/testkit/sidecar-rig';
import type { Outcome, Step, TlsSettings } from './hosts/attacker.ts';
import { expectUnharmed, HTTP1_PORT, metric, OPAQUE_PORT, seen, startWorld, statuses, textOf, type World } from './world.ts';

const DIRECT_PORT = 4143;
const MAGIC = Buffer.from('transport.l5d.io/v1\r\n\r\n', 'latin1');
const REQUEST = 'GET /tls HTTP/1.1\r\nhost: a\r\n\r\n';
const DETECT_MS = 1500;

let world: World;
let name: string;
beforeAll(async () => {
  const env = { LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT: `${DETECT_MS}ms`, LINKERD2_PROXY_OUTBOUND_DETECT_TIMEOUT: `${DETECT_MS}ms` };
  world = await startWorld({ env: { server: env, client: env } });
  name = world.rig.identityOf('server');
});
afterAll(() => world.rig.stop());

async function attack(port: number, steps: readonly Step[], more: { tls?: TlsSettings; quietMs?: number } = {}): Promise<Outcome> {
  await seen(world);
  return world.outside.call('attack', { host: SERVER_IP, port, steps, ...more });
}

async function hello(sni: string): Promise<Buffer> {
  return Buffer.from(await world.outside.call('clientHello', sni), 'base64');
}

function meshed(overrides: Partial<TlsSettings> = {}): TlsSettings {
  const leaf = world.mesh.leafFor(world.rig.identityOf('client'));
  return { sni: name, key: leaf.privateKeyPem, cert: leaf.chainPem, ca: world.mesh.trustAnchorsPem.join(''), ...overrides };
}

function base64(...parts: readonly Uint8Array[]): Step {
  return { base64: Buffer.concat(parts).toString('base64') };
}

describe('at a port that must be TLS', () => {
  it.each<[string, Step]>([
    ['HTTP/1', { text: REQUEST }],
    ['HTTP/2', { text: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' }],
    ['a transport header in the clear', base64(MAGIC, Buffer.from([0, 0, 0, 3, 8, 0x90, 0x3f]))],
    ['zeros', base64(Buffer.alloc(100_000))],
  ])('[ID-15] bad-inputs 18: %s is closed without an answer', async (_name, step) => {
    const before = await metric(world, 'server', 'inbound_tcp_errors_total');
    const outcome = await attack(DIRECT_PORT, [step]);
    expect([textOf(outcome), outcome.end === 'open']).toEqual(['', false]);
    expect(await metric(world, 'server', 'inbound_tcp_errors_total')).toBe(before + 1);
    expect(await seen(world)).toEqual([]);
    await expectUnharmed(world);
  });
});

describe('a ClientHello', () => {
  it('bad-inputs 18: in pieces of an octet is answered', async () => {
    const bytes = await hello(name);
    const outcome = await attack(HTTP1_PORT, [
      { ...base64(bytes.subarray(0, 200)), bytewise: true },
      { ...base64(bytes.subarray(200)), awaitBytes: 1000 },
    ]);
    // A ServerHello, so a handshake record.
    expect(Buffer.from(outcome.received, 'base64')[0]).toBe(22);
    await expectUnharmed(world);
  });

  it('bad-inputs 18: that is cut off waits no longer than the detection', async () => {
    const bytes = await hello(name);
    for (const length of [1, 5, 6, 43, 100, bytes.length - 1]) {
      const outcome = await attack(DIRECT_PORT, [base64(bytes.subarray(0, length))], { quietMs: DETECT_MS + 1500 });
      expect([outcome.receivedBytes, outcome.end === 'open']).toEqual([0, false]);
    }
    await expectUnharmed(world);
  });

  it('bad-inputs 18: of more than 16 KB is not kept for ever', async () => {
    // A record of the greatest length, whose handshake message says it is longer still.
    const record = Buffer.alloc(5 + 16_384);
    record.set([22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff, 3, 3]);
    for (const port of [HTTP1_PORT, DIRECT_PORT]) {
      const outcome = await attack(port, [{ ...base64(record), repeat: 1000 }], { quietMs: DETECT_MS + 1500 });
      expect(outcome.end).not.toBe('open');
      expect(outcome.sentBytes).toBeLessThan(20_000_000);
    }
    expect(await seen(world)).toEqual([]);
    await expectUnharmed(world);
  });

  it('bad-inputs 18: of another version, renegotiation or early data gets no further than an alert', async () => {
    const bytes = await hello(name);
    // Application data before any handshake, and a second ClientHello after the first.
    const early = Buffer.concat([bytes, Buffer.from([23, 3, 3, 0, 5]), Buffer.from('hello')]);
    for (const step of [base64(early), base64(bytes, bytes), base64(Buffer.from([22, 3, 0]), bytes.subarray(3))]) {
      const outcome = await attack(HTTP1_PORT, [step], { quietMs: DETECT_MS + 500 });
      expect(textOf(outcome)).not.toContain('HTTP/1');
    }
    expect(await seen(world)).toEqual([]);
    await expectUnharmed(world);
  });

  it('bad-inputs 18: with any octet changed, at both ports', async () => {
    const bytes = await hello(name);
    let state = 1;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let round = 0; round < 4; round++) {
      await world.outside.call(
        'attackAll',
        Array.from({ length: 100 }, (_, i) => {
          const changed = Buffer.from(bytes);
          // Lengths and names are in front; so are most of the changes.
          for (let count = 1 + random(3); count > 0; count--) changed[random(i % 2 === 0 ? 200 : changed.length)] = random(256);
          return { host: SERVER_IP, port: i % 2 === 0 ? HTTP1_PORT : DIRECT_PORT, steps: [base64(changed)], quietMs: 100 };
        }),
      );
    }
    expect(await seen(world)).toEqual([]);
    await expectUnharmed(world);
  });

  it.each(['', 'a', '.', '*', 'x'.repeat(300), '127.0.0.1', 'a\0b', '\xff\xfe'])(
    'bad-inputs 18: whose name is not ours (%j) does not end TLS here',
    async (other) => {
      const ours = await hello(name);
      const at = ours.indexOf(name, 0, 'latin1');
      const wrong = Buffer.from(ours);
      wrong.write(other.padEnd(name.length, 'y').slice(0, name.length), at, 'latin1');
      const outcome = await attack(DIRECT_PORT, [base64(wrong)]);
      expect([outcome.receivedBytes, outcome.end === 'open']).toEqual([0, false]);
      await expectUnharmed(world);
    },
  );

  it('bad-inputs 18: for another mesh identity, or for the application, is not ended with our certificate', async () => {
    for (const sni of [world.rig.identityOf('client'), 'app.example.com']) {
      const outcome = await attack(HTTP1_PORT, [{ text: REQUEST }], { tls: meshed({ sni }), quietMs: 1000 });
      expect(textOf(outcome)).toBe('');
    }
    expect(await seen(world)).toEqual([]);
    await expectUnharmed(world);
  });
});

/** Protobuf of a header: port, name, session protocol as bytes of their own. */
function header(...message: readonly number[]): Step {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return base64(MAGIC, length, Buffer.from(message));
}

const PORT_8080 = [8, 0x90, 0x3f];
const HTTP1_SESSION = [0x1a, 2, 0x0a, 0];

describe('a transport header', () => {
  const inMesh = async (steps: readonly Step[], quietMs = 300): Promise<Outcome> =>
    attack(DIRECT_PORT, steps, { tls: meshed({ alpn: 'transport.l5d.io/v1' }), quietMs });

  it('[ID-15] bad-inputs 19: that is good lets the request through', async () => {
    const outcome = await inMesh([header(...PORT_8080, ...HTTP1_SESSION), { text: REQUEST }]);
    expect(statuses(textOf(outcome))).toEqual([200]);
  });

  it('[ID-15] bad-inputs 19: octet by octet too', async () => {
    const outcome = await inMesh([{ ...header(...PORT_8080, ...HTTP1_SESSION), bytewise: true }, { text: REQUEST }]);
    expect(statuses(textOf(outcome))).toEqual([200]);
  });

  it.each<[string, Step]>([
    ['without its preface', { text: REQUEST }],
    ['with another preface', base64(Buffer.from('transport.l5d.io/v2\r\n\r\n'), Buffer.alloc(20))],
    ['of 4 GB', base64(MAGIC, Buffer.from([0xff, 0xff, 0xff, 0xff]), Buffer.alloc(100_000))],
    ['of 1 MB', base64(MAGIC, Buffer.from([0, 0x10, 0, 0]), Buffer.alloc(1_100_000))],
    ['of no octets', header()],
    ['with a varint that does not end', header(8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ['with a group', header(0x0b, 8, 1)],
    ['with field number 0', header(0, 1)],
    ['with a string longer than the message', header(...PORT_8080, 0x12, 0x7f)],
    ['with port 0', header(8, 0)],
    ['with a port above 65,535', header(8, 0x80, 0x80, 4)],
    ['with a negative port', header(8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)],
    ['for a gateway that is none', header(...PORT_8080, 0x12, 3, 0x61, 0x2e, 0x62)],
    ["for the proxy's own port (a loop)", header(8, 0xaf, 0x20)],
  ])('[ID-15] bad-inputs 19: %s closes the connection', async (_name, step) => {
    const before = await metric(world, 'server', 'inbound_tcp_errors_total');
    const outcome = await inMesh([step, { text: REQUEST }], 1000);
    expect([textOf(outcome), outcome.end === 'open']).toEqual(['', false]);
    expect(await seen(world)).toEqual([]);
    expect(await metric(world, 'server', 'inbound_tcp_errors_total')).toBe(before + 1);
    await expectUnharmed(world);
  });

  it('[ID-15] bad-inputs 19: that is cut off waits no longer than the detection', async () => {
    const outcome = await inMesh([base64(MAGIC.subarray(0, 10))], DETECT_MS + 1500);
    expect(outcome.end).not.toBe('open');
    await expectUnharmed(world);
  });

  it('[ID-15] bad-inputs 19: for a port where nobody listens is an answer, and the next header is served', async () => {
    const outcome = await inMesh([header(8, 1, ...HTTP1_SESSION), { text: REQUEST }], 2000);
    expect(statuses(textOf(outcome)).every((status) => status >= 500)).toBe(true);
    await expectUnharmed(world);
  });

  it('[ID-15] bad-inputs 19: a connection from the proxy to its own port is no loop', async () => {
    // To the inbound port, without redirect: the original destination is the proxy itself.
    const outcome = await attack(DIRECT_PORT, [{ text: REQUEST }]);
    expect(outcome.end).not.toBe('open');
    expect(
      await metric(world, 'server', 'tcp_open_total', 'direction="inbound"', 'peer="dst"', `target_addr="${SERVER_IP}:${DIRECT_PORT}"`),
    ).toBe(0);
    await expectUnharmed(world);
  });
});

it('[PROTO-03] bad-inputs 19: opaque bytes that look like TLS, HTTP or a header go through as they are', async () => {
  const bytes = Buffer.concat([MAGIC, Buffer.from(REQUEST), Buffer.from([22, 3, 1, 0, 5])]);
  const outcome = await attack(OPAQUE_PORT, [base64(bytes)]);
  expect(Buffer.from(outcome.received, 'base64')).toEqual(bytes);
  expect(PEER_IP).not.toBe(SERVER_IP);
});

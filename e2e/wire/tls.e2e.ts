// SPDX-License-Identifier: Apache-2.0
/*
 * Good and bad TLS at running proxies (bad-inputs 18): what a peer without a proper certificate gets, on either side, that nothing reaches the
 * application before the peer is known, and that the application's own TLS passes untouched.
 */
import type { LeafOverrides } from '@weft/pki/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Credentials, TlsAnswer } from './hosts/caller.ts';
import { BAD_STANDINS, identity, PODS, SERVICES, startWorld, type World } from './world.ts';

const ALPN = 'transport.l5d.io/v1';
/** Transport header: port 8080, HTTP/1. */
const HEADER = '7472616e73706f72742e6c35642e696f2f76310d0a0d0a0000000708903f1a020a00';
const REQUEST = 'GET /tls HTTP/1.1\r\nHost: server.vec-net.svc.cluster.local:8080\r\nConnection: close\r\n\r\n';

/** Client certificates that must not be believed. Each has the right name, but for the last. */
const BAD_CERTIFICATES: Readonly<Record<string, LeafOverrides>> = {
  'of a foreign CA with the right name': { isForeign: true },
  expired: { isExpired: true },
  'not yet valid': { isNotYetValid: true },
  'for servers only': { extendedKeyUsage: ['serverAuth'] },
};

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.rig.stop());

interface Attempt {
  readonly port: number;
  readonly credentials?: Credentials;
  readonly sni?: string;
  readonly groups?: string;
  readonly ciphers?: string;
  readonly sessionHex?: string;
  readonly version?: 'TLSv1.2' | 'TLSv1.3';
  readonly cuts?: readonly number[];
}

/** One request over TLS to the server pod, with the transport header where the port wants one. */
async function attempt({ port, sni = identity('server'), ...options }: Attempt): Promise<TlsAnswer> {
  return world.plain.call('callTls', {
    host: PODS.server,
    port,
    sni,
    ca: world.ca,
    alpn: port === 4143 ? [ALPN] : [],
    ...(port === 4143 ? { headerHex: HEADER } : {}),
    text: REQUEST,
    ...options,
  });
}

describe('client certificates at the inbound proxy', () => {
  describe.each([
    { place: 'the application port', port: 8080 },
    { place: 'the inbound port', port: 4143 },
  ])('at $place', ({ port }) => {
    it('[ID-05] a good one is believed, and the application learns its name', async () => {
      const { raw } = await attempt({ port, credentials: world.credentials('client') });
      expect(raw).toMatch(/^HTTP\/1.1 200 /);
      expect(raw).toContain(`"l5d-client-id","${identity('client')}"`);
    });

    it.each(Object.keys(BAD_CERTIFICATES))('[ID-05] [ID-15] one %s is refused without an answer', async (kind) => {
      const answer = await attempt({ port, credentials: world.credentials('client', BAD_CERTIFICATES[kind]) });
      expect(answer.raw).toBe('');
      expect(answer.end).not.toBe('still open');
    });
  });

  it('[ID-12] without one the application port answers, and the application sees no name', async () => {
    const { raw } = await attempt({ port: 8080 });
    expect(raw).toMatch(/^HTTP\/1.1 200 /);
    expect(raw).not.toContain('l5d-client-id');
  });

  it('[ID-15] without one the inbound port closes', async () => {
    const answer = await attempt({ port: 4143 });
    expect(answer.raw).toBe('');
    expect(answer.end).not.toBe('still open');
  });

  it('[ID-15] without TLS the inbound port closes', async () => {
    const answer = await world.plain.call('callText', { host: PODS.server, port: 4143, text: REQUEST });
    expect(answer.raw).toBe('');
    expect(answer.end).not.toBe('still open');
  });

  it('[ID-15] a header in the clear at the inbound port closes too', async () => {
    const header = Buffer.from(HEADER, 'hex').toString('latin1');
    const answer = await world.plain.call('callText', { host: PODS.server, port: 4143, text: header + REQUEST });
    expect(answer.raw).toBe('');
    expect(answer.end).not.toBe('still open');
  });
});

describe('parameters of TLS', () => {
  it.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])('[ID-05] %s is spoken', async (cipher) => {
    const answer = await attempt({ port: 8080, credentials: world.credentials('client'), ciphers: cipher });
    expect(answer).toMatchObject({ handshake: { protocol: 'TLSv1.3', cipher } });
    expect(answer.raw).toMatch(/^HTTP\/1.1 200 /);
  });

  it.each(['X25519MLKEM768', 'X25519', 'P-256', 'P-384'])('[ID-05] key exchange by %s works', async (groups) => {
    expect((await attempt({ port: 8080, credentials: world.credentials('client'), groups })).raw).toMatch(/^HTTP\/1.1 200 /);
  });

  it.each([
    { name: 'P-521 alone', options: { groups: 'P-521' } },
    { name: 'TLS 1.2', options: { version: 'TLSv1.2' as const } },
  ])('[ID-05] $name is refused', async ({ options }) => {
    const answer = await attempt({ port: 8080, credentials: world.credentials('client'), ...options });
    expect(answer.handshake).toBeUndefined();
    expect(answer.raw).toBe('');
    expect(answer.end).toMatch(/^error ERR_SSL_/);
  });

  it('[ID-05] the server shows an ECDSA P-256 certificate with its name', async () => {
    const { handshake } = await attempt({ port: 8080, credentials: world.credentials('client') });
    expect(handshake).toMatchObject({ serverSan: `DNS:${identity('server')}`, serverKey: 'P-256' });
  });

  it('[ID-05] no session can be taken up again', async () => {
    const { sessionHex } = await attempt({ port: 8080, credentials: world.credentials('client') });
    // OpenSSL offers one even where nothing is kept; what counts is that it is worth nothing, above all without a certificate.
    const again = await attempt({ port: 8080, ...(sessionHex === undefined ? {} : { sessionHex }) });
    expect(again.isResumed).toBe(false);
    expect(again.raw).not.toContain('l5d-client-id');
  });
});

describe('ClientHellos', () => {
  it('[ID-05] one cut in two at any place is one', async () => {
    const credentials = world.credentials('client');
    const length = (await attempt({ port: 8080, credentials, cuts: [] })).clientHelloBytes;
    expect(length).toBeGreaterThan(200);
    const failed: { cut: number; end: string }[] = [];
    const cuts = Array.from({ length: length - 1 }, (_, index) => index + 1);
    while (cuts.length > 0) {
      await Promise.all(
        cuts.splice(0, 25).map(async (cut) => {
          const answer = await attempt({ port: cut % 2 === 0 ? 8080 : 4143, credentials, cuts: [cut] });
          if (!answer.raw.includes(`"l5d-client-id","${identity('client')}"`)) failed.push({ cut, end: answer.end });
        }),
      );
    }
    expect(failed).toEqual([]);
  });

  it('[ID-05] one in pieces of one byte is one', async () => {
    const credentials = world.credentials('client');
    const cuts = Array.from({ length: 200 }, (_, index) => index + 1);
    expect((await attempt({ port: 8080, credentials, cuts })).raw).toMatch(/^HTTP\/1.1 200 /);
  });

  it('[ID-05] [ID-12] one that ends in the middle is bytes of an unmeshed client', async () => {
    const whole = await clientHello(identity('server'));
    const half = whole.slice(0, 2 * Math.floor(whole.length / 4));
    const cut = { host: PODS.server, writesHex: [half], isHalfClosed: true };
    const passed = await world.plain.call('callRaw', { ...cut, port: 9001 });
    expect(Buffer.from(passed.raw, 'latin1').toString('hex')).toBe(half);
    const direct = await world.plain.call('callRaw', { ...cut, port: 4143 });
    expect(direct.raw).toBe('');
    expect(direct.end).not.toBe('still open');
  });

  it('[ID-05] a second one after the first ends the connection', async () => {
    const hello = await clientHello(identity('server'));
    for (const writesHex of [[hello + hello], [hello, hello]]) {
      const answer = await world.plain.call('callRaw', { host: PODS.server, port: 8080, writesHex });
      expect(answer.end).not.toBe('still open');
      // A ServerHello may come before the second one is read; never an answer of the application.
      expect(answer.raw).not.toContain('HTTP/1.1');
    }
    expect(world.rig.isAlive('server')).toBe(true);
  });

  it('[PROTO-12] [ID-13] one with another name passes untouched', async () => {
    const hello = await clientHello('other.example.com');
    const { raw } = await world.plain.call('callRaw', { host: PODS.server, port: 9001, writesHex: [hello] });
    expect(Buffer.from(raw, 'latin1').toString('hex')).toBe(hello);
    expect(await world.rig.metrics('server')).toMatch(/tcp_open_total\{[^}]*tls="opaque"[^}]*sni="other\.example\.com"/);
  });

  it('[PROTO-12] [ID-13] one with another name in two pieces passes untouched', async () => {
    const hello = await clientHello('two.example.com');
    const { raw } = await world.plain.call('callRaw', {
      host: PODS.server,
      port: 9001,
      writesHex: [hello.slice(0, 100), hello.slice(100)],
    });
    expect(Buffer.from(raw, 'latin1').toString('hex')).toBe(hello);
  });

  it('[ID-13] one of an application goes through the mesh untouched, inside mutual TLS', async () => {
    const hello = await clientHello('app.example.com');
    const { raw } = await world.client.call('callRaw', { host: SERVICES.server, port: 9001, writesHex: [hello] });
    expect(Buffer.from(raw, 'latin1').toString('hex')).toBe(hello);
    expect(await world.rig.metrics('client')).toMatch(/tcp_open_total\{[^}]*peer="dst"[^}]*target_port="9001"[^}]*tls="true"/);
  });
});

describe('server certificates at the outbound proxy', () => {
  it.each(Object.keys(BAD_STANDINS))('[ID-02] [PROTO-13] one %s gets not a byte of the request', async (kind) => {
    await world.standIn.call('takeRecords');
    const { service } = BAD_STANDINS[kind] as (typeof BAD_STANDINS)[string];
    const answer = await world.client.call('callText', { host: service, port: 8080, text: REQUEST });
    expect(answer.raw).toMatch(/^HTTP\/1.1 50[24] /);
    const records = await world.standIn.call('takeRecords');
    expect(records.length).toBeGreaterThan(0);
    expect(records.map(({ clearHex, headerHex }) => [headerHex, clearHex])).toEqual(records.map(() => [undefined, '']));
  });
});

/** The first record of a TLS client with this SNI. */
async function clientHello(sni: string): Promise<string> {
  return world.plain.call('clientHello', sni);
}

// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import net from 'node:net';
import process from 'node:process';
import tls from 'node:tls';
import { createTestMesh, type LeafOverrides, type TestLeaf } from '@weft/pki/testing';
import { afterEach, describe, expect, it } from 'vitest';
import {
  acceptTls,
  configureNet,
  connect,
  connectTls,
  createTlsClientContext,
  createTlsServerContext,
  listen,
  netCounters,
  poolStats,
} from './index.ts';
import type { ByteStream, ByteStreamSink, Listener, NetError, TlsClientContext, TlsPeer, TlsServerContext } from './index.ts';

const mesh = createTestMesh();
const serverName = mesh.identityOf('server', 'shop');
const clientName = mesh.identityOf('client', 'shop');
const serverLeaf = mesh.leafFor(serverName);
const clientLeaf = mesh.leafFor(clientName);

const open: { close(): void }[] = [];
afterEach(() => {
  for (const item of open.splice(0)) item.close();
  configureNet({ onInternalError: () => {}, writeHighWaterBytes: 256 * 1024, maxConcurrentHandshakes: 128, maxHandshakeStartsPerTurn: 4 });
});

function serverContext(leaf: TestLeaf = serverLeaf, alpn?: string[]): TlsServerContext {
  return createTlsServerContext({
    key: leaf.privateKeyPem,
    certChainPem: leaf.chainPem,
    trustAnchorsPem: mesh.trustAnchorsPem,
    ...(alpn === undefined ? {} : { alpn }),
  });
}

function clientContext(leaf: TestLeaf = clientLeaf): TlsClientContext {
  return createTlsClientContext({ key: leaf.privateKey, certChainPem: leaf.chainPem, trustAnchorsPem: mesh.trustAnchorsPem });
}

function sinkOf(parts: Partial<ByteStreamSink>): ByteStreamSink {
  return { onRead: () => {}, onReadEnd: () => {}, onDrain: () => {}, onClose: () => {}, ...parts };
}

function echo(stream: ByteStream): void {
  stream.setSink(
    sinkOf({
      onRead: (chunk, start, end) => {
        stream.out.writeBytes(chunk, start, end);
        stream.schedule();
        if (stream.isBlocked) stream.pauseReading();
      },
      onDrain: () => stream.resumeReading(),
      onReadEnd: () => stream.end(),
    }),
  );
}

async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

type Outcome = { stream: ByteStream; peer: TlsPeer } | { error: NetError };

interface TlsServer {
  readonly listener: Listener;
  readonly outcomes: Outcome[];
}

/** Peeks like the proxy does: the first chunk is read in plain, put back, and TLS takes over. */
async function serveTls(
  context: TlsServerContext,
  options: { timeoutMs?: number; onSecure?: (stream: ByteStream, peer: TlsPeer) => void } = {},
): Promise<TlsServer> {
  const outcomes: Outcome[] = [];
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    originalDestination: false,
    onConnection: (plain) => {
      plain.setSink(
        sinkOf({
          onRead: (chunk, start, end) => {
            plain.unread(chunk, start, end);
            acceptTls(plain, context, options, {
              onSecure: (stream, peer) => {
                outcomes.push({ stream, peer });
                (options.onSecure ?? echo)(stream, peer);
              },
              onError: (error) => outcomes.push({ error }),
            });
          },
        }),
      );
    },
    onError: () => {},
  });
  open.push(listener);
  return { listener, outcomes };
}

function dialTls(
  listener: Listener,
  context: TlsClientContext,
  options: { expectedIdentity?: string; alpn?: string; timeoutMs?: number } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    connect(
      { host: '127.0.0.1', port: listener.address.port, timeoutMs: 5_000 },
      {
        onConnect: (plain) => {
          connectTls(
            plain,
            context,
            { serverName, expectedIdentity: serverName, ...options },
            {
              onSecure: (stream, peer) => {
                open.push({ close: () => stream.destroy() });
                resolve({ stream, peer });
              },
              onError: (error) => resolve({ error }),
            },
          );
        },
        onError: (error) => reject(new Error(error.message)),
      },
    );
  });
}

function errorOf(outcome: Outcome | undefined): NetError {
  if (outcome === undefined || !('error' in outcome)) throw new Error('the handshake succeeded');
  return outcome.error;
}

function secureOf(outcome: Outcome | undefined): { stream: ByteStream; peer: TlsPeer } {
  if (outcome === undefined || 'error' in outcome) throw new Error(`the handshake failed: ${outcome?.error.message}`);
  return outcome;
}

/** A client of node:tls, as a foreign implementation. */
function foreignClient(listener: Listener, options: tls.ConnectionOptions): tls.TLSSocket {
  const socket = tls.connect({
    port: listener.address.port,
    host: '127.0.0.1',
    servername: serverName,
    ca: [...mesh.trustAnchorsPem],
    checkServerIdentity: () => undefined,
    ...options,
  });
  socket.on('error', () => {});
  open.push({ close: () => socket.destroy() });
  return socket;
}

function roundTrip(stream: ByteStream, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = '';
    stream.setSink(
      sinkOf({
        onRead: (chunk, start, end) => {
          got += chunk.toString('latin1', start, end);
          if (got.length >= text.length) resolve(got);
        },
        onClose: (error) => reject(new Error(error?.code ?? 'closed')),
      }),
    );
    stream.out.writeLatin1(text);
    stream.schedule();
  });
}

/** A ClientHello of OpenSSL. */
function captureClientHello(options: tls.ConnectionOptions = {}): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (chunk: Buffer) => {
        socket.destroy();
        server.close();
        resolve(chunk);
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      tls.connect({ port, host: '127.0.0.1', servername: serverName, rejectUnauthorized: false, ...options }).on('error', () => {});
    });
  });
}

describe('between two of us', () => {
  it('[ID-05] carries bytes over TLS 1.3 with both identities verified', async () => {
    const server = await serveTls(serverContext());
    const { stream, peer } = secureOf(await dialTls(server.listener, clientContext()));
    expect(await roundTrip(stream, 'hello')).toBe('hello');
    expect(peer).toEqual({ identities: [serverName], alpn: undefined, protocol: 'TLSv1.3' });
    expect(secureOf(server.outcomes[0]).peer).toEqual({ identities: [clientName], alpn: undefined, protocol: 'TLSv1.3' });
    expect(stream.remote).toEqual(server.listener.address);
    expect(secureOf(server.outcomes[0]).stream.remote).toEqual(stream.local);
  });

  it('negotiates the transport ALPN only where both sides have it', async () => {
    const withAlpn = await serveTls(serverContext(serverLeaf, ['transport.l5d.io/v1']));
    const without = await serveTls(serverContext());
    const alpn = 'transport.l5d.io/v1';
    expect(secureOf(await dialTls(withAlpn.listener, clientContext(), { alpn })).peer.alpn).toBe(alpn);
    expect(secureOf(await dialTls(withAlpn.listener, clientContext())).peer.alpn).toBeUndefined();
    expect(secureOf(await dialTls(without.listener, clientContext(), { alpn })).peer.alpn).toBeUndefined();
  });

  it('refuses a peer that offers only other protocols where ALPN is negotiated', async () => {
    const server = await serveTls(serverContext(serverLeaf, ['transport.l5d.io/v1']));
    expect(errorOf(await dialTls(server.listener, clientContext(), { alpn: 'h2' })).code).toBe('ERR_TLS_HANDSHAKE');
    await eventually(() => server.outcomes.length === 1);
    expect(errorOf(server.outcomes[0]).code).toBe('ERR_TLS_HANDSHAKE');
  });

  it('accepts URI identities', async () => {
    const uri = 'spiffe://root.linkerd.cluster.local/shop/server';
    const server = await serveTls(serverContext(mesh.leafFor(serverName, { dnsNames: [], uris: [uri] })));
    const { peer } = secureOf(await dialTls(server.listener, clientContext(), { expectedIdentity: uri }));
    expect(peer.identities).toEqual([uri]);
  });

  it('compares DNS identities in lower case', async () => {
    const server = await serveTls(serverContext(mesh.leafFor(serverName, { dnsNames: [serverName.toUpperCase()] })));
    const { peer } = secureOf(
      await dialTls(server.listener, clientContext(), { expectedIdentity: serverName.replace('server', 'Server') }),
    );
    expect(peer.identities).toEqual([serverName]);
  });

  it('trusts an anchor that is not self-signed', async () => {
    const options = { key: serverLeaf.privateKey, certChainPem: serverLeaf.certificatePem, trustAnchorsPem: [mesh.issuer.certificatePem] };
    const server = await serveTls(createTlsServerContext(options));
    const client = createTlsClientContext({ ...options, key: clientLeaf.privateKey, certChainPem: clientLeaf.certificatePem });
    expect(secureOf(await dialTls(server.listener, client)).peer.identities).toEqual([serverName]);
    await eventually(() => server.outcomes.length === 1);
    expect(secureOf(server.outcomes[0]).peer.identities).toEqual([clientName]);
  });

  it('never resumes a session', async () => {
    const server = await serveTls(serverContext());
    const sessions: Buffer[] = [];
    const options = { key: clientLeaf.privateKeyPem, cert: clientLeaf.chainPem };
    const first = foreignClient(server.listener, options);
    first.on('session', (session: Buffer) => sessions.push(session));
    first.write('x');
    await new Promise((resolve) => first.on('data', resolve));
    await new Promise((resolve) => setTimeout(resolve, 50));
    first.destroy();
    // Node offers nothing of a session whose peer it cannot tie to the same name, so both names are equal here.
    for (const session of sessions) {
      const again = foreignClient(server.listener, { ...options, session });
      await new Promise((resolve) => again.on('secureConnect', resolve));
      expect(again.isSessionReused()).toBe(false);
    }
    await eventually(() => server.outcomes.length === 1 + sessions.length);
    for (const outcome of server.outcomes) expect(secureOf(outcome).peer.identities).toEqual([clientName]);
  });

  it('echoes megabytes on many connections with all buffers given back', async () => {
    const server = await serveTls(serverContext());
    const total = 3_000_000;
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { stream } = secureOf(await dialTls(server.listener, clientContext()));
        const pattern = Buffer.from(Array.from({ length: 65_521 }, (_, i) => (i * 7) & 0xff));
        let sent = 0;
        let received = 0;
        let mismatches = 0;
        await new Promise<void>((resolve, reject) => {
          const pump = (): void => {
            while (sent < total && !stream.isBlocked) {
              const at = sent % pattern.length;
              const bytes = Math.min(1 + Math.floor(Math.random() * 30_000), pattern.length - at, total - sent);
              stream.out.writeBytes(pattern, at, at + bytes);
              sent += bytes;
            }
            stream.schedule();
          };
          stream.setSink(
            sinkOf({
              onRead: (chunk, start, end) => {
                for (let i = start; i < end; i++) if (chunk[i] !== pattern[received++ % pattern.length]) mismatches += 1;
                if (received === total) stream.end();
              },
              onDrain: pump,
              onClose: (error) => (error === undefined ? resolve() : reject(new Error(error.code))),
            }),
          );
          pump();
        });
        expect(received).toBe(total);
        expect(mismatches).toBe(0);
      }),
    );
    await eventually(() => poolStats().borrowedBytes === 0);
  });

  it('half-closes both ways', async () => {
    const order: string[] = [];
    const server = await serveTls(serverContext(), {
      onSecure: (stream) => {
        let got = '';
        stream.setSink(
          sinkOf({
            onRead: (chunk, start, end) => (got += chunk.toString('latin1', start, end)),
            onReadEnd: () => {
              order.push(`server saw end after ${got}`);
              setTimeout(() => {
                stream.out.writeLatin1('answer');
                stream.end();
              }, 20);
            },
            onClose: () => order.push('server closed'),
          }),
        );
      },
    });
    const { stream } = secureOf(await dialTls(server.listener, clientContext()));
    let got = '';
    stream.setSink(
      sinkOf({
        onRead: (chunk, start, end) => (got += chunk.toString('latin1', start, end)),
        onReadEnd: () => order.push(`client saw end after ${got}`),
        onClose: () => order.push('client closed'),
      }),
    );
    stream.out.writeLatin1('request');
    stream.end();
    await eventually(() => order.length === 4);
    expect(order.slice(0, 1)).toEqual(['server saw end after request']);
    expect(order).toContain('client saw end after answer');
  });

  it('sends RST when asked to', async () => {
    const server = await serveTls(serverContext(), { onSecure: (stream) => stream.setSink(sinkOf({})) });
    const { stream } = secureOf(await dialTls(server.listener, clientContext()));
    const closed = new Promise<NetError | undefined>((resolve) => stream.setSink(sinkOf({ onClose: resolve })));
    await eventually(() => server.outcomes.length === 1);
    secureOf(server.outcomes[0]).stream.destroy({ reset: true });
    expect((await closed)?.code).toBe('ECONNRESET');
  });

  it('stops at backpressure and reads on after it', async () => {
    const total = 32 * 1024 * 1024;
    let produced = 0;
    const server = await serveTls(serverContext(), {
      onSecure: (stream) => {
        const piece = Buffer.alloc(16_000, 1);
        const pump = (): void => {
          while (produced < total && !stream.isBlocked) {
            stream.out.writeBytes(piece, 0, piece.length);
            produced += piece.length;
          }
          stream.schedule();
          if (produced >= total) stream.end();
        };
        stream.setSink(sinkOf({ onDrain: pump }));
        pump();
      },
    });
    const { stream } = secureOf(await dialTls(server.listener, clientContext()));
    stream.pauseReading();
    let received = 0;
    let isEnded = false;
    stream.setSink(
      sinkOf({
        onRead: (_chunk, start, end) => (received += end - start),
        onReadEnd: () => (isEnded = true),
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(received).toBe(0);
    expect(produced).toBeLessThan(total / 2);
    stream.resumeReading();
    await eventually(() => isEnded);
    expect(received).toBe(produced);
  });
});

const BOTH_CLOCKS = /\(valid from \S+Z to \S+Z, but this host's clock says \S+Z: check both clocks\)$/;

describe('a client certificate', () => {
  const bad: { name: string; overrides: LeafOverrides }[] = [
    { name: 'of a foreign CA with the right name', overrides: { isForeign: true } },
    { name: 'that is expired', overrides: { isExpired: true } },
    { name: 'that is not yet valid', overrides: { isNotYetValid: true } },
    { name: 'for servers only', overrides: { extendedKeyUsage: ['serverAuth'] } },
  ];
  for (const { name, overrides } of bad) {
    it(`[ID-05] ${name} is turned away before a byte is read`, async () => {
      let isSecure = false;
      const server = await serveTls(serverContext(), { onSecure: () => (isSecure = true) });
      const leaf = mesh.leafFor(clientName, overrides);
      const socket = foreignClient(server.listener, { key: leaf.privateKeyPem, cert: leaf.chainPem });
      socket.write('early words');
      await eventually(() => server.outcomes.length === 1);
      expect(errorOf(server.outcomes[0]).code).toBe('ERR_TLS_CERTIFICATE');
      expect(isSecure).toBe(false);
      await eventually(() => socket.destroyed);
    });
  }

  it.each<LeafOverrides>([{ isExpired: true }, { isNotYetValid: true }])(
    'outside its time is turned away with both clocks: %j',
    async (overrides) => {
      const server = await serveTls(serverContext());
      const leaf = mesh.leafFor(clientName, overrides);
      foreignClient(server.listener, { key: leaf.privateKeyPem, cert: leaf.chainPem });
      await eventually(() => server.outcomes.length === 1);
      expect(errorOf(server.outcomes[0]).message).toMatch(BOTH_CLOCKS);
    },
  );

  it('that is absent means TLS without identity', async () => {
    const server = await serveTls(serverContext());
    const socket = foreignClient(server.listener, {});
    socket.write('hi');
    await new Promise((resolve) => socket.on('data', resolve));
    expect(secureOf(server.outcomes[0]).peer.identities).toEqual([]);
  });

  it('without names means TLS without identity', async () => {
    const server = await serveTls(serverContext());
    const leaf = mesh.leafFor(clientName, { dnsNames: [] });
    const socket = foreignClient(server.listener, { key: leaf.privateKeyPem, cert: leaf.chainPem });
    await new Promise((resolve) => socket.on('secureConnect', resolve));
    await eventually(() => server.outcomes.length === 1);
    expect(secureOf(server.outcomes[0]).peer.identities).toEqual([]);
  });

  it('gives all its names, the first of them first', async () => {
    const server = await serveTls(serverContext());
    const leaf = mesh.leafFor(clientName, { dnsNames: ['One.example', 'two.example'], uris: ['spiffe://td/x'] });
    foreignClient(server.listener, { key: leaf.privateKeyPem, cert: leaf.chainPem });
    await eventually(() => server.outcomes.length === 1);
    expect(secureOf(server.outcomes[0]).peer.identities).toEqual(['one.example', 'two.example', 'spiffe://td/x']);
  });
});

describe('a server certificate', () => {
  const cases: { name: string; overrides: LeafOverrides; code: string }[] = [
    { name: 'of a foreign CA with the right name', overrides: { isForeign: true }, code: 'ERR_TLS_HANDSHAKE' },
    { name: 'that is expired', overrides: { isExpired: true }, code: 'ERR_TLS_HANDSHAKE' },
    { name: 'that is not yet valid', overrides: { isNotYetValid: true }, code: 'ERR_TLS_HANDSHAKE' },
    { name: 'for clients only', overrides: { extendedKeyUsage: ['clientAuth'] }, code: 'ERR_TLS_HANDSHAKE' },
    { name: 'for another identity', overrides: { dnsNames: [mesh.identityOf('other', 'shop')] }, code: 'ERR_TLS_IDENTITY' },
    { name: 'without names', overrides: { dnsNames: [] }, code: 'ERR_TLS_IDENTITY' },
    { name: 'with the identity as a URI of the same text', overrides: { dnsNames: [], uris: [serverName] }, code: 'ERR_TLS_IDENTITY' },
  ];
  for (const { name, overrides, code } of cases) {
    it(`[ID-05] ${name} is turned away before a byte is written`, async () => {
      const leaf = mesh.leafFor(serverName, overrides);
      let received = 0;
      const server = tls.createServer({ key: leaf.privateKeyPem, cert: leaf.chainPem }, (socket) => {
        socket.on('error', () => {});
        socket.on('data', (chunk: Buffer) => (received += chunk.length));
        socket.write('greeting');
      });
      server.on('tlsClientError', () => {});
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      open.push(server);
      const { port } = server.address() as net.AddressInfo;
      const listener = { address: { ip: '127.0.0.1', port }, close: () => {} };
      const error = errorOf(await dialTls(listener, clientContext()));
      expect(error.code).toBe(code);
      expect(error.message).toContain(code === 'ERR_TLS_IDENTITY' ? serverName : 'TLS handshake');
      expect(BOTH_CLOCKS.test(error.message)).toBe(overrides.isExpired === true || overrides.isNotYetValid === true);
      expect(received).toBe(0);
    });
  }
});

describe('a server faced with bad input', () => {
  it('[ID-05] refuses TLS 1.2', async () => {
    const server = await serveTls(serverContext());
    const socket = foreignClient(server.listener, { maxVersion: 'TLSv1.2' });
    await new Promise((resolve) => socket.on('error', resolve));
    await eventually(() => server.outcomes.length === 1);
    expect(errorOf(server.outcomes[0]).code).toBe('ERR_TLS_HANDSHAKE');
  });

  it('[ID-05] speaks to peers that have only X25519, P-256 or P-384, and refuses P-521', async () => {
    const server = await serveTls(serverContext());
    for (const ecdhCurve of ['X25519MLKEM768', 'X25519', 'P-256', 'P-384']) {
      const socket = foreignClient(server.listener, { ecdhCurve });
      socket.write('x');
      await new Promise((resolve, reject) => socket.on('data', resolve).on('error', reject));
    }
    const socket = foreignClient(server.listener, { ecdhCurve: 'P-521' });
    await new Promise((resolve) => socket.on('error', resolve));
    expect(server.outcomes.filter((outcome) => 'peer' in outcome)).toHaveLength(4);
  });

  const hostile: { name: string; bytes: () => Promise<Buffer> }[] = [
    { name: 'plaintext', bytes: () => Promise.resolve(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')) },
    { name: 'noise', bytes: () => Promise.resolve(Buffer.alloc(4_000, 0xa5)) },
    {
      name: 'a second ClientHello after the first',
      bytes: async () => Buffer.concat([await captureClientHello(), await captureClientHello()]),
    },
    {
      name: 'a record longer than TLS allows',
      bytes: () => Promise.resolve(Buffer.concat([Buffer.from([22, 3, 1, 0xff, 0xff, 1]), Buffer.alloc(65_534)])),
    },
    {
      name: 'a ClientHello of another handshake type',
      bytes: async () => {
        const hello = await captureClientHello();
        hello[5] = 2;
        return hello;
      },
    },
  ];
  for (const { name, bytes } of hostile) {
    it(`fails the handshake on ${name} and serves others`, async () => {
      const server = await serveTls(serverContext());
      const socket = net.connect(server.listener.address.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.on('data', () => {});
      socket.write(await bytes());
      await eventually(() => server.outcomes.length === 1);
      expect(errorOf(server.outcomes[0]).code).toBe('ERR_TLS_HANDSHAKE');
      await eventually(() => socket.destroyed);
      expect(await roundTrip(secureOf(await dialTls(server.listener, clientContext())).stream, 'ok')).toBe('ok');
    });
  }

  it('answers a ClientHello cut at any byte', async () => {
    configureNet({ maxHandshakeStartsPerTurn: 64, maxConcurrentHandshakes: 4_096 });
    const server = await serveTls(serverContext());
    const hello = await captureClientHello();
    const cuts = Array.from({ length: hello.length - 1 }, (_, index) => index + 1).filter((cut) => cut < 100 || cut % 5 === 0);
    const answers = await Promise.all(
      cuts.map(
        (cut) =>
          new Promise<number | undefined>((resolve) => {
            const socket = net.connect({ port: server.listener.address.port, host: '127.0.0.1', noDelay: true });
            socket.on('error', () => resolve(undefined));
            socket.once('data', (chunk: Buffer) => {
              socket.destroy();
              resolve(chunk[0]);
            });
            socket.write(hello.subarray(0, cut));
            setTimeout(() => socket.write(hello.subarray(cut)), 20);
          }),
      ),
    );
    // 22: a handshake record, not an alert (21).
    expect(answers).toEqual(cuts.map(() => 22));
    await eventually(() => server.outcomes.length === cuts.length);
  });

  it('completes a handshake whose ClientHello arrives in two pieces', async () => {
    const server = await serveTls(serverContext());
    const cuts = [1, 2, 3, 4, 5, 6, 9, 10, 11, 43, 44, 76, 80, 200, 517, 1_000, 1_300];
    for (const cut of cuts) {
      // A relay between client and server that breaks the first flight in two.
      const relay = net.createServer((near) => {
        const far = net.connect(server.listener.address.port, '127.0.0.1');
        for (const socket of [near, far]) socket.on('error', () => {});
        near.once('data', (chunk: Buffer) => {
          far.setNoDelay(true);
          far.write(chunk.subarray(0, cut));
          setTimeout(() => {
            far.write(chunk.subarray(cut));
            near.pipe(far);
          }, 5);
        });
        far.pipe(near);
      });
      await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
      const { port } = relay.address() as net.AddressInfo;
      const { stream } = secureOf(await dialTls({ address: { ip: '127.0.0.1', port }, close: () => {} }, clientContext()));
      expect(await roundTrip(stream, `cut at ${cut}`)).toBe(`cut at ${cut}`);
      stream.destroy();
      relay.close();
    }
  });

  it('reports a peer that goes away in the middle of the handshake', async () => {
    const server = await serveTls(serverContext());
    const hello = await captureClientHello();
    const socket = net.connect(server.listener.address.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(hello.subarray(0, 300));
    setTimeout(() => socket.destroy(), 20);
    await eventually(() => server.outcomes.length === 1);
    expect(errorOf(server.outcomes[0]).code).toMatch(/^ECONNRESET|ERR_TLS_HANDSHAKE$/);
  });

  it('gives up on a silent peer at the deadline', async () => {
    const server = await serveTls(serverContext(), { timeoutMs: 60 });
    const hello = await captureClientHello();
    const socket = net.connect(server.listener.address.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(hello.subarray(0, 300));
    socket.resume();
    await new Promise((resolve) => socket.on('close', resolve));
    expect(errorOf(server.outcomes[0]).code).toBe('ERR_TLS_HANDSHAKE_TIMEOUT');
    expect(netCounters.handshakesInFlight).toBe(0);
  });
});

describe('the books', () => {
  it('bounds handshakes in progress, lets the others wait, and loses none', async () => {
    configureNet({ maxConcurrentHandshakes: 2, maxHandshakeStartsPerTurn: 1 });
    const server = await serveTls(serverContext());
    let most = 0;
    const sampler = setInterval(() => (most = Math.max(most, netCounters.handshakesInFlight)), 1);
    // node:tls as client, so that only the server's side is counted.
    await Promise.all(
      Array.from({ length: 30 }, () => new Promise((resolve) => foreignClient(server.listener, {}).on('secureConnect', resolve))),
    );
    clearInterval(sampler);
    expect(most).toBeLessThanOrEqual(2);
    await eventually(() => netCounters.handshakesInFlight === 0);
    expect(netCounters.handshakesQueued).toBe(0);
  });

  it('fails a waiting handshake at its own deadline', async () => {
    configureNet({ maxConcurrentHandshakes: 1 });
    const server = await serveTls(serverContext(), { timeoutMs: 100 });
    const hello = await captureClientHello();
    for (let i = 0; i < 3; i++) {
      const socket = net.connect(server.listener.address.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(hello.subarray(0, 100));
    }
    await eventually(() => server.outcomes.length === 3);
    for (const outcome of server.outcomes) expect(errorOf(outcome).code).toBe('ERR_TLS_HANDSHAKE_TIMEOUT');
    expect(netCounters.handshakesQueued).toBe(0);
    expect(netCounters.handshakesInFlight).toBe(0);
  });

  it('ends only the one connection when onSecure throws', async () => {
    let isFirst = true;
    const reports: string[] = [];
    configureNet({ onInternalError: (where) => reports.push(where) });
    const server = await serveTls(serverContext(), {
      onSecure: (stream) => {
        if (!isFirst) {
          echo(stream);
          return;
        }
        isFirst = false;
        throw new Error('boom');
      },
    });
    const bad = foreignClient(server.listener, {});
    await new Promise((resolve) => bad.on('close', resolve));
    expect(reports).toEqual(['onSecure']);
    expect(await roundTrip(secureOf(await dialTls(server.listener, clientContext())).stream, 'ok')).toBe('ok');
  });

  for (const place of ['onRead', 'onReadEnd', 'onDrain', 'onBeforeFlush'] as const) {
    it(`ends only the one TLS connection when ${place} throws`, async () => {
      const reports: string[] = [];
      configureNet({ onInternalError: (where) => reports.push(where), writeHighWaterBytes: 1_000 });
      let isFirst = true;
      let closes = 0;
      const server = await serveTls(serverContext(), {
        onSecure: (stream) => {
          if (!isFirst) {
            echo(stream);
            return;
          }
          isFirst = false;
          const bomb = (): never => {
            throw new Error('boom');
          };
          const sink = sinkOf({ onClose: () => void (closes += 1) });
          if (place === 'onBeforeFlush') stream.onBeforeFlush = bomb;
          else sink[place] = bomb;
          stream.setSink(sink);
          stream.out.writeBytes(Buffer.alloc(5_000), 0, 5_000);
          stream.schedule();
        },
      });
      // Words in the same flight as the end of the handshake, so that onRead runs within the callback of OpenSSL.
      const bad = foreignClient(server.listener, {});
      bad.on('data', () => {});
      bad.end('x');
      await eventually(() => closes === 1);
      expect(reports).toEqual([place]);
      expect(await roundTrip(secureOf(await dialTls(server.listener, clientContext())).stream, 'ok')).toBe('ok');
    });
  }

  it('lets a sink end or destroy its stream from within any call', async () => {
    const actions: ((stream: ByteStream) => void)[] = [
      (stream) => stream.destroy(),
      (stream) => stream.destroy({ reset: true }),
      (stream) => stream.end(),
    ];
    for (const act of actions) {
      for (const place of ['onSecure', 'onRead'] as const) {
        let closes = 0;
        const server = await serveTls(serverContext(), {
          onSecure: (stream) => {
            stream.setSink(
              sinkOf({ onRead: () => place === 'onRead' && act(stream), onReadEnd: () => stream.end(), onClose: () => void (closes += 1) }),
            );
            if (place === 'onSecure') act(stream);
          },
        });
        const socket = foreignClient(server.listener, {});
        socket.on('data', () => {});
        socket.write('x');
        await new Promise((resolve) => socket.on('close', resolve));
        await eventually(() => closes === 1);
      }
    }
    expect(netCounters.handshakesInFlight).toBe(0);
  });

  it('calls nothing after cancel, at whatever moment it comes', async () => {
    const moments: ((cancel: () => void) => void)[] = [
      (cancel) => cancel(),
      (cancel) => process.nextTick(cancel),
      (cancel) => setImmediate(cancel),
      ...[0, 1, 1, 2, 2, 3, 4].map((delayMs) => (cancel: () => void) => void setTimeout(cancel, delayMs)),
    ];
    let callsAfterCancel = 0;
    const guard = (): { isCancelled: boolean; onSecure: (stream: ByteStream) => void; onError: () => void } => {
      const state = {
        isCancelled: false,
        onSecure: (stream: ByteStream) => {
          if (state.isCancelled) callsAfterCancel += 1;
          echo(stream);
        },
        onError: () => {
          if (state.isCancelled) callsAfterCancel += 1;
        },
      };
      return state;
    };
    const context = serverContext();
    let nextMoment = 0;
    const listener = await listen({
      host: '127.0.0.1',
      port: 0,
      originalDestination: false,
      onConnection: (plain) => {
        const sink = sinkOf({
          onRead: (chunk, start, end) => {
            plain.unread(chunk, start, end);
            const state = guard();
            const pending = acceptTls(plain, context, {}, state);
            moments[nextMoment++ % moments.length]?.(() => {
              state.isCancelled = true;
              pending.cancel();
            });
          },
        });
        plain.setSink(sink);
      },
      onError: () => {},
    });
    open.push(listener);
    await Promise.all(
      Array.from({ length: 5 * moments.length }, (_, index) => {
        const state = guard();
        return new Promise<void>((resolve) => {
          connect(
            { host: '127.0.0.1', port: listener.address.port, timeoutMs: 5_000 },
            {
              onConnect: (plain) => {
                const pending = connectTls(plain, clientContext(), { serverName, expectedIdentity: serverName }, state);
                moments[Math.floor(index / 5)]?.(() => {
                  state.isCancelled = true;
                  pending.cancel();
                  resolve();
                });
              },
              onError: () => resolve(),
            },
          );
        });
      }),
    );
    await eventually(() => netCounters.handshakesInFlight + netCounters.handshakesQueued === 0);
    expect(callsAfterCancel).toBe(0);
  });

  it('survives a ClientHello with any byte changed', async () => {
    const server = await serveTls(serverContext(), { timeoutMs: 200 });
    const hello = await captureClientHello();
    const count = 120;
    for (let i = 0; i < count; i++) {
      const mutated = Buffer.from(hello);
      const at = Math.floor((i * hello.length) / count);
      mutated[at] = ((mutated[at] ?? 0) + 1 + (i % 255)) & 0xff;
      const socket = net.connect(server.listener.address.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      socket.write(mutated);
    }
    await eventually(() => server.outcomes.length === count);
    expect(server.outcomes.filter((outcome) => 'peer' in outcome)).toEqual([]);
    expect(await roundTrip(secureOf(await dialTls(server.listener, clientContext())).stream, 'ok')).toBe('ok');
    expect(netCounters.handshakesInFlight).toBe(0);
  });

  it('counts no open stream when all are closed', async () => {
    await eventually(() => netCounters.openStreams === 0);
    expect(poolStats().borrowedBytes).toBe(0);
  });

  it('refuses a context without trust anchors', () => {
    const options = { key: serverLeaf.privateKeyPem, certChainPem: serverLeaf.chainPem, trustAnchorsPem: [] };
    expect(() => createTlsServerContext(options)).toThrow(TypeError);
    expect(() => createTlsClientContext(options)).toThrow(TypeError);
  });
});

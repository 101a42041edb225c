// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect } from 'node:tls';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLIENT_HELLO_MAX_BYTES, type ClientHello, parseClientHello } from './index.ts';
import { readHex } from './testdata/read-vectors.ts';

const SERVER = 'standin.vec-net.serviceaccount.identity.linkerd.cluster.local';

function parse(bytes: Uint8Array): ClientHello {
  return parseClientHello(bytes, 0, bytes.length);
}

function vector(body: Uint8Array | string, lengthBytes: 1 | 2 | 3): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(bytes.length, 0, lengthBytes);
  return Buffer.concat([length, bytes]);
}

function extension(type: number, data: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 0xff]), vector(data, 2)]);
}

function serverNames(...names: readonly (readonly [type: number, name: string])[]): Buffer {
  return extension(0, vector(Buffer.concat(names.map(([type, name]) => Buffer.concat([Buffer.from([type]), vector(name, 2)]))), 2));
}

interface HelloParts {
  readonly extensions?: readonly Buffer[] | 'absent';
  readonly recordVersion?: number;
  readonly legacyVersion?: number;
  readonly recordType?: number;
  readonly handshakeType?: number;
  readonly sessionId?: string;
  /** Bytes of the record behind the hello. */
  readonly afterHello?: string;
}

function hello(parts: HelloParts): Buffer {
  const { extensions = [], recordVersion = 0x0301, legacyVersion = 0x0303, sessionId = '', afterHello = '' } = parts;
  const body = Buffer.concat([
    Buffer.from([legacyVersion >> 8, legacyVersion & 0xff]),
    Buffer.alloc(32, 7),
    vector(sessionId, 1),
    vector(Buffer.from('1301', 'hex'), 2),
    vector('\0', 1),
    extensions === 'absent' ? Buffer.alloc(0) : vector(Buffer.concat(extensions), 2),
  ]);
  const handshake = Buffer.concat([Buffer.from([parts.handshakeType ?? 1]), vector(body, 3), Buffer.from(afterHello, 'latin1')]);
  return Buffer.concat([Buffer.from([parts.recordType ?? 22, recordVersion >> 8, recordVersion & 0xff]), vector(handshake, 2)]);
}

/** What an OpenSSL client sends first. */
function opensslHello(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(Buffer.from(chunk));
        done();
      },
    });
    const socket = connect({ ...options, socket: wire });
    socket.on('error', reject);
  });
}

describe('[PROTO-01] parseClientHello', () => {
  it.each([
    ['without ALPN', 'client-hello-no-alpn.hex'],
    ['with the transport ALPN', 'client-hello-transport-alpn.hex'],
  ])('finds the name in what the reference proxy sends %s, and waits at every cut', (_, file) => {
    const hellos = readHex(file);
    expect(hellos.length).toBeGreaterThan(0);
    for (const bytes of hellos) {
      for (let cut = 0; cut < bytes.length; cut++) expect(parseClientHello(bytes, 0, cut).kind).toBe('incomplete');
      expect(parse(bytes)).toEqual({ kind: 'sni', sni: SERVER });
      const inside = Buffer.concat([Buffer.from('junk'), bytes, Buffer.from('the next record')]);
      expect(parseClientHello(inside, 4, inside.length)).toEqual({ kind: 'sni', sni: SERVER });
    }
  });

  it.each<[string, ConnectionOptions, ClientHello]>([
    ['TLS 1.3', { servername: 'a.example.com', minVersion: 'TLSv1.3' }, { kind: 'sni', sni: 'a.example.com' }],
    ['TLS 1.2', { servername: 'a.example.com', maxVersion: 'TLSv1.2' }, { kind: 'sni', sni: 'a.example.com' }],
    ['ALPN', { servername: 'b.example.com', ALPNProtocols: ['h2', 'http/1.1'] }, { kind: 'sni', sni: 'b.example.com' }],
    ['upper case', { servername: 'A.Example.COM' }, { kind: 'sni', sni: 'a.example.com' }],
    ['no server name', {}, { kind: 'no-sni' }],
  ])('understands OpenSSL with %s', async (_, options, expected) => {
    expect(parse(await opensslHello(options))).toEqual(expected);
  });

  it.each<[string, Buffer, ClientHello]>([
    ['no extensions', hello({}), { kind: 'no-sni' }],
    ['no extension block', hello({ extensions: 'absent' }), { kind: 'no-sni' }],
    [
      'a name among other extensions',
      hello({ extensions: [extension(43, Buffer.from('020304', 'hex')), serverNames([0, 'x.y']), extension(5, Buffer.alloc(9))] }),
      { kind: 'sni', sni: 'x.y' },
    ],
    ['a name of another type before', hello({ extensions: [serverNames([9, '??'], [0, 'x.y'])] }), { kind: 'sni', sni: 'x.y' }],
    ['only a name of another type', hello({ extensions: [serverNames([9, 'x.y'])] }), { kind: 'no-sni' }],
    ['an empty list of names', hello({ extensions: [serverNames()] }), { kind: 'no-sni' }],
    ['a trailing dot', hello({ extensions: [serverNames([0, 'x.y.'])] }), { kind: 'sni', sni: 'x.y.' }],
    ['record version 0x0303', hello({ recordVersion: 0x0303, extensions: [serverNames([0, 'x'])] }), { kind: 'sni', sni: 'x' }],
    ['a session id', hello({ sessionId: 's'.repeat(32), extensions: [serverNames([0, 'x'])] }), { kind: 'sni', sni: 'x' }],
    ['more of the record behind it', hello({ afterHello: 'more', extensions: [serverNames([0, 'x'])] }), { kind: 'sni', sni: 'x' }],
  ])('reads a hello with %s', (_, bytes, expected) => {
    expect(parse(bytes)).toEqual(expected);
  });

  it.each([
    '',
    '.',
    'a..b',
    '-a',
    'a-',
    '10.0.0.1',
    '1',
    'a b',
    'a\0b',
    'a/b',
    'caf\xe9',
    '*.x',
    'x'.repeat(64),
    `${'a.'.repeat(126)}bc`,
    '[::1]',
  ])('takes the name %j for none', (name) => {
    expect(parse(hello({ extensions: [serverNames([0, name])] }))).toEqual({ kind: 'no-sni' });
  });

  it.each(['a', 'a-b.c', '_srv.x', '1.a', '10.0.0.a', 'x'.repeat(63), `${'a.'.repeat(126)}b`])('takes the name %j', (sni) => {
    expect(parse(hello({ extensions: [serverNames([0, sni])] }))).toEqual({ kind: 'sni', sni });
  });

  const plain = hello({ extensions: [serverNames([0, 'x.y'])] });
  it.each<[string, Buffer, string]>([
    ['HTTP', Buffer.from('GET / HTTP/1.1'), 'record'],
    ['another record', hello({ recordType: 23 }), 'record'],
    ['SSL 3.0', hello({ recordVersion: 0x0300 }), 'version'],
    ['record version 0x0302', hello({ recordVersion: 0x0302 }), 'version'],
    ['record version 0x0403', hello({ recordVersion: 0x0403 }), 'version'],
    ['legacy version TLS 1.1', hello({ legacyVersion: 0x0302 }), 'version'],
    ['a ServerHello', hello({ handshakeType: 2 }), 'handshake'],
    ['a hello over several records', Buffer.from('160301000401000100', 'hex'), 'handshake'],
    ['an empty record', Buffer.from('1603010000', 'hex'), 'handshake'],
    ['an empty hello', Buffer.from('160301000401000000', 'hex'), 'malformed'],
    ['two server_name extensions', hello({ extensions: [serverNames([0, 'a']), serverNames([0, 'b'])] }), 'malformed'],
    ['two host names', hello({ extensions: [serverNames([0, 'a'], [0, 'b'])] }), 'malformed'],
    ['an extension that ends early', hello({ extensions: [Buffer.from([0, 0])] }), 'malformed'],
    ['an extension that runs over', hello({ extensions: [Buffer.from('0000ffff', 'hex')] }), 'malformed'],
    ['a server name that runs over', hello({ extensions: [extension(0, Buffer.from('0003000002', 'hex'))] }), 'malformed'],
    ['a server name list of another length', hello({ extensions: [extension(0, Buffer.from('000000', 'hex'))] }), 'malformed'],
    ['an empty server_name extension', hello({ extensions: [extension(0, Buffer.alloc(0))] }), 'malformed'],
    ['16 KiB', Buffer.from('1603014000010000', 'hex'), 'too-long'],
    ['one byte over the limit', Buffer.from('1603011ffc', 'hex'), 'too-long'],
  ])('refuses %s', (_, bytes, reason) => {
    expect(parse(bytes)).toEqual({ kind: 'not-tls', reason });
  });

  it('takes a hello as long as the limit', () => {
    const room = CLIENT_HELLO_MAX_BYTES - hello({ extensions: [serverNames([0, 'x.y']), extension(21, Buffer.alloc(0))] }).length;
    const longest = hello({ extensions: [extension(21, Buffer.alloc(room)), serverNames([0, 'x.y'])] });
    expect(longest.length).toBe(CLIENT_HELLO_MAX_BYTES);
    expect(parse(longest)).toEqual({ kind: 'sni', sni: 'x.y' });
    expect(parseClientHello(longest, 0, longest.length, CLIENT_HELLO_MAX_BYTES - 1)).toEqual({ kind: 'not-tls', reason: 'too-long' });
  });

  it('answers no bytes with incomplete', () => {
    expect(parseClientHello(plain, 0, 0)).toEqual({ kind: 'incomplete' });
  });

  it('stays inside its range and consistent over cuts, whatever the bytes', () => {
    const mutated = fc.tuple(fc.nat(plain.length - 1), fc.nat(255), fc.nat(plain.length - 1), fc.nat(255)).map(([i, a, j, b]) => {
      const bytes = Buffer.from(plain);
      bytes[i] = a;
      bytes[j] = b;
      return bytes;
    });
    const begun = fc.uint8Array({ maxLength: 120 }).map((tail) => Buffer.concat([Buffer.from('160301006001', 'hex'), tail]));
    fc.assert(
      fc.property(fc.oneof(mutated, begun, fc.uint8Array({ maxLength: 64 })), (bytes) => {
        const whole = parse(bytes);
        // Other bytes around the range must not matter.
        const shifted = Buffer.concat([Buffer.alloc(3, 0xff), bytes, Buffer.alloc(99, 0xff)]);
        expect(parseClientHello(shifted, 3, 3 + bytes.length)).toEqual(whole);
        for (let cut = 0; cut < bytes.length; cut++) {
          const early = parseClientHello(bytes, 0, cut);
          expect([whole, { kind: 'incomplete' }]).toContainEqual(early);
        }
      }),
      { numRuns: 500 },
    );
  });
});
